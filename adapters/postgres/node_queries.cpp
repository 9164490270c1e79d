/// Leases, and the commands that nodes leave for each other.
#include <algorithm>

#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {
namespace {

std::vector<std::int64_t> numbers(const std::string& text) {
  std::vector<std::int64_t> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::int64_t value = 0;
    at = std::from_chars(at, end, value).ptr + 1;
    values.push_back(value);
  }
  return values;
}

}  // namespace

Result<engine::LeaseAnswer> renew(Session& session, const engine::LeaseRequest& request) {
  static const std::string sql =
      "select database_now, shards, epochs, surplus from backstitch.renew_leases($1::text, "
      "$2::bigint, $3::int, $4::boolean, $5::text)";
  const pqxx::result answer =
      session.run_prepared("renew", sql, request.node, request.lease.count(), request.shards_max,
                           request.first ? "true" : "false", request.address);
  engine::LeaseAnswer leases;
  leases.database_now = time_of(answer[0][0]);
  const std::vector<std::int64_t> shards = numbers(text_or_empty(answer[0][1]));
  const std::vector<std::int64_t> epochs = numbers(text_or_empty(answer[0][2]));
  for (std::size_t i = 0; i < shards.size(); ++i)
    leases.held.push_back({static_cast<Shard>(shards[i]), engine::Epoch(epochs.at(i))});
  leases.surplus = static_cast<std::size_t>(number_of(answer[0][3]));
  return leases;
}

Result<Done> give_up(Session& session, const std::string& node, const std::vector<Shard>& shards) {
  session.run_prepared("give_up", "select backstitch.give_up_shards($1::text, $2::smallint[])",
                       node, shards_literal(shards));
  return Done{};
}

Result<Done> release(Session& session, const std::string& node) {
  session.run_prepared("release", "select backstitch.release_leases($1::text)", node);
  return Done{};
}

Result<std::vector<engine::NodeInfo>> nodes(Session& session) {
  static const std::string sql =
      "select n.name, n.address, (select count(*) from backstitch.shard s where s.node = n.name), "
      "n.shards_max, " BACKSTITCH_MILLISECONDS("n.started_at") ", " BACKSTITCH_MILLISECONDS(
          "n.renewed_at") ", " BACKSTITCH_MILLISECONDS("n.expires_at") R"(, n.expires_at > now()
      from backstitch.node n order by n.name)";
  std::vector<engine::NodeInfo> all;
  for (const auto& row : session.run_prepared("nodes", sql)) {
    engine::NodeInfo& node = all.emplace_back();
    node.name = text_or_empty(row[0]);
    node.address = text_or_empty(row[1]);
    node.shards = static_cast<std::size_t>(number_of(row[2]));
    node.shards_max = static_cast<std::size_t>(number_of(row[3]));
    node.started_at = time_of(row[4]);
    node.renewed_at = time_of(row[5]);
    node.expires_at = time_of(row[6]);
    node.alive = flag_of(row[7]);
  }
  return all;
}

Result<std::int64_t> put_command(Session& session, const engine::InboxItem& item) {
  const pqxx::result number = session.run_prepared(
      "put_command",
      "select backstitch.put_command($1::uuid, $2::smallint, $3::text, $4::text, $5::jsonb)",
      item.saga.text(), static_cast<int>(item.saga.shard()), item.kind, item.node, item.data);
  if (number[0][0].is_null()) {
    return Error{ErrorCode::not_found, "saga-not-found",
                 "There is no saga " + item.saga.text() + "."};
  }
  return number_of(number[0][0]);
}

namespace {

#define BACKSTITCH_INBOX_COLUMNS "id, saga_id, kind, node, data, " BACKSTITCH_MILLISECONDS("at")

engine::InboxItem inbox_item(const pqxx::row& row) {
  return {number_of(row[0]),     saga_of(row[1]),       text_or_empty(row[2]),
          text_or_empty(row[3]), text_or_empty(row[4]), time_of(row[5])};
}

}  // namespace

Result<std::optional<engine::InboxItem>> start_of(Session& session, const SagaId& saga) {
  const pqxx::result found =
      session.run_prepared("start_of",
                           "select " BACKSTITCH_INBOX_COLUMNS
                           " from backstitch.inbox where kind = 'start' and saga_id = $1::uuid",
                           saga.text());
  if (found.empty()) return std::optional<engine::InboxItem>{};
  return std::optional(inbox_item(found[0]));
}

Result<std::vector<engine::InboxItem>> waiting(Session& session, const engine::InboxQuery& query) {
  static const std::string starts =
      "select " BACKSTITCH_INBOX_COLUMNS
      " from backstitch.inbox"
      " where kind = 'start' and shard = any ($1::smallint[]) and id > $2::bigint"
      " order by id limit $3::int";
  static const std::string commands = "select " BACKSTITCH_INBOX_COLUMNS R"(
      from backstitch.inbox c
     where kind <> 'start' and shard = any ($1::smallint[]) and id > $2::bigint
       and not exists (select 1 from backstitch.inbox s
                        where s.saga_id = c.saga_id and s.kind = 'start')
     order by id limit $3::int)";
  std::vector<engine::InboxItem> items;
  for (const auto& row : session.run_prepared(
           query.starts ? "inbox_starts" : "inbox_commands", query.starts ? starts : commands,
           shards_literal(query.shards), query.after, std::min(query.limit, limit_max))) {
    items.push_back(inbox_item(row));
  }
  return items;
}

Result<std::vector<engine::InboxAnswer>> take_answers(Session& session, const std::string& node) {
  std::vector<engine::InboxAnswer> answers;
  for (const auto& row : session.run_prepared(
           "take_answers",
           "delete from backstitch.inbox_answer where node = $1::text returning id, error", node))
    answers.push_back({number_of(row[0]), text_or_empty(row[1])});
  return answers;
}

}  // namespace backstitch::postgres
