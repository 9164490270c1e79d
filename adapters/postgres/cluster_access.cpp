#include "cluster_access.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "session.hpp"

namespace backstitch::postgres {
namespace {

constexpr const char* note = "# Written by `backstitch dev` at each start.\n";

struct CloseConnection {
  void operator()(PGconn* connection) const { ::PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, CloseConnection>;

struct ClearResult {
  void operator()(PGresult* result) const { ::PQclear(result); }
};
using StatementResult = std::unique_ptr<PGresult, ClearResult>;

StatementResult execute(const Connection& connection, const std::string& statement) {
  return StatementResult(::PQexec(connection.get(), statement.c_str()));
}

bool finds_a_row(const Connection& connection, const std::string& query) {
  const auto found = execute(connection, query);
  return ::PQresultStatus(found.get()) == PGRES_TUPLES_OK && ::PQntuples(found.get()) > 0;
}

std::string role_statement(bool exists, const std::string& password) {
  return std::string(exists ? "alter" : "create") +
         " role backstitch login nosuperuser nocreatedb nocreaterole noreplication nobypassrls "
         "password " +
         (password.empty() ? "null" : "'" + password + "'");
}

}  // namespace

std::string host_access(bool tcp) {
  return std::string(note) + "local all all peer map=backstitch\n" +
         (tcp ? "host all all 127.0.0.1/32 scram-sha-256\n" : "");
}

std::string identity_map(const std::string& user) {
  std::string map = note;
  for (const std::string& name : {std::string("root"), "\"" + user + "\""}) {
    for (const char* role : {"backstitch", cluster_superuser})
      map += "backstitch " + name + " " + role + "\n";
  }
  return map;
}

std::string socket_url(const ClusterAddress& address, const std::string& role,
                       const std::string& database) {
  return with_options(
      "postgresql://" + role + "@/" + database,
      {{"host", address.socket_directory.string()}, {"port", std::to_string(address.port)}});
}

bool accepts_connections(const ClusterAddress& address) {
  return ::PQping(socket_url(address, cluster_superuser, "postgres").c_str()) == PQPING_OK;
}

Result<Done> prepare_database(const ClusterAddress& address, const std::string& password) {
  const std::string url = socket_url(address, cluster_superuser, "postgres");
  const Connection connection(::PQconnectdb(url.c_str()));
  const auto run = [&](const std::string& statement) {
    return ::PQresultStatus(execute(connection, statement).get()) == PGRES_COMMAND_OK;
  };
  const bool prepared =
      ::PQstatus(connection.get()) == CONNECTION_OK &&
      run(role_statement(
          finds_a_row(connection, "select from pg_roles where rolname = 'backstitch'"),
          password)) &&
      (finds_a_row(connection, "select from pg_database where datname = 'backstitch'") ||
       run("create database backstitch owner backstitch"));
  if (prepared) return Done{};
  return Error{ErrorCode::unavailable, "private-cluster-failed",
               std::string("Cannot prepare the database: ") + ::PQerrorMessage(connection.get())};
}

Result<std::string> random_password() {
  constexpr std::size_t bytes = 16;
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<unsigned char, bytes> random{};
  if (::getentropy(random.data(), random.size()) != 0)
    return Error{ErrorCode::unavailable, "private-cluster-failed", "There is no random source."};
  std::string password;
  for (const unsigned char byte : random) password += {digits[byte >> 4U], digits[byte & 15U]};
  return password;
}

}  // namespace backstitch::postgres
