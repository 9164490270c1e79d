/// What comes to a saga from outside while it runs: signals, and participants' later answers.
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/answer_body.hpp>

#include "params.hpp"
#include "problem.hpp"
#include "resources.hpp"

namespace backstitch::rest {
namespace {

Result<Json> any_body(const Request& request, std::size_t bytes_max) {
  if (request.body.empty()) return Json();
  return dsl::parse_json(request.body, {.bytes_max = bytes_max});
}

void send_signal(engine::Engine& engine, const Options& options, const Request& request,
                 const std::string& saga, const std::string& name, const Respond& respond) {
  const auto id = saga_id_of(saga);
  if (!id) return respond(problem(id.error()));
  auto payload = any_body(request, options.body_bytes_max);
  if (!payload) return respond(problem(payload.error()));
  auto key = idempotency_key_of(request);
  if (!key) return respond(problem(key.error()));
  // Without authentication everybody may do everything; with it, roles come with the identity.
  engine::Signal signal{name, std::move(*payload), request.actor, {"*"}};
  engine.command(
      *id, std::move(signal),
      [respond, saga, name](const Result<Done>& done) {
        if (!done) return respond(problem(done.error()));
        respond(replayed_if(done->repeated, json_reply(202, {{"id", saga}, {"signal", name}})));
      },
      std::move(*key));
}

/// A callback is a participant's answer and is read as one. But its sender is still there to be
/// told that its body cannot be read, so such a callback is refused and settles nothing.
Result<engine::Response> answer_of(const Request& request, std::size_t bytes_max) {
  auto json = any_body(request, bytes_max);
  if (json) return engine::Response{200, {}, std::move(*json)};
  auto body = engine::read_body(request.content_type, request.content_encoding, request.body);
  if (!body.unreadable.empty()) return std::move(json).error();
  return engine::Response{200, {}, std::move(body.value)};
}

Error callback_unknown() {
  return {ErrorCode::not_found, "callback-unknown",
          "No step has this callback; send the answer to the URL of the call's `Saga-Callback`."};
}

void take_callback(engine::Engine& engine, const Options& options, const Request& request,
                   const std::string& token, const Respond& respond) {
  const auto saga = engine::saga_of_callback(token);
  if (!saga) {
    return respond(problem(callback_unknown()));
  }
  auto answer = answer_of(request, options.body_bytes_max);
  if (!answer) return respond(problem(answer.error()));
  engine::Callback callback{token, std::move(*answer)};
  engine.command(*saga, std::move(callback), [respond](const Result<Done>& done) {
    if (done) return respond(json_reply(200, {{done->repeated ? "repeated" : "accepted", true}}));
    // Who does not know the saga cannot know its callback.
    const bool unknown = done.error().code == ErrorCode::not_found;
    respond(problem(unknown ? callback_unknown() : done.error()));
  });
}

}  // namespace

void add_signal_routes(Router& router, engine::Engine& engine, const Options& options) {
  using Captured = std::vector<std::string>;
  router.add("POST", "/v1/sagas/{}/signals/{}", {},
             [&engine, &options](const Request& request, const Captured& captured,
                                 const Respond& respond) {
               send_signal(engine, options, request, captured[0], captured[1], respond);
             });
  router.add(
      "POST", "/v1/callbacks/{}", {},
      [&engine, &options](const Request& request, const Captured& captured,
                          const Respond& respond) {
        take_callback(engine, options, request, captured[0], respond);
      },
      Access::callback);
}

}  // namespace backstitch::rest
