/// The list of sagas, newest first.
///
/// A page is one ordered walk of the index that suits the filters, and the planner is kept from the
/// one plan that can go wrong: walking the primary key backwards. It does not know that the sagas
/// of one definition, or with one label, lie together in time, and would wade through the million
/// others that came after them. Therefore the other indexes hold the id `desc nulls last`; no id is
/// null, but that order cannot be had from the primary key.
#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {
namespace {

/// A saga's id carries the time at which it was made; its start is at most this far from it.
constexpr Duration id_slack = std::chrono::minutes(1);

std::optional<std::string> id_text(const std::optional<SagaId>& id) {
  if (!id) return std::nullopt;
  return id->text();
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

/// The lowest id that the query can find; unset: any.
std::optional<SagaId> lowest_id(const engine::ListQuery& query) {
  if (!query.started_after) return query.first;
  const SagaId made_after = id_at(*query.started_after - id_slack);
  return query.first ? std::max(*query.first, made_after) : made_after;
}

std::optional<std::string> milliseconds_text(const std::optional<TimePoint>& time) {
  if (!time) return std::nullopt;
  return std::to_string(time->time_since_epoch().count());
}

// Readers plan each statement with its values (force_custom_plan): a filter that is null vanishes.
const char* const fits = R"(
      ($1::text[] is null or s.status = any ($1::text[]))
  and ($2::text is null or s.definition = $2::text)
  and ($3::text is null or s.business_key = $3::text)
  and ($4::jsonb is null or s.labels @> $4::jsonb)
  and ($5::bigint is null
       or s.started_at >= timestamptz 'epoch' + $5::bigint * interval '1 millisecond')
  and ($6::uuid is null or s.id >= $6::uuid)
  and ($7::bigint is null
       or s.started_at < timestamptz 'epoch' + $7::bigint * interval '1 millisecond')
  and ($8::uuid is null or s.id < $8::uuid)
  and ($9::text is null or s.failure_code = $9::text)
  and ($10::uuid is null or s.id < $10::uuid)
  and ($12::uuid is null or s.id <= $12::uuid))";

struct Way {
  std::string name;
  std::string sql;
};

/// @param page a query that gives the ids
Way rows_of(std::string name, const std::string& page) {
  return {std::move(name),
          "select g.id, g.definition, g.version, g.status, g.business_key, g.labels, g.failure, "
          "g.pivot_passed, " BACKSTITCH_MILLISECONDS("g.started_at") ", " BACKSTITCH_MILLISECONDS(
              "g.ended_at") ", g.sensitive from (" +
              page + ") page join backstitch.saga g on g.id = page.id order by g.id desc"};
}

/// @param order `desc`: the primary key's; `desc nulls last`: that of the other indexes
Way walk(std::string name, const std::string& order) {
  return rows_of(std::move(name), std::string("select s.id from backstitch.saga s where") + fits +
                                      " order by s.id " + order + " limit $11::int");
}

/// By one of the labels. Two labels may share a hash: the filter tells them apart.
Way walk_label() {
  return rows_of("list_by_label", std::string(R"(
    select s.id from backstitch.saga_label l join backstitch.saga s on s.id = l.saga_id
     where l.label = backstitch.some_label_hash($4::jsonb) and )") +
                                      fits + R"(
     order by l.saga_id desc nulls last limit $11::int)");
}

/// The newest of each status of each definition, where none is given of all there are; the page is
/// among them. Definitions are found by leaping from one to the next in the index.
Way walk_definitions() {
  return rows_of("list_by_definition", std::string(R"(
    with recursive d (name) as (
      select coalesce($2::text, (select min(definition) from backstitch.saga))
      union all
      select (select min(n.definition) from backstitch.saga n where n.definition > d.name)
        from d where d.name is not null and $2::text is null)
    select s.id
      from d
     cross join (select distinct unnest(coalesce($1::text[], backstitch.saga_statuses())))
       w (status)
     cross join lateral (
       select s.id from backstitch.saga s
        where s.definition = d.name and s.status = w.status and )") +
                                           fits + R"(
        order by s.id desc nulls last limit $11::int) s
     order by s.id desc limit $11::int)");
}

const Way& way_of(const engine::ListQuery& query) {
  static const Way everything = walk("list", "desc");
  static const Way by_key = walk("list_by_key", "desc nulls last");
  static const Way by_label = walk_label();
  static const Way by_definition = walk_definitions();
  if (query.business_key || query.failure_code) return by_key;
  if (!query.labels.empty()) return by_label;
  if (query.definition || !query.statuses.empty()) return by_definition;
  return everything;
}

}  // namespace

Result<std::vector<engine::SagaSummary>> list(Session& session, const engine::ListQuery& query) {
  const Way& way = way_of(query);
  using Text = std::optional<std::string>;
  const NullableText statuses(query.statuses.empty() ? Text() : array_literal(query.statuses));
  const NullableText definition(query.definition);
  const NullableText business_key(query.business_key);
  const NullableText labels(
      query.labels.empty()
          ? Text()
          : Json(query.labels).dump(-1, ' ', false, Json::error_handler_t::replace));
  const NullableText after(milliseconds_text(query.started_after));
  const NullableText lowest(id_text(lowest_id(query)));
  const NullableText before(milliseconds_text(query.started_before));
  const NullableText before_id(query.started_before ? id_at(*query.started_before + id_slack).text()
                                                    : Text());
  const NullableText failure_code(query.failure_code);
  const NullableText page(id_text(query.before));
  const NullableText highest(id_text(query.last));

  std::vector<engine::SagaSummary> summaries;
  for (const auto& row : session.run_prepared(
           way.name, way.sql, statuses.get(), definition.get(), business_key.get(), labels.get(),
           after.get(), lowest.get(), before.get(), before_id.get(), failure_code.get(), page.get(),
           std::min(query.limit, page_max), highest.get())) {
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
    summary.sensitive = text_or_empty(row[10]);
  }
  return summaries;
}

}  // namespace backstitch::postgres
