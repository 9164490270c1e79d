#include <map>
#include <utility>

#include <nlohmann/json.hpp>

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
  Json json{{"name", stored.name},
            {"version", stored.version},
            {"hash", stored.hash},
            {"active", stored.active},
            {"registeredAt", to_rfc3339(stored.registered_at)},
            {"findings", stored.findings.empty() ? Json::array() : Json::parse(stored.findings)}};
  if (with_document) json["definition"] = Json::parse(stored.document);
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

void read_definition(engine::Engine& engine, const std::string& name, const Respond& respond) {
  Json versions = Json::array();
  Json active = nullptr;
  for (const auto& stored : engine.registry().definitions()) {
    if (stored.name != name) continue;
    versions.push_back(version_json(stored, false));
    if (stored.active) active = stored.version;
  }
  if (versions.empty()) return respond(problem(no_definition(name)));
  respond(json_reply(
      200, {{"name", name}, {"activeVersion", active}, {"versions", std::move(versions)}}));
}

void read_version(engine::Engine& engine, const std::vector<std::string>& captured,
                  const Respond& respond) {
  const auto version = version_of(captured[1]);
  if (!version) return respond(problem(version.error()));
  for (const auto& stored : engine.registry().definitions()) {
    if (stored.name == captured[0] && stored.version == *version) {
      return respond(json_reply(200, version_json(stored, true)));
    }
  }
  respond(problem(no_definition(captured[0] + "` version `" + captured[1])));
}

Reply registration_reply(const engine::Registration& registration) {
  if (has_errors(registration.findings)) return findings_problem(registration.findings);
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
  Reply reply = json_reply(registration.outcome == engine::PutOutcome::created ? 201 : 200,
                           {{"name", registration.name},
                            {"version", registration.version},
                            {"hash", registration.hash},
                            {"active", registration.active},
                            {"findings", findings_json(registration.findings)}});
  reply.headers.emplace_back("Location", place);
  return reply;
}

void register_definition(engine::Engine& engine, Request request, const Respond& respond) {
  const auto activate = flag_in(request, "activate");
  if (!activate) return respond(problem(activate.error()));
  engine.registry().register_definition(
      std::move(request.body), *activate, [respond](Result<engine::Registration> done) {
        respond(done ? registration_reply(*done) : problem(done.error()));
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
             [&engine](const Request& request, const Captured&, const Respond& respond) {
               const auto checked = engine.registry().validate(request.body);
               respond(json_reply(200, {{"name", checked.name},
                                        {"version", checked.version},
                                        {"valid", !has_errors(checked.findings)},
                                        {"findings", findings_json(checked.findings)}}));
             });
  router.add("GET", "/v1/definitions",
             [&engine](const Request&, const Captured&, const Respond& respond) {
               list_definitions(engine, respond);
             });
  router.add("GET", "/v1/definitions/{}",
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               read_definition(engine, captured[0], respond);
             });
  router.add("GET", "/v1/definitions/{}/versions/{}",
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               read_version(engine, captured, respond);
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
