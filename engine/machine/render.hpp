#pragma once
#include <string>
#include <string_view>

#include <backstitch/base/result.hpp>
#include <backstitch/engine/machine/machine.hpp>

#include "scope.hpp"

namespace backstitch::engine {

/// The idempotency key of a step's forward direction or undo: opaque, stable, at most 200
/// characters.
std::string key_of(const SagaId& saga, const StepPath& path, Phase phase);

/// What a request is rendered for.
struct RenderTarget {
  const StepPath& path;
  Phase phase = Phase::forward;
  const dsl::Request& request;
  const std::string& service;  ///< of the action, where the request names none
  const dsl::DurationField* attempt_timeout = nullptr;  ///< of the step; nullptr: not stated
};
/// @return invalid/EXPRESSION_FAILED
Result<RenderedRequest> render(const Program& program, const SagaState& state,
                               const RenderTarget& target, const SagaScope& scope);

}  // namespace backstitch::engine
