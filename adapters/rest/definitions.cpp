#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>

#include "page.hpp"
#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

Json version_json(const engine::StoredDefinition& stored, bool with_document) {
  Json json{
      {"name", stored.name},
      {"version", stored.version},
      {"hash", stored.hash},
      {"active", stored.active},
      {"registeredAt", to_rfc3339(stored.registered_at)},
      {"findings", stored.findings.empty() ? Json::array() : dsl::stored_json(stored.findings)}};
  if (with_document) json["definition"] = dsl::stored_json(stored.document);
  return json;
}

Error no_definition(const std::string& name) {
  return {ErrorCode::not_found, "definition-not-found",
          "No definition `" + name + "` is registered; see GET /v1/definitions."};
}

void list_definitions(engine::Engine& engine, const Request& request, const Respond& respond) {
  const auto position = position_in(request);
  if (!position) return respond(problem(position.error()));
  std::map<std::string, Json> by_name;
  for (const auto& stored : engine.registry().definitions()) {
    if (stored->name <= position->after) continue;
    Json& entry = by_name[stored->name];
    if (entry.is_null())
      entry = {{"name", stored->name}, {"activeVersion", nullptr}, {"versions", Json::array()}};
    if (stored->active) entry["activeVersion"] = stored->version;
    entry["versions"].push_back(stored->version);
  }
  Page page = page_of(
      by_name, position->limit, false, [](const auto& one) { return one.second; },
      [](const auto& one) { return one.first; });
  respond(
      json_reply(200, {{"definitions", std::move(page.items)}, {"cursor", std::move(page.next)}}));
}

Result<Reply> definition_reply(engine::Engine& engine, const std::string& name, std::int64_t after,
                               std::size_t limit) {
  std::vector<std::shared_ptr<const engine::StoredDefinition>> versions;
  Json active = nullptr;
  bool is_known = false;
  for (const auto& stored : engine.registry().definitions()) {
    if (stored->name != name) continue;
    is_known = true;
    if (stored->active) active = stored->version;
    if (stored->version > after) versions.push_back(stored);
  }
  if (!is_known) return no_definition(name);
  Page page = page_of(
      versions, limit, false, [](const auto& one) { return version_json(*one, false); },
      [](const auto& one) { return std::to_string(one->version); });
  return json_reply(200, {{"name", name},
                          {"activeVersion", active},
                          {"versions", std::move(page.items)},
                          {"cursor", std::move(page.next)}});
}

void show_definition(engine::Engine& engine, const Request& request, const std::string& name,
                     const Respond& respond) {
  const auto position = position_in(request);
  if (!position) return respond(problem(position.error()));
  const auto after =
      position->after.empty() ? Result<std::int64_t>(0) : version_of(position->after);
  if (!after) return respond(problem(cursor_error()));
  respond_looked_up(
      engine,
      [&engine, name, after = *after, limit = position->limit] {
        return definition_reply(engine, name, after, limit);
      },
      respond);
}

Result<Reply> version_reply(engine::Engine& engine, const std::string& name, std::int64_t version) {
  for (const auto& stored : engine.registry().definitions()) {
    if (stored->name == name && stored->version == version)
      return json_reply(200, version_json(*stored, true));
  }
  return no_definition(name + "` version `" + std::to_string(version));
}

Reply registration_reply(const engine::Registration& registration, bool dry_run) {
  const bool conflict = registration.outcome == engine::PutOutcome::conflict;
  if (!conflict && has_errors(registration.findings))
    return findings_problem("definition", registration.findings);
  const std::string place =
      "/v1/definitions/" + registration.name + "/versions/" + std::to_string(registration.version);
  switch (registration.outcome) {
    case engine::PutOutcome::conflict:
      return problem({ErrorCode::conflict, "definition-conflict",
                      registration.name + " version " + std::to_string(registration.version) +
                          " is registered with other content; registered content never changes. "
                          "Give the new content the next version number."});
    case engine::PutOutcome::created:
    case engine::PutOutcome::same:
      break;
  }
  const bool created = registration.outcome == engine::PutOutcome::created;
  Json body{{"name", registration.name},
            {"version", registration.version},
            {"hash", registration.hash},
            {"active", registration.active}};
  add_findings(body, registration.findings);
  if (dry_run) {
    body["dryRun"] = true;
    body["outcome"] = created ? "new" : "same";
    return json_reply(200, body);
  }
  Reply reply = json_reply(created ? 201 : 200, body);
  reply.headers.emplace_back("Location", place);
  return reply;
}

void register_definition(engine::Engine& engine, Request request, const Respond& respond) {
  const auto activate = flag_in(request, "activate");
  if (!activate) return respond(problem(activate.error()));
  const auto dry_run = flag_in(request, "dryRun");
  if (!dry_run) return respond(problem(dry_run.error()));
  if (*dry_run) {
    return engine.registry().validate(
        std::move(request.body), [respond](const Result<engine::Registration>& checked) {
          respond(checked ? registration_reply(*checked, true) : problem(checked.error()));
        });
  }
  engine.registry().register_definition(
      std::move(request.body), *activate, [respond](Result<engine::Registration> done) {
        respond(done ? registration_reply(*done, false) : problem(done.error()));
      });
}

