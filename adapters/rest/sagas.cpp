#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"
#include "starts.hpp"

namespace backstitch::rest {
namespace {

constexpr std::size_t page_max = 500;
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

Result<Done> known_filters(const Request& request) {
  for (const auto& [name, value] : request.query) {
    const bool known = name == "status" || name == "definition" || name == "businessKey" ||
                       name == "startedAfter" || name == "startedBefore" || name == "failureCode" ||
                       name == "limit" || name == "cursor" || name.starts_with("label.");
    if (!known) {
      return invalid("query-invalid",
                     "Unknown filter `" + name +
                         "`; known are status, definition, businessKey, label.NAME, startedAfter, "
                         "startedBefore, failureCode, limit and cursor.");
    }
  }
  return Done{};
}

Result<engine::ListQuery> list_query(const Request& request) {
  if (auto known = known_filters(request); !known) return known.error();
  engine::ListQuery query;
  auto statuses = statuses_in(request);
  if (!statuses) return statuses.error();
  query.statuses = std::move(*statuses);
  for (auto [name, field] :
       {std::pair{"definition", &query.definition}, std::pair{"businessKey", &query.business_key},
        std::pair{"failureCode", &query.failure_code}}) {
    auto value = request.single(name);
    if (!value) return value.error();
    *field = std::move(*value);
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
  auto limit = number_in(request, "limit", 1, page_max, 50);
  if (!limit) return limit.error();
  query.limit = *limit;
  auto cursor = request.single("cursor");
  if (!cursor) return cursor.error();
  if (cursor->has_value()) {
    query.before = SagaId::parse(**cursor);
    if (!query.before)
      return invalid("cursor-invalid", "`cursor` is not one this server gave out.");
  }
  return query;
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
  return json;
}

void list_sagas(engine::Engine& engine, const Request& request, const Respond& respond) {
  auto query = list_query(request);
  if (!query) return respond(problem(query.error()));
  const std::size_t limit = query->limit;
  engine.reader().list(std::move(*query), [respond, limit](const auto& page) {
    if (!page) return respond(problem(page.error()));
    Json list = Json::array();
    for (const auto& saga : *page) list.push_back(summary_json(saga));
    Json cursor = page->size() == limit ? Json(page->back().id.text()) : Json();
    respond(json_reply(200, {{"sagas", std::move(list)}, {"cursor", std::move(cursor)}}));
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
  engine.history(
      *id, engine::Sequence{static_cast<std::int64_t>(*after)}, *limit,
      [respond, limit = *limit](const auto& events) {
        if (!events) return respond(problem(events.error()));
        Json list = Json::array();
        for (const auto& event : *events) list.push_back(event_json(event));
        Json next = events->size() == limit ? Json(events->back().sequence.get()) : Json();
        respond(json_reply(200, {{"events", std::move(list)}, {"next", std::move(next)}}));
      });
}

}  // namespace

void add_saga_routes(Router& router, engine::Engine& engine, const Options& options) {
  using Captured = std::vector<std::string>;
  router.add("POST", "/v1/sagas",
             [&engine, &options](Request request, const Captured&, Respond respond) {
               start_saga(engine, options, std::move(request), std::move(respond));
             });
  router.add("POST", "/v1/sagas/batch",
             [&engine, &options](Request request, const Captured&, Respond respond) {
               start_batch(engine, options, std::move(request), std::move(respond));
             });
  router.add("GET", "/v1/sagas",
             [&engine](const Request& request, const Captured&, const Respond& respond) {
               list_sagas(engine, request, respond);
             });
  router.add("GET", "/v1/sagas/{}",
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               const auto id = saga_id_of(captured[0]);
               if (!id) return respond(problem(id.error()));
               engine.view(*id, [respond](const Result<Json>& view) {
                 respond(view ? json_reply(200, *view) : problem(view.error()));
               });
             });
  router.add("GET", "/v1/sagas/{}/history",
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               read_history(engine, request, captured[0], respond);
             });
}

}  // namespace backstitch::rest
