#include "own_backend.hpp"

#include <chrono>

#include "failure.hpp"
#include "plain_connection.hpp"

namespace backstitch::postgres {
namespace {

constexpr const char* backend_query = "select pg_catalog.pg_backend_pid()";
/// A pooler whose only server process is in the transaction keeps the second connection waiting.
constexpr std::chrono::seconds answer_max{2};

Error pooled_error() {
  return {ErrorCode::invalid, "database-pooled",
          "the database is reached through a pooler that shares server processes between sessions "
          "(transaction or statement pooling), which the engine cannot work with; connect to "
          "PostgreSQL itself, or set pool_mode = session for this database in PgBouncer"};
}

/// Nothing ever came back: no verdict.
[[noreturn]] void throw_unanswered() {
  throw pqxx::broken_connection("the second connection, which looks for a pooler, got no answer");
}

std::optional<std::string> ask(PlainConnection& witness, std::chrono::seconds time_max) {
  if (!witness.send(backend_query)) throw_unanswered();
  return witness.answer(std::chrono::steady_clock::now() + time_max);
}

/// Statement pooling refuses transactions as a violation of the protocol, which no PostgreSQL does.
bool refuses_transactions(PlainConnection& witness) {
  constexpr const char* protocol_violation = "08P01";
  if (witness.send("begin")) witness.answer(std::chrono::steady_clock::now() + answer_max);
  return witness.sqlstate() == protocol_violation;
}

std::string run_one(pqxx::connection& connection, const char* sql) {
  pqxx::nontransaction tx(connection);
  const pqxx::result rows = tx.exec(sql);
  return rows.empty() ? std::string() : std::string(rows[0][0].c_str());
}

}  // namespace

void require_own_backend(pqxx::connection& connection, const std::string& text) {
  PlainConnection witness = PlainConnection::open(text);
  if (!witness.is_open()) throw ConnectError(witness.message(), ConnectFailure::of(text));
  const auto before = ask(witness, answer_max);
  if (!before) throw_unanswered();
  try {
    run_one(connection, "begin isolation level read committed read write");
  } catch (const std::exception&) {
    if (refuses_transactions(witness)) throw SessionRefused(pooled_error());
    throw;
  }
  const std::string held = run_one(connection, backend_query);
  const auto during = ask(witness, answer_max);
  run_one(connection, "commit");
  if (during == before && during != held) return;
  // Answered only now, when the transaction has ended: it waited for that server process.
  if (!during && !witness.answer(std::chrono::steady_clock::now() + answer_max)) throw_unanswered();
  throw SessionRefused(pooled_error());
}

}  // namespace backstitch::postgres
