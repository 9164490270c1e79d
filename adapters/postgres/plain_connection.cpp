#include "plain_connection.hpp"

#include <poll.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <memory>
#include <string_view>

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

bool has_several_hosts(PGconn* connection) {
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(
      ::PQconninfo(connection), &::PQconninfoFree);
  for (const PQconninfoOption* one = options.get(); one != nullptr && one->keyword != nullptr;
       ++one) {
    if (one->val != nullptr && std::string_view(one->keyword).starts_with("host") &&
        std::string_view(one->val).find(',') != std::string_view::npos)
      return true;
  }
  return false;
}

}  // namespace

PlainConnection PlainConnection::open(const std::string& text) {
  return PlainConnection(::PQconnectdb(text.c_str()));
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
  return {sqlstate_of(plain.message(), has_several_hosts(connection)), true};
}

}  // namespace backstitch::postgres
