#include <algorithm>

#include <nlohmann/json.hpp>

#include "binary_array.hpp"
#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {
namespace {

constexpr std::size_t limit_max = 500;
/// A saga's id carries the time at which it was made; its start is at most this far from it.
constexpr Duration id_slack = std::chrono::minutes(1);

engine::EventRecord event_of(const pqxx::row& row, int first) {
  return {engine::Sequence(number_of(row[first])), text_or_empty(row[first + 1]),
          text_or_empty(row[first + 2]), text_or_empty(row[first + 3]), time_of(row[first + 4])};
}

/// The lowest id a saga made at that time can have.
SagaId id_at(TimePoint time) {
  const std::int64_t count = std::max<std::int64_t>(0, time.time_since_epoch().count());
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(count) >> (8 * (5 - i)));
  }
  return SagaId(bytes);
}

std::optional<std::string> milliseconds(const std::optional<TimePoint>& time) {
  if (!time) return std::nullopt;
  return std::to_string(time->time_since_epoch().count());
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
          and status in ('RUNNING', 'COMPENSATING') and wake_at is not null
          and wake_at <= now() + $3::bigint * interval '1 millisecond'
          and ($7::bigint is null or wake_at >= now() - $7::bigint * interval '1 millisecond')
        order by id limit $5::int)
      union all
      (select id from backstitch.saga g
        where $6::boolean and shard = any ($1::smallint[]) and id > $2::uuid
          and status in ('RUNNING', 'COMPENSATING') and wake_at is not null
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
                                   std::size_t limit) {
  const pqxx::result removed = session.run_prepared(
      "remove_expired", "select backstitch.remove_expired($1::smallint[], $2::int)",
      shards_literal(shards), std::min(limit, limit_max));
  return static_cast<std::size_t>(number_of(removed[0][0]));
}

Result<std::vector<engine::SagaSummary>> list(Session& session, const engine::ListQuery& query) {
  // Readers plan each statement with its values (force_custom_plan), so a filter that is null
  // vanishes and each combination gets the index that suits it.
  static const std::string sql =
      "select id, definition, version, status, business_key, labels, failure, "
      "pivot_passed, " BACKSTITCH_MILLISECONDS("started_at") ", " BACKSTITCH_MILLISECONDS(
          "ended_at") R"(
      from backstitch.saga
     where ($1::text[] is null or status = any ($1::text[]))
       and ($2::text is null or definition = $2::text)
       and ($3::text is null or business_key = $3::text)
       and ($4::jsonb is null or (labels @> $4::jsonb and labels <> '{}'))
       and ($5::bigint is null
            or started_at >= timestamptz 'epoch' + $5::bigint * interval '1 millisecond')
       and ($6::uuid is null or id >= $6::uuid)
       and ($7::bigint is null
            or started_at < timestamptz 'epoch' + $7::bigint * interval '1 millisecond')
       and ($8::uuid is null or id < $8::uuid)
       and ($9::text is null or failure_code = $9::text)
       and ($10::uuid is null or id < $10::uuid)
     order by id desc limit $11::int)";
  using Text = std::optional<std::string>;
  const NullableText statuses(query.statuses.empty() ? Text() : array_literal(query.statuses));
  const NullableText definition(query.definition);
  const NullableText business_key(query.business_key);
  const NullableText labels(
      query.labels.empty()
          ? Text()
          : Json(query.labels).dump(-1, ' ', false, Json::error_handler_t::replace));
  const NullableText after(milliseconds(query.started_after));
  const NullableText after_id(query.started_after ? id_at(*query.started_after - id_slack).text()
                                                  : Text());
  const NullableText before(milliseconds(query.started_before));
  const NullableText before_id(query.started_before ? id_at(*query.started_before + id_slack).text()
                                                    : Text());
  const NullableText failure_code(query.failure_code);
  const NullableText page(query.before ? query.before->text() : Text());

  std::vector<engine::SagaSummary> summaries;
  for (const auto& row : session.run_prepared(
           "list", sql, statuses.get(), definition.get(), business_key.get(), labels.get(),
           after.get(), after_id.get(), before.get(), before_id.get(), failure_code.get(),
           page.get(), std::min(query.limit, limit_max))) {
    engine::SagaSummary& summary = summaries.emplace_back();
    summary.id = saga_of(row[0]);
    summary.definition = text_or_empty(row[1]);
    summary.version = number_of(row[2]);
    summary.status = text_or_empty(row[3]);
    if (!row[4].is_null()) summary.business_key = text_or_empty(row[4]);
    summary.labels = text_or_empty(row[5]);
    summary.failure = text_or_empty(row[6]);
    summary.pivot_passed = flag_of(row[7]);
    summary.started_at = time_of(row[8]);
    summary.ended_at = optional_time_of(row[9]);
  }
  return summaries;
}

Result<std::vector<engine::EventRecord>> history(Session& session, const SagaId& saga,
                                                 engine::Sequence after, std::size_t limit) {
  static const std::string sql =
      "select sequence, type, path, data, " BACKSTITCH_MILLISECONDS("at")
      " from backstitch.saga_log where saga_id = $1::uuid and sequence > $2::bigint"
      " order by sequence limit $3::int";
  std::vector<engine::EventRecord> events;
  for (const auto& row :
       session.run_prepared("history", sql, saga.text(), after.get(), std::min(limit, limit_max))) {
    events.push_back(event_of(row, 0));
  }
  if (!events.empty()) return events;
  // Behind the end of a log, or no such saga.
  if (session
          .run_prepared("saga_exists", "select 1 from backstitch.saga where id = $1::uuid",
                        saga.text())
          .empty()) {
    return Error{ErrorCode::not_found, "saga-not-found", "there is no saga " + saga.text()};
  }
  return events;
}

}  // namespace backstitch::postgres
