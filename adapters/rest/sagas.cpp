#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include "page.hpp"
#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"
#include "starts.hpp"

namespace backstitch::rest {
namespace {

constexpr std::size_t page_max = 500;
// What a row of the list shows; the saga has the rest.
constexpr std::size_t listed_label_bytes_max = 256;
constexpr std::size_t listed_message_bytes_max = 1'000;
constexpr std::size_t history_page_max = 1'000;

Result<std::vector<std::string>> statuses_in(const Request& request) {
  std::vector<std::string> statuses;
  const auto [first, last] = request.query.equal_range("status");
  for (auto it = first; it != last; ++it) {
    if (!engine::parse_saga_status(it->second)) {
      return invalid(
          "query-invalid",
          "`status` is RUNNING, COMPENSATING, COMPLETED, FAILED, FAILED_INCOMPLETE or SUSPENDED.");
    }
    statuses.push_back(it->second);
  }
  return statuses;
}

/// The ids that begin so lie together in the primary key. Eight characters are 65 seconds of
/// starts: with fewer, hardly any prefix would be unique.
Result<Done> read_id_prefix(const Request& request, engine::ListQuery& query) {
  constexpr std::size_t chars_min = 8;
  constexpr std::string_view lowest = "00000000-0000-0000-0000-000000000000";
  constexpr std::string_view highest = "ffffffff-ffff-ffff-ffff-ffffffffffff";
  const auto prefix = request.parameter("idPrefix");
  if (!prefix) return Done{};
  const std::size_t length = prefix->size();
  if (length >= chars_min && length <= lowest.size()) {
    query.first = SagaId::parse(*prefix + std::string(lowest.substr(length)));
    query.last = SagaId::parse(*prefix + std::string(highest.substr(length)));
  }
  if (query.first && query.last) return Done{};
  return invalid("query-invalid",
                 "`idPrefix` is the beginning of a saga id, at least 8 characters like 019b76da.");
}

Result<engine::ListQuery> list_query(const Request& request) {
  engine::ListQuery query;
  auto statuses = statuses_in(request);
  if (!statuses) return statuses.error();
  query.statuses = std::move(*statuses);
  for (auto [name, field] :
       {std::pair{"definition", &query.definition}, std::pair{"businessKey", &query.business_key},
        std::pair{"failureCode", &query.failure_code}}) {
    *field = request.parameter(name);
  }
  for (auto [name, field] : {std::pair{"startedAfter", &query.started_after},
                             std::pair{"startedBefore", &query.started_before}}) {
    auto value = time_in(request, name);
    if (!value) return value.error();
    *field = *value;
  }
  for (const auto& [name, value] : request.query) {
    if (name.starts_with("label.")) query.labels[name.substr(6)] = value;
  }
  if (auto prefix = read_id_prefix(request, query); !prefix) return prefix.error();
  auto limit = number_in(request, "limit", 1, page_max, 50);
  if (!limit) return limit.error();
  query.limit = *limit;
  const auto cursor = cursor_in(request);
  if (!cursor) return cursor.error();
  query.before = *cursor;
  return query;
}

/// Between two characters of its UTF-8.
void cut(Json& text, std::size_t bytes_max) {
  if (!text.is_string()) return;
  auto& whole = text.get_ref<std::string&>();
  if (whole.size() <= bytes_max) return;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(whole[end]) & 0xC0U) == 0x80U) --end;
  whole = whole.substr(0, end) + "…";
}

/// A failure without its details, and texts without their ends: many rows fit on a page.
void shorten(Json& listed) {
  for (auto& label : listed["labels"]) cut(label, listed_label_bytes_max);
  Json& failure = listed["failure"];
  if (!failure.is_object()) return;
  failure.erase("details");
  for (auto& member : failure) cut(member, listed_message_bytes_max);
}

