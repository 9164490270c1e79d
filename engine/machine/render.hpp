#pragma once
#include <string>
#include <string_view>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/machine/machine.hpp>

#include "keys.hpp"
#include "locate.hpp"
#include "scope.hpp"

namespace backstitch::engine {

/// Where a participant posts the answer of a step with this token; empty without a token.
std::string callback_url(const Program& program, const std::string& token);
/// `failure` as expressions at this place see it: the one caught in a catch, that of the saga in
/// handlers and undo.
std::optional<Failure> failure_seen(const SagaState& state, const Located& at, Phase phase);

/// What a request is rendered for.
struct RenderTarget {
  const Located& at;
  Phase phase = Phase::forward;
  const dsl::Request& request;
  const std::string& service;     ///< of the action, where the request names none
  const std::string& action_key;  ///< the idempotency key of the step's action
  const dsl::DurationField* attempt_timeout = nullptr;  ///< of the step; nullptr: not stated
};
/// Why it cannot be rendered, if it cannot. The same templates as render(), and nothing is kept.
std::optional<Error> cannot_render(const Program& program, const RenderTarget& target,
                                   const SagaScope& scope);
/// @return invalid/EXPRESSION_FAILED
Result<RenderedRequest> render(const Program& program, const SagaState& state,
                               const RenderTarget& target, const SagaScope& scope);

}  // namespace backstitch::engine
