#include <algorithm>

#include "binary_array.hpp"
#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {
namespace {

engine::EventRecord event_of(const pqxx::row& row, int first) {
  return {engine::Sequence(number_of(row[first])), text_or_empty(row[first + 1]),
          text_or_empty(row[first + 2]), text_or_empty(row[first + 3]), time_of(row[first + 4])};
}

}  // namespace

Result<std::vector<engine::StoredSaga>> load(Session& session, const std::vector<SagaId>& sagas) {
  static const std::string sql =
      "select saga_id, sequence, type, path, data, " BACKSTITCH_MILLISECONDS("at")
      " from backstitch.saga_log where saga_id = any ($1::uuid[]) order by saga_id, sequence";
  BinaryArray ids(Oid::uuid);
  for (const SagaId& saga : sagas) ids.add(saga);

  std::vector<engine::StoredSaga> loaded;
  for (const auto& row : session.run_binary("load", sql, {ids.bytes()})) {
    const SagaId saga = saga_of(row[0]);
    if (loaded.empty() || loaded.back().id != saga) loaded.push_back({saga, {}});
    loaded.back().events.push_back(event_of(row, 1));
  }
  return loaded;
}

Result<std::vector<SagaId>> due(Session& session, const engine::DueQuery& query) {
  // Each question gives at most one page, the cheaper part of the merged page. The log, and not the
  // children, says who is a parent: a child may be scheduled and not be there yet.
  static const std::string sql = R"(
    select id from (
      (select id from backstitch.saga
        where not $6::boolean and shard = any ($1::smallint[]) and id > $2::uuid
          and status in ('RUNNING', 'COMPENSATING', 'SUSPENDED') and wake_at is not null
          and wake_at <= now() + $3::bigint * interval '1 millisecond'
          and ($7::bigint is null or wake_at >= now() - $7::bigint * interval '1 millisecond')
        order by id limit $5::int)
      union all
      (select id from backstitch.saga g
        where $6::boolean and shard = any ($1::smallint[]) and id > $2::uuid
          and status in ('RUNNING', 'COMPENSATING', 'SUSPENDED') and wake_at is not null
          and wake_at <= now() + $3::bigint * interval '1 millisecond'
          and exists (select 1 from backstitch.saga_log l
                       where l.saga_id = g.id and l.type = 'ChildScheduled')
        order by id limit $5::int)
      union all
      (select id from backstitch.saga
        where $4::boolean and not $6::boolean and shard = any ($1::smallint[]) and id > $2::uuid
          and status in ('RUNNING', 'COMPENSATING') and wake_at is null
        order by id limit $5::int)) found
     order by id limit $5::int)";
  const NullableText lookback(
      query.lookback ? std::optional(std::to_string(query.lookback->count())) : std::nullopt);
  const pqxx::result found = session.run_prepared(
      "due", sql, shards_literal(query.shards), query.after.text(), query.horizon.count(),
      query.resident_too ? "true" : "false", std::min(query.limit, limit_max),
      query.parents_only ? "true" : "false", lookback.get());
  std::vector<SagaId> ids;
  ids.reserve(found.size());
  for (const auto& row : found) ids.push_back(saga_of(row[0]));
  return ids;
}

Result<std::size_t> remove_expired(Session& session, const std::vector<Shard>& shards,
                                   std::size_t limit, Duration key_retention) {
  const pqxx::result removed = session.run_prepared(
      "remove_expired", "select backstitch.remove_expired($1::smallint[], $2::int, $3::bigint)",
      shards_literal(shards), std::min(limit, limit_max), key_retention.count());
  return static_cast<std::size_t>(number_of(removed[0][0]));
}

Result<engine::HistoryPage> history(Session& session, const SagaId& saga, engine::Sequence after,
                                    std::size_t limit) {
  // Event by event, up to the first one behind the page: the data of a thousand large events must
  // not be read to find that they do not fit.
  static const std::string sql = R"(
    with recursive page (sequence, type, path, data, at, count, bytes) as (
      (select sequence, type, path, data, at, 1, octet_length(data::text)::bigint
         from backstitch.saga_log where saga_id = $1::uuid and sequence > $2::bigint
        order by sequence limit 1)
      union all
      select n.sequence, n.type, n.path, n.data, n.at, p.count + 1,
             p.bytes + octet_length(n.data::text)
        from page p
       cross join lateral (
         select * from backstitch.saga_log l
          where l.saga_id = $1::uuid and l.sequence > p.sequence order by l.sequence limit 1) n
       where p.count < $3::int and (p.count = 1 or p.bytes <= $4::bigint))
    select sequence, type, path, data, )" BACKSTITCH_MILLISECONDS("at") R"(
      from page order by sequence)";
  limit = std::min(limit, page_max - 1);
  std::vector<engine::EventRecord> events;
  for (const auto& row : session.run_prepared("history", sql, saga.text(), after.get(), limit + 1,
                                              engine::history_bytes_max)) {
    events.push_back(event_of(row, 0));
  }
  if (!events.empty()) return engine::history_page(std::move(events), limit);
  // Behind the end of a log, or no such saga.
  if (session
          .run_prepared("saga_exists", "select 1 from backstitch.saga where id = $1::uuid",
                        saga.text())
          .empty()) {
    return Error{ErrorCode::not_found, "saga-not-found", "there is no saga " + saga.text()};
  }
  return engine::HistoryPage{};
}

}  // namespace backstitch::postgres
