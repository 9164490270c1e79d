#include <utility>

#include <nlohmann/json.hpp>

#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

constexpr std::size_t command_bytes_max = 256 * 1024;
constexpr std::size_t reason_bytes_max = 1'000;
constexpr std::size_t step_bytes_max = 4'096;

/// What every operator action may say: why.
struct Command {
  SagaId saga;
  std::string by;
  std::string reason;
  Json body;
};

Result<Command> read_command(const Request& request, const std::string& saga,
                             std::initializer_list<const char*> allowed) {
  auto id = saga_id_of(saga);
  if (!id) return std::move(id).error();
  auto body = object_body(request, allowed, command_bytes_max, true);
  if (!body) return std::move(body).error();
  auto reason = text_member(*body, "reason", reason_bytes_max);
  if (!reason) return std::move(reason).error();
  return Command{*id, request.actor, reason->value_or(""), std::move(body).value()};
}

Json plan_json(const engine::explore::Plan& plan) {
  Json steps = Json::array();
  for (const auto& step : plan.steps) {
    Json one{{"step", step.path}, {"action", to_text(step.action)}};
    if (!step.request.empty()) one["request"] = step.request;
    steps.push_back(std::move(one));
  }
  return {{"dryRun", true},
          {"steps", std::move(steps)},
          {"end", to_text(plan.end)},
          {"complete", plan.complete},
          {"warnings", plan.warnings}};
}

void run(engine::Engine& engine, const Request& request, SagaId saga, engine::Command command,
         const Respond& respond) {
  const auto dry_run = flag_in(request, "dryRun");
  if (!dry_run) return respond(problem(dry_run.error()));
  if (*dry_run) {
    return engine.plan(saga, std::move(command),
                       [respond](const Result<engine::explore::Plan>& plan) {
                         respond(plan ? json_reply(200, plan_json(*plan)) : problem(plan.error()));
                       });
  }
  auto key = idempotency_key_of(request);
  if (!key) return respond(problem(key.error()));
  engine.command(
      saga, std::move(command),
      [&engine, saga, respond](const Result<Done>& done) {
        if (!done) return respond(problem(done.error()));
        engine.view(saga, [respond, repeated = done->repeated](const Result<Json>& view) {
          respond(view ? replayed_if(repeated, json_reply(200, *view)) : problem(view.error()));
        });
      },
      std::move(*key));
}

/// Data of a step that is done; of anything else there is none.
Result<engine::Resolve> resolve_of(const Command& command, const std::string& step) {
  const Json& body = command.body;
  const auto as = text_member(body, "as", reason_bytes_max);
  if (!as) return as.error();
  const auto resolution =
      as->has_value() ? engine::parse_resolution(**as) : std::optional<engine::Resolution>{};
  if (!resolution) {
    return invalid("body-invalid",
                   "`as` says what became of the step: `done`, `not-done` or `compensated`.",
                   "/as");
  }
  engine::Resolve resolve{step, *resolution, {}, {}, command.by, command.reason};
  for (const auto& [name, target] :
       {std::pair{"output", &resolve.output}, std::pair{"captured", &resolve.captured}}) {
    if (!body.contains(name)) continue;
    if (resolution != engine::Resolution::done)
      return invalid("body-invalid", "`" + std::string(name) + "` is for a step that is done.",
                     "/" + std::string(name));
    *target = body.at(name);
  }
  return resolve;
}

}  // namespace

void add_operator_routes(Router& router, engine::Engine& engine) {
  using Captured = std::vector<std::string>;
  const QueryParameters command_parameters{"dryRun"};
  router.add(
      "POST", "/v1/sagas/{}/cancel", command_parameters,
      [&engine](const Request& request, const Captured& captured, const Respond& respond) {
        auto command = read_command(request, captured[0], {"reason"});
        if (!command) return respond(problem(command.error()));
        run(engine, request, command->saga, engine::Cancel{command->by, command->reason}, respond);
      });
  router.add(
      "POST", "/v1/sagas/{}/retry", command_parameters,
      [&engine](const Request& request, const Captured& captured, const Respond& respond) {
        auto command = read_command(request, captured[0], {"reason"});
        if (!command) return respond(problem(command.error()));
        run(engine, request, command->saga, engine::Retry{command->by, command->reason}, respond);
      });
  router.add("POST", "/v1/sagas/{}/suspend", command_parameters,
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               auto command = read_command(request, captured[0], {"step", "reason"});
               if (!command) return respond(problem(command.error()));
               auto step = text_member(command->body, "step", step_bytes_max);
               if (!step) return respond(problem(step.error()));
               run(engine, request, command->saga,
                   engine::Suspend{step->value_or(""), command->by, command->reason}, respond);
             });
  router.add("POST", "/v1/sagas/{}/steps/{}/skip", command_parameters,
             [&engine](const Request& request, const Captured& captured, const Respond& respond) {
               auto command = read_command(request, captured[0], {"reason"});
               if (!command) return respond(problem(command.error()));
               run(engine, request, command->saga,
                   engine::Skip{captured[1], command->by, command->reason}, respond);
             });
  router.add(
      "POST", "/v1/sagas/{}/steps/{}/resolve", command_parameters,
      [&engine](const Request& request, const Captured& captured, const Respond& respond) {
        auto command = read_command(request, captured[0], {"as", "output", "captured", "reason"});
        if (!command) return respond(problem(command.error()));
        auto resolve = resolve_of(*command, captured[1]);
        if (!resolve) return respond(problem(resolve.error()));
        run(engine, request, command->saga, std::move(*resolve), respond);
      });
}

}  // namespace backstitch::rest
