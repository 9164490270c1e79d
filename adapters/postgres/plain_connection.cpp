#include "plain_connection.hpp"

#include <poll.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

namespace backstitch::postgres {
namespace {

constexpr std::chrono::seconds diagnosis_max{3};
constexpr std::size_t sqlstate_size = 5;

bool is_sqlstate(std::string_view text) {
  return text.size() == sqlstate_size && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isdigit(c) != 0 || (c >= 'A' && c <= 'Z');
         });
}

/// With the verbosity `sqlstate`, libpq ends the line of each host by two blanks and the SQLSTATE.
/// Remarks, as of the password file, have none.
/// @param several_hosts  a line without one may be of a host that is away: another try may succeed
/// @return that of the last line that has one; empty if none tells what waiting would not mend
std::string sqlstate_of(std::string_view message, bool several_hosts) {
  constexpr std::string_view before = ":  ";
  std::string state;
  while (!message.empty()) {
    const auto end = std::min(message.find('\n'), message.size());
    const std::string_view line = message.substr(0, end);
    message.remove_prefix(std::min(end + 1, message.size()));
    if (line.empty()) continue;
    const auto found = line.rfind(before);
    const std::string_view last =
        found == std::string_view::npos ? "" : line.substr(found + before.size());
    if (is_sqlstate(last))
      state = last;
    else if (several_hosts)
      return {};
  }
  return state;
}

/// The parts of an option that may be a list; none if it is not set.
std::vector<std::string> list_of(const PQconninfoOption* options, std::string_view name) {
  for (; options != nullptr && options->keyword != nullptr; ++options) {
    if (name != options->keyword || options->val == nullptr) continue;
    std::vector<std::string> parts;
    std::string_view rest = options->val;
    for (;;) {
      const auto comma = rest.find(',');
      parts.emplace_back(rest.substr(0, comma));
      if (comma == std::string_view::npos) return parts;
      rest.remove_prefix(comma + 1);
    }
  }
  return {};
}

std::vector<PlainConnection::Host> hosts_of(PGconn* connection) {
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(
      ::PQconninfo(connection), &::PQconninfoFree);
  const auto names = list_of(options.get(), "host");
  const auto addresses = list_of(options.get(), "hostaddr");
  const auto ports = list_of(options.get(), "port");
  std::vector<PlainConnection::Host> hosts(std::max(names.size(), addresses.size()));
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    if (i < names.size()) hosts[i].host = names[i];
    if (i < addresses.size()) hosts[i].address = addresses[i];
    // One port may be that of all.
    if (!ports.empty()) hosts[i].port = ports[std::min(i, ports.size() - 1)];
  }
  return hosts;
}

}  // namespace

PlainConnection PlainConnection::open(const std::string& text) {
  return PlainConnection(::PQconnectdb(text.c_str()));
}

PlainConnection PlainConnection::open(const std::string& text, const Host& host) {
  // The later ones win over those that the first one, which is a whole text, names.
  const char* const names[] = {"dbname", "host", "hostaddr", "port", "target_session_attrs",
                               nullptr};
  const char* const values[] = {
      text.c_str(), host.host.c_str(), host.address.c_str(), host.port.c_str(), "any", nullptr};
  return PlainConnection(::PQconnectdbParams(names, values, 1));
}

std::vector<PlainConnection::Host> PlainConnection::hosts_of(const std::string& text) {
  const PlainConnection begun(::PQconnectStart(text.c_str()));
  return postgres::hosts_of(begun.connection_.get());
}

std::string PlainConnection::Host::text() const {
  const std::string& shown = host.empty() ? address : host;
  return port.empty() ? shown : shown + ":" + port;
}

bool PlainConnection::send(const char* sql) {
  return ::PQsendQuery(connection_.get(), sql) == 1;
}

std::optional<std::string> PlainConnection::answer(Deadline deadline) {
  std::optional<std::string> value;
  for (;;) {
    while (::PQisBusy(connection_.get()) == 1) {
      if (!wait(POLLIN, deadline) || ::PQconsumeInput(connection_.get()) != 1) return std::nullopt;
    }
    PGresult* const result = ::PQgetResult(connection_.get());
    if (result == nullptr) return value;
    if (::PQresultStatus(result) == PGRES_TUPLES_OK && ::PQntuples(result) > 0)
      value = ::PQgetvalue(result, 0, 0);
    if (const char* state = ::PQresultErrorField(result, PG_DIAG_SQLSTATE)) sqlstate_ = state;
    ::PQclear(result);
  }
}

bool PlainConnection::wait(short events, Deadline deadline) const {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd socket{::PQsocket(connection_.get()), events, 0};
    const int ready = ::poll(&socket, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

ConnectFailure ConnectFailure::of(const std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + diagnosis_max;
  PlainConnection plain(::PQconnectStart(text.c_str()));
  PGconn* const connection = plain.connection_.get();
  if (!plain.is_open() && ::PQsocket(connection) < 0 && ::PQping(text.c_str()) == PQPING_NO_ATTEMPT)
    return {{}, false};
  ::PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
  auto state = PGRES_POLLING_WRITING;
  while (state == PGRES_POLLING_WRITING || state == PGRES_POLLING_READING) {
    if (!plain.wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) return {};
    state = ::PQconnectPoll(connection);
  }
  if (state == PGRES_POLLING_OK) return {};  // it was a passing trouble
  // The server asks for a password, and there is none to send: what a wrong one gives.
  if (::PQconnectionNeedsPassword(connection) == 1) return {"28P01", true};
  return {sqlstate_of(plain.message(), hosts_of(connection).size() > 1), true};
}

}  // namespace backstitch::postgres