Json summary_json(const engine::SagaSummary& saga) {
  Json json{{"id", saga.id.text()},
            {"definition", saga.definition},
            {"version", saga.version},
            {"status", saga.status},
            {"businessKey", saga.business_key ? Json(*saga.business_key) : Json()},
            {"labels", saga.labels.empty() ? Json::object() : dsl::stored_json(saga.labels)},
            {"failure", saga.failure.empty() ? Json() : dsl::stored_json(saga.failure)},
            {"pivotPassed", saga.pivot_passed},
            {"startedAt", to_rfc3339(saga.started_at)},
            {"endedAt", saga.ended_at ? Json(to_rfc3339(*saga.ended_at)) : Json()}};
  engine::mask_listed(json, saga.sensitive);
  shorten(json);
  return json;
}

void list_sagas(engine::Engine& engine, const Request& request, const Respond& respond) {
  auto query = list_query(request);
  if (!query) return respond(problem(query.error()));
  const std::size_t limit = query->limit++;
  engine.reader().list(std::move(*query), [respond, limit](auto page) {
    if (!page) return respond(problem(page.error()));
    // One row too many was asked for: it tells whether there are more.
    Page answer = page_of(*page, limit, false, summary_json,
                          [](const engine::SagaSummary& saga) { return saga.id.text(); });
    respond(
        json_reply(200, {{"sagas", std::move(answer.items)}, {"cursor", std::move(answer.next)}}));
  });
}

Json event_json(const engine::EventRecord& event) {
  return {{"sequence", event.sequence.get()},
          {"type", event.type},
          {"path", event.path.empty() ? Json() : Json(event.path)},
          {"at", to_rfc3339(event.at)},
          {"data", event.data.empty() ? Json::object() : dsl::stored_json(event.data)}};
}

void read_history(engine::Engine& engine, const Request& request, const std::string& saga,
                  const Respond& respond) {
  const auto id = saga_id_of(saga);
  if (!id) return respond(problem(id.error()));
  const auto after = number_in(request, "after", 0, 1'000'000'000, 0);
  if (!after) return respond(problem(after.error()));
  const auto limit = number_in(request, "limit", 1, history_page_max, 200);
  if (!limit) return respond(problem(limit.error()));
  engine.history(*id, engine::Sequence{static_cast<std::int64_t>(*after)}, *limit,
                 [respond, limit = *limit](const Result<engine::HistoryPage>& page) {
                   if (!page) return respond(problem(page.error()));
                   Page answer = page_of(
                       page->events, limit, page->has_more, event_json,
                       [](const engine::EventRecord& event) { return event.sequence.get(); });
                   respond(json_reply(200, {{"events", std::move(answer.items)},
                                            {"next", std::move(answer.next)}}));
                 });
}

}  // namespace

void add_saga_routes(Router& router, engine::Engine& engine, const Options& options) {
  using Captured = std::vector<std::string>;
  router.add("POST", "/v1/sagas", {"wait"},
             [&engine, &options](Request request, const Captured&, Respond respond) {
               start_saga(engine, options, std::move(request), std::move(respond));
             });
  router.add("POST", "/v1/sagas/batch", {},
             [&engine, &options](Request request, const Captured&, Respond respond) {
               start_batch(engine, options, std::move(request), std::move(respond));
             });
  router.add("GET", "/v1/sagas",
             {QueryParameter::repeatable("status"), QueryParameter::prefix("label."), "definition",
              "businessKey", "failureCode", "startedAfter", "startedBefore", "idPrefix", "limit",
              "cursor"},
             [&engine](const Request& request, const Captured&, const Respond& respond) {
               list_sagas(engine, request, respond);
             });
  router.add("GET", "/v1/sagas/{}", {},
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               const auto id = saga_id_of(captured[0]);
               if (!id) return respond(problem(id.error()));
               engine.view(*id, [respond](const Result<Json>& view) {
                 respond(view ? json_reply(200, *view) : problem(view.error()));
               });
             });
  router.add("GET", "/v1/sagas/{}/history", {"after", "limit"},
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               read_history(engine, request, captured[0], respond);
             });
}

}  // namespace backstitch::rest
