#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/language_schema.hpp>

#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

/// The Prometheus text format, version 0.0.4: small enough here to need no library.
std::string metrics_text(const engine::Counters& counters) {
  struct Metric {
    const char* name;
    const char* kind;
    const char* help;
    std::uint64_t value;
  };
  const Metric metrics[] = {
      {"backstitch_starts_total", "counter", "Sagas started.", counters.starts},
      {"backstitch_starts_refused_total", "counter", "Starts refused to protect running sagas.",
       counters.starts_refused},
      {"backstitch_sagas_ended_total", "counter", "Sagas that ended.", counters.ended},
      {"backstitch_appends_total", "counter", "Transitions made durable.", counters.appends},
      {"backstitch_commits_total", "counter", "Transactions that carried them.", counters.commits},
      {"backstitch_calls_total", "counter", "Attempts sent to participants.", counters.calls},
      {"backstitch_sagas_resident", "gauge", "Sagas in memory.", counters.resident},
      {"backstitch_shards_held", "gauge", "Shards this node holds.", counters.shards_held},
  };
  std::string text;
  for (const auto& metric : metrics) {
    text += std::string("# HELP ") + metric.name + ' ' + metric.help + "\n# TYPE " + metric.name +
            ' ' + metric.kind + '\n' + metric.name + ' ' + std::to_string(metric.value) + '\n';
  }
  return text;
}

}  // namespace

void add_system_routes(Router& router, engine::Engine& engine, const Options& options) {
  using Captured = std::vector<std::string>;
  router.add("GET", "/livez", [](const Request&, const Captured&, const Respond& respond) {
    respond(json_reply(200, {{"status", "alive"}}));
  });
  router.add("GET", "/readyz", [&engine](const Request&, const Captured&, const Respond& respond) {
    const std::string reason = engine.not_ready_reason();
    if (reason.empty()) return respond(json_reply(200, {{"status", "ready"}}));
    respond(problem(503, "not-ready", reason));
  });
  router.add(
      "GET", "/version", [&options](const Request&, const Captured&, const Respond& respond) {
        respond(json_reply(
            200, {{"name", "backstitch"}, {"version", options.version}, {"api", 1}, {"dsl", 1}}));
      });
  // Where `$schema` of a definition may point, so that editors know the language.
  router.add("GET", "/schemas/saga-1.json",
             [](const Request&, const Captured&, const Respond& respond) {
               Reply reply;
               reply.content_type = "application/schema+json";
               reply.body = dsl::language_schema();
               respond(std::move(reply));
             });
  router.add("GET", "/metrics", [&engine](const Request&, const Captured&, const Respond& respond) {
    Reply reply;
    reply.content_type = "text/plain; version=0.0.4";
    reply.body = metrics_text(engine.counters());
    respond(std::move(reply));
  });
}

}  // namespace backstitch::rest
