#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/language_schema.hpp>

#include "metrics.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

/// Of the sagas that are set aside.
constexpr std::size_t set_aside_listed_max = 20;

/// Beside the status the sagas that an operator has to look at.
Json readiness(const engine::Engine& engine) {
  Json sagas = Json::array();
  for (const SagaId& saga : engine.set_aside(set_aside_listed_max)) sagas.push_back(saga.text());
  Json ready{{"status", "ready"}};
  if (engine.is_read_only()) ready["status"] = "read-only";
  if (std::string warning = engine.store_warning(); !warning.empty())
    ready["warning"] = std::move(warning);
  if (!sagas.empty()) ready["sagasSetAside"] = std::move(sagas);
  return ready;
}

}  // namespace

void add_system_routes(Router& router, engine::Engine& engine, const Options& options,
                       const Refusals& refusals, const Connections& connections) {
  using Captured = std::vector<std::string>;
  router.add(
      "GET", "/livez", {},
      [](const Request&, const Captured&, const Respond& respond) {
        respond(json_reply(200, {{"status", "alive"}}));
      },
      Access::probe);
  const auto answer_readiness = [&engine](const Request&, const Captured&, const Respond& respond) {
    const std::string reason = engine.not_ready_reason();
    if (reason.empty()) return respond(json_reply(200, readiness(engine)));
    respond(problem(503, "not-ready", reason));
  };
  router.add("GET", "/readyz", {}, answer_readiness, Access::probe);
  // What proxies ask where nothing else is configured.
  router.add("OPTIONS", "/", {}, answer_readiness, Access::probe);
  router.add("HEAD", "/", {}, answer_readiness, Access::probe);
  router.add(
      "GET", "/version", {}, [&options](const Request&, const Captured&, const Respond& respond) {
        respond(json_reply(
            200, {{"name", "backstitch"}, {"version", options.version}, {"api", 1}, {"dsl", 1}}));
      });
  // Where `$schema` of a definition may point, so that editors know the language.
  router.add("GET", "/schemas/saga-1.json", {},
             [](const Request&, const Captured&, const Respond& respond) {
               Reply reply;
               reply.content_type = "application/schema+json";
               reply.body = dsl::language_schema();
               respond(std::move(reply));
             });
  router.add(
      "GET", "/metrics", {},
      [&engine, &options, &refusals, &connections](const Request&, const Captured&,
                                                   const Respond& respond) {
        Reply reply;
        reply.content_type = "text/plain; version=0.0.4";
        reply.body =
            metrics_text(engine.counters()) + connections.metrics_text() + refusals.metrics_text();
        if (options.log_lines_dropped) reply.body += log_metrics_text(options.log_lines_dropped());
        respond(std::move(reply));
      },
      Access::probe);
}

}  // namespace backstitch::rest