Reply validation_reply(const engine::Registration& checked) {
  Json body{{"name", checked.name},
            {"version", checked.version},
            {"valid", !has_errors(checked.findings)}};
  add_findings(body, checked.findings);
  return json_reply(200, body);
}

Json compared_json(const engine::ComparedSaga& saga) {
  Json reasons = Json::array();
  for (const auto& reason : saga.reasons) {
    reasons.push_back({{"code", reason.code},
                       {"step", reason.step.empty() ? Json() : Json(reason.step)},
                       {"message", reason.message}});
  }
  return {{"id", saga.id.text()},
          {"version", saga.version},
          {"status", saga.status},
          {"compatible", saga.reasons.empty()},
          {"reasons", std::move(reasons)}};
}

Result<engine::CompatibilityQuery> compatibility_query(const Request& request,
                                                       const std::vector<std::string>& captured) {
  engine::CompatibilityQuery query;
  query.definition = captured[0];
  const auto version = version_of(captured[1]);
  if (!version) return version.error();
  query.version = *version;
  if (const auto from = request.parameter("from")) {
    const auto number = version_of(*from);
    if (!number) return number.error();
    query.from = *number;
  }
  const auto limit = number_in(request, "limit", 1, engine::sagas_compared_max, query.limit);
  if (!limit) return limit.error();
  query.limit = *limit;
  const auto cursor = cursor_in(request);
  if (!cursor) return cursor.error();
  query.before = *cursor;
  return query;
}

void compare(engine::Engine& engine, const Request& request,
             const std::vector<std::string>& captured, const Respond& respond) {
  auto query = compatibility_query(request, captured);
  if (!query) return respond(problem(query.error()));
  const Json head{{"name", query->definition}, {"version", query->version}};
  engine.compare(std::move(*query), [respond, head](const Result<engine::CompatibilityPage>& page) {
    if (!page) return respond(problem(page.error()));
    Json body = head;
    Page answer = page_of(page->sagas, page->sagas.size(), page->next.has_value(), compared_json,
                          [](const engine::ComparedSaga& saga) { return saga.id.text(); });
    const auto compatible =
        std::count_if(answer.items.begin(), answer.items.end(),
                      [](const Json& saga) { return saga.at("compatible") == true; });
    body["compatible"] = compatible;
    body["incompatible"] = answer.items.size() - static_cast<std::size_t>(compatible);
    // Those behind the last one may all run by this version: then the page does not name the next.
    if (answer.items.size() == page->sagas.size() && page->next) answer.next = page->next->text();
    body["sagas"] = std::move(answer.items);
    body["cursor"] = std::move(answer.next);
    respond(json_reply(200, body));
  });
}

}  // namespace

void add_definition_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  router.add(
      "POST", "/v1/definitions", {"activate", "dryRun"},
      [&engine](Request request, const Captured&, const Respond& respond) {
        register_definition(engine, std::move(request), respond);
      },
      Access::api, Load::heavy);
  router.add(
      "POST", "/v1/definitions/validate", {},
      [&engine](Request request, const Captured&, const Respond& respond) {
        engine.registry().validate(
            std::move(request.body), [respond](const Result<engine::Registration>& checked) {
              respond(checked ? validation_reply(*checked) : problem(checked.error()));
            });
      },
      Access::api, Load::heavy);
  router.add("GET", "/v1/definitions", {"limit", "cursor"},
             [&engine](const Request& request, const Captured&, const Respond& respond) {
               list_definitions(engine, request, respond);
             });
  router.add("GET", "/v1/definitions/{}", {"limit", "cursor"},
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               show_definition(engine, request, captured[0], respond);
             });
  router.add("GET", "/v1/definitions/{}/versions/{}", {},
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               const auto version = version_of(captured[1]);
               if (!version) return respond(problem(version.error()));
               respond_looked_up(
                   engine,
                   [&engine, name = captured[0], number = *version] {
                     return version_reply(engine, name, number);
                   },
                   respond);
             });
  router.add("POST", "/v1/definitions/{}/versions/{}/compatibility", {"from", "limit", "cursor"},
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               compare(engine, request, captured, respond);
             });
  router.add(
      "POST", "/v1/definitions/{}/versions/{}/activate", {},
      [&engine](const Request&, const Captured& captured, const Respond& respond) {
        const auto version = version_of(captured[1]);
        if (!version) return respond(problem(version.error()));
        engine.registry().activate(
            captured[0], *version, [respond, captured, number = *version](Result<Done> done) {
              respond(done ? json_reply(200, {{"name", captured[0]}, {"activeVersion", number}})
                           : problem(done.error()));
            });
      });
}

}  // namespace backstitch::rest
