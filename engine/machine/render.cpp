#include "render.hpp"

#include <algorithm>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/header_field.hpp>

#include "backoff.hpp"
#include "path.hpp"

namespace backstitch::engine {
namespace {

constexpr Duration attempt_timeout_max{300'000};

Error failed(const std::string& message) {
  return {ErrorCode::invalid, "EXPRESSION_FAILED", message};
}

Result<std::string> text_of(const Json& value, const std::string& what) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return json_text(value);
  return failed(what + " gives " + value.type_name() + ", not a text");
}

Result<std::string> render_target(const dsl::Request& request, const SagaScope& scope,
                                  dsl::Budget& budget) {
  if (!request.path) return request.operation;
  auto path = render_path(*request.path, scope, budget);
  if (!path) return path;
  char separator = path->find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : request.query) {
    const auto rendered = value.render(scope, budget);
    if (!rendered) return rendered.error();
    if (rendered->is_null()) continue;
    auto text = text_of(*rendered, "the query parameter " + name);
    if (!text) return text;
    *path += separator + percent_encoded(name) + '=' + percent_encoded(*text);
    separator = '&';
  }
  return path;
}

Result<Done> render_headers(const dsl::Request& request, const dsl::Service* service,
                            const SagaScope& scope, dsl::Budget& budget, RenderedRequest& out) {
  if (service != nullptr) out.headers = service->headers;
  for (const auto& [name, value] : request.headers) {
    const auto rendered = value.render(scope, budget);
    if (!rendered) return rendered.error();
    if (rendered->is_null()) continue;
    auto text = text_of(*rendered, "the header " + name);
    if (!text) return text.error();
    // Named, because clang 14 does not let a lambda capture the binding.
    const std::string& replaced = name;
    std::erase_if(out.headers,
                  [&](const auto& header) { return dsl::is_same_header(header.first, replaced); });
    // A line break, such as one in the message of a failure, would end the header.
    out.headers.emplace_back(name, dsl::as_field_value(std::move(*text)));
  }
  const bool typed = std::any_of(out.headers.begin(), out.headers.end(), [](const auto& header) {
    return dsl::is_same_header(header.first, "Content-Type");
  });
  if (!out.body.empty() && !typed) out.headers.emplace_back("Content-Type", "application/json");
  return Done{};
}

Result<Duration> attempt_timeout_of(const Program& program, const dsl::Service* service,
                                    const RenderTarget& target, const SagaScope& scope) {
  if (target.attempt_timeout != nullptr) return duration_of(*target.attempt_timeout, scope);
  if (service != nullptr && service->attempt_timeout) return *service->attempt_timeout;
  if (program.definition->default_attempt_timeout)
    return duration_of(*program.definition->default_attempt_timeout, scope);
  return dsl::attempt_timeout_default;
}

/// Only an action and a compensation have an idempotency key of their own: what only asks changes
/// nothing. Every call but the action's names the key of the action.
void name_keys(const Program& program, const SagaState& state, const RenderTarget& target,
               RenderedRequest& out) {
  switch (target.phase) {
    case Phase::forward:
      out.key = target.action_key;
      return;
    case Phase::probe:
    case Phase::poll:
      out.probes = target.action_key;
      return;
    case Phase::compensate:
      out.key = key_of(program, state, target.at, Phase::compensate,
                       participant_of(*program.definition, out.service));
      out.compensates = target.action_key;
      return;
  }
}

}  // namespace

std::string callback_url(const Program& program, const std::string& token) {
  if (token.empty()) return {};
  return (program.callback_base ? *program.callback_base : "") + "/v1/callbacks/" + token;
}

std::optional<Failure> failure_seen(const SagaState& state, const Located& at, Phase phase) {
  if (at.area == Area::on_suspended && !state.suspensions.empty()) {
    const auto noticed = std::find_if(state.suspensions.begin(), state.suspensions.end(),
                                      [](const Suspension& one) { return !one.by_operator; });
    const Suspension& why =
        noticed == state.suspensions.end() ? state.suspensions.front() : *noticed;
    return Failure{why.reason, "suspended", why.message, why.step, nullptr};
  }
  if (phase == Phase::compensate && state.failure) return state.failure;
  for (auto frame = at.frames.rbegin(); frame != at.frames.rend(); ++frame) {
    if (!std::holds_alternative<dsl::Try>(frame->block->body)) continue;
    const auto block = state.blocks.find(frame->path);
    // In a catch, and in the undo of a body.
    const bool sees = block != state.blocks.end() && block->second.caught &&
                      (frame->index > 0 || phase == Phase::compensate);
    if (sees) return block->second.caught;
  }
  return state.failure;
}

std::optional<Failure> failure_of_undo(const dsl::Definition& definition, const SagaState& state,
                                       const StepPath& path) {
  const auto at = locate(definition, path);
  return at ? failure_seen(state, *at, Phase::compensate) : state.failure;
}

std::optional<Error> cannot_render(const Program& program, const RenderTarget& target,
                                   const SagaScope& scope) {
  dsl::Budget budget;
  const dsl::Request& request = target.request;
  if (auto where = render_target(request, scope, budget); !where) return where.error();
  if (request.body) {
    if (auto body = request.body->render(scope, budget); !body) return body.error();
  }
  RenderedRequest unused;
  if (auto done = render_headers(request, nullptr, scope, budget, unused); !done)
    return done.error();
  const auto& service = request.service.empty() ? target.service : request.service;
  const auto timeout = attempt_timeout_of(program, program.service(service), target, scope);
  return timeout ? std::nullopt : std::optional(timeout.error());
}

Result<RenderedRequest> render(const Program& program, const SagaState& state,
                               const RenderTarget& target, const SagaScope& scope) {
  RenderedRequest out;
  dsl::Budget budget;
  const dsl::Request& request = target.request;
  out.service = request.service.empty() ? target.service : request.service;
  const dsl::Service* service = program.service(out.service);
  if (request.path) out.method = dsl::to_text(request.method);
  auto where = render_target(request, scope, budget);
  if (!where) return std::move(where).error();
  out.target = std::move(*where);
  if (request.body) {
    const auto body = request.body->render(scope, budget);
    if (!body) return body.error();
    out.body = body->dump();
  }
  if (auto done = render_headers(request, service, scope, budget, out); !done)
    return std::move(done).error();
  const auto timeout = attempt_timeout_of(program, service, target, scope);
  if (!timeout) return timeout.error();
  out.attempt_timeout = std::clamp(*timeout, Duration{1}, attempt_timeout_max);
  name_keys(program, state, target, out);
  return out;
}

}  // namespace backstitch::engine
