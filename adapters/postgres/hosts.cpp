#include "hosts.hpp"

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "plain_connection.hpp"
#include "session.hpp"

namespace backstitch::postgres {
namespace {

constexpr std::chrono::seconds host_answer_max{3};

constexpr const char* writes_query =
    "select case when pg_catalog.pg_is_in_recovery() then 'standby'"
    " when pg_catalog.current_setting('transaction_read_only') = 'on' then 'read-only'"
    " else 'primary' end";
/// A server may have several names: when it was started, to the microsecond, and its port tell it
/// from every other one.
constexpr const char* server_query =
    "select pg_catalog.concat_ws(' ', pg_catalog.current_setting('port'),"
    " extract(epoch from pg_catalog.pg_postmaster_start_time()))";
constexpr const char* written_timeline_query =
    "select pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()),"
    " 1, 8)";
/// In hexadecimal digits, as above. A standby replays what is newer than its last checkpoint.
constexpr const char* replayed_timeline_query =
    "select pg_catalog.to_hex(greatest(c.timeline_id, r.min_recovery_end_timeline))"
    " from pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r";

struct HostAnswer {
  std::string host;
  std::optional<std::string> server{};  ///< the same under each of its names
  bool takes_writes = false;
  std::optional<std::uint32_t> timeline{};  ///< as far as the role may know
};

std::optional<std::string> ask_host(PlainConnection& connection, const char* sql) {
  if (!connection.send(sql)) return std::nullopt;
  return connection.answer(std::chrono::steady_clock::now() + host_answer_max);
}

std::optional<HostAnswer> answer_of(const std::string& text, const PlainConnection::Host& host) {
  PlainConnection connection = PlainConnection::open(text, host);
  if (!connection.is_open()) return std::nullopt;
  const auto kind = ask_host(connection, writes_query);
  if (!kind) return std::nullopt;
  HostAnswer answer{host.text(), ask_host(connection, server_query), *kind == "primary"};
  const auto digits =
      ask_host(connection, *kind == "standby" ? replayed_timeline_query : written_timeline_query);
  std::uint32_t timeline = 0;
  if (digits && std::from_chars(digits->data(), digits->data() + digits->size(), timeline, 16).ec ==
                    std::errc{})
    answer.timeline = timeline;
  return answer;
}

}  // namespace

Result<Done> check_hosts(const std::string& database_url) {
  const std::string text = with_options(database_url, {{"connect_timeout", "3"}});
  const auto hosts = PlainConnection::hosts_of(text);
  if (hosts.size() < 2) return Done{};
  std::optional<HostAnswer> primary;
  std::optional<HostAnswer> latest;
  for (const auto& host : hosts) {
    const auto answer = answer_of(text, host);
    if (!answer) continue;
    if (answer->timeline && (!latest || answer->timeline > latest->timeline)) latest = answer;
    if (!answer->takes_writes) continue;
    if (primary && (!primary->server || primary->server != answer->server)) {
      return Error{ErrorCode::invalid, "database-several-primaries",
                   "two hosts of the database take writes, " + primary->host + " and " +
                       answer->host +
                       ": one of them was left behind by a failover; stop that one before any node "
                       "is started"};
    }
    primary = answer;
  }
  if (primary && primary->timeline && latest && *latest->timeline > *primary->timeline) {
    return Error{ErrorCode::invalid, "database-left-behind",
                 "the only host that takes writes, " + primary->host + ", is on timeline " +
                     std::to_string(*primary->timeline) + ", and " + latest->host +
                     " is on timeline " + std::to_string(*latest->timeline) +
                     " already: it is an old primary"};
  }
  return Done{};
}

}  // namespace backstitch::postgres
