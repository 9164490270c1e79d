#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>

#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

Json findings_json(const std::vector<dsl::Finding>& findings) {
  Json list = Json::array();
  for (const auto& finding : findings) list.push_back(to_json(finding));
  return list;
}

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

void list_definitions(engine::Engine& engine, const Respond& respond) {
  std::map<std::string, Json> by_name;
  for (const auto& stored : engine.registry().definitions()) {
    Json& entry = by_name[stored.name];
    if (entry.is_null())
      entry = {{"name", stored.name}, {"activeVersion", nullptr}, {"versions", Json::array()}};
    if (stored.active) entry["activeVersion"] = stored.version;
    entry["versions"].push_back(stored.version);
  }
  Json list = Json::array();
  for (auto& [name, entry] : by_name) list.push_back(std::move(entry));
  respond(json_reply(200, {{"definitions", std::move(list)}}));
}

Result<Reply> definition_reply(engine::Engine& engine, const std::string& name) {
  Json versions = Json::array();
  Json active = nullptr;
  for (const auto& stored : engine.registry().definitions()) {
    if (stored.name != name) continue;
    versions.push_back(version_json(stored, false));
    if (stored.active) active = stored.version;
  }
  if (versions.empty()) return no_definition(name);
  return json_reply(200,
                    {{"name", name}, {"activeVersion", active}, {"versions", std::move(versions)}});
}

Result<Reply> version_reply(engine::Engine& engine, const std::string& name, std::int64_t version) {
  for (const auto& stored : engine.registry().definitions()) {
    if (stored.name == name && stored.version == version)
      return json_reply(200, version_json(stored, true));
  }
  return no_definition(name + "` version `" + std::to_string(version));
}

Reply registration_reply(const engine::Registration& registration, bool dry_run) {
  const bool conflict = registration.outcome == engine::PutOutcome::conflict;
  if (!conflict && has_errors(registration.findings))
    return findings_problem(registration.findings);
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
            {"active", registration.active},
            {"findings", findings_json(registration.findings)}};
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
    return engine.registry().validate(std::move(request.body),
                                      [respond](const engine::Registration& registration) {
                                        respond(registration_reply(registration, true));
                                      });
  }
  engine.registry().register_definition(
      std::move(request.body), *activate, [respond](Result<engine::Registration> done) {
        respond(done ? registration_reply(*done, false) : problem(done.error()));
      });
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
  auto from = request.single("from");
  if (!from) return from.error();
  if (from->has_value()) {
    const auto number = version_of(**from);
    if (!number) return number.error();
    query.from = *number;
  }
  const auto limit = number_in(request, "limit", 1, engine::sagas_compared_max, query.limit);
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

void compare(engine::Engine& engine, const Request& request,
             const std::vector<std::string>& captured, const Respond& respond) {
  auto query = compatibility_query(request, captured);
  if (!query) return respond(problem(query.error()));
  const Json head{{"name", query->definition}, {"version", query->version}};
  engine.compare(std::move(*query), [respond, head](const Result<engine::CompatibilityPage>& page) {
    if (!page) return respond(problem(page.error()));
    Json body = head;
    Json sagas = Json::array();
    std::size_t compatible = 0;
    for (const auto& saga : page->sagas) {
      compatible += saga.reasons.empty() ? 1 : 0;
      sagas.push_back(compared_json(saga));
    }
    body["compatible"] = compatible;
    body["incompatible"] = page->sagas.size() - compatible;
    body["sagas"] = std::move(sagas);
    body["cursor"] = page->next ? Json(page->next->text()) : Json();
    respond(json_reply(200, body));
  });
}

}  // namespace

void add_definition_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  router.add("POST", "/v1/definitions",
             [&engine](Request request, const Captured&, const Respond& respond) {
               register_definition(engine, std::move(request), respond);
             });
  router.add("POST", "/v1/definitions/validate",
             [&engine](Request request, const Captured&, const Respond& respond) {
               engine.registry().validate(
                   std::move(request.body), [respond](const engine::Registration& checked) {
                     respond(json_reply(200, {{"name", checked.name},
                                              {"version", checked.version},
                                              {"valid", !has_errors(checked.findings)},
                                              {"findings", findings_json(checked.findings)}}));
                   });
             });
  router.add("GET", "/v1/definitions",
             [&engine](const Request&, const Captured&, const Respond& respond) {
               list_definitions(engine, respond);
             });
  router.add("GET", "/v1/definitions/{}",
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               respond_looked_up(
                   engine, [&engine, captured] { return definition_reply(engine, captured[0]); },
                   respond);
             });
  router.add("GET", "/v1/definitions/{}/versions/{}",
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
  router.add("POST", "/v1/definitions/{}/versions/{}/compatibility",
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               compare(engine, request, captured, respond);
             });
  router.add(
      "POST", "/v1/definitions/{}/versions/{}/activate",
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
