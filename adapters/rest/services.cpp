#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>

#include "page.hpp"
#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

Json service_json(const engine::StoredService& stored) {
  return {{"name", stored.name}, {"service", dsl::stored_json(stored.document)}};
}

/// With how many running sagas call the service from now on; without it where that is not known.
void respond_with_use(engine::Engine& engine, const std::string& name, int status, Json answer,
                      const Respond& respond) {
  engine.service_use(
      name, [respond, status, answer = std::move(answer)](Result<engine::ServiceUse> use) mutable {
        if (use) answer["runningSagas"] = use->sagas;
        if (use && use->more) answer["moreSagas"] = true;
        respond(json_reply(status, std::move(answer)));
      });
}

void respond_to_put(engine::Engine& engine, const std::string& name,
                    const engine::ServiceRegistration& registration, const Respond& respond) {
  if (has_errors(registration.findings))
    return respond(findings_problem("service", registration.findings));
  const bool created = registration.outcome == engine::PutOutcome::created;
  Json answer{{"name", name}};
  if (!registration.findings.empty()) add_findings(answer, registration.findings);
  respond_with_use(engine, name, created ? 201 : 200, std::move(answer), respond);
}

Result<engine::StoredService> service_named(engine::Engine& engine, const std::string& name) {
  for (auto& stored : engine.registry().services())
    if (stored.name == name) return std::move(stored);
  return Error{ErrorCode::not_found, "service-not-found",
               "No service `" + name + "` is registered; PUT it first."};
}

void list_services(engine::Engine& engine, const Request& request, const Respond& respond) {
  const auto position = position_in(request);
  if (!position) return respond(problem(position.error()));
  auto services = engine.registry().services();
  std::erase_if(services, [&](const auto& one) { return one.name <= position->after; });
  Page page = page_of(services, position->limit, false, service_json,
                      [](const engine::StoredService& one) { return one.name; });
  respond(json_reply(200, {{"services", std::move(page.items)}, {"cursor", std::move(page.next)}}));
}

}  // namespace

void add_service_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  router.add(
      "PUT", "/v1/services/{}", {},
      [&engine](Request request, const Captured& captured, const Respond& respond) {
        engine.registry().put_service(
            captured[0], std::move(request.body),
            [&engine, respond, name = captured[0]](Result<engine::ServiceRegistration> done) {
              if (!done) return respond(problem(done.error()));
              respond_to_put(engine, name, *done, respond);
            });
      },
      Access::api, Load::heavy);
  router.add("GET", "/v1/services", {"limit", "cursor"},
             [&engine](const Request& request, const Captured&, const Respond& respond) {
               list_services(engine, request, respond);
             });
  router.add("GET", "/v1/services/{}", {},
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               engine::look_up(
                   engine.registry(),
                   [&engine, name = captured[0]] { return service_named(engine, name); },
                   [&engine, respond](const Result<engine::StoredService>& stored) {
                     if (!stored) return respond(problem(stored.error()));
                     respond_with_use(engine, stored->name, 200, service_json(*stored), respond);
                   });
             });
}

}  // namespace backstitch::rest
