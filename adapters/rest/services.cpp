#include <utility>

#include <nlohmann/json.hpp>

#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

Json service_json(const engine::StoredService& stored) {
  return {{"name", stored.name}, {"service", Json::parse(stored.document)}};
}

Reply put_reply(const std::string& name, const engine::ServiceRegistration& registration) {
  if (has_errors(registration.findings)) return findings_problem(registration.findings);
  Json answer{{"name", name}};
  for (const auto& finding : registration.findings) answer["findings"].push_back(to_json(finding));
  return json_reply(registration.outcome == engine::PutOutcome::created ? 201 : 200, answer);
}

}  // namespace

void add_service_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  router.add("PUT", "/v1/services/{}",
             [&engine](Request request, const Captured& captured, const Respond& respond) {
               engine.registry().put_service(
                   captured[0], std::move(request.body),
                   [respond, name = captured[0]](Result<engine::ServiceRegistration> done) {
                     respond(done ? put_reply(name, *done) : problem(done.error()));
                   });
             });
  router.add("GET", "/v1/services",
             [&engine](const Request&, const Captured&, const Respond& respond) {
               Json list = Json::array();
               for (const auto& stored : engine.registry().services())
                 list.push_back(service_json(stored));
               respond(json_reply(200, {{"services", std::move(list)}}));
             });
  router.add("GET", "/v1/services/{}",
             [&engine](const Request&, const Captured& captured, const Respond& respond) {
               for (const auto& stored : engine.registry().services()) {
                 if (stored.name == captured[0])
                   return respond(json_reply(200, service_json(stored)));
               }
               respond(problem({ErrorCode::not_found, "service-not-found",
                                "No service `" + captured[0] + "` is registered; PUT it first."}));
             });
}

}  // namespace backstitch::rest
