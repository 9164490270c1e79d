#pragma once
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/expression.hpp>
#include <backstitch/engine/machine/state.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

namespace backstitch::engine {

/// What expressions see of a saga. Borrows the state: it must not change while the scope is in use.
class SagaScope : public dsl::Scope {
 public:
  explicit SagaScope(const SagaState& state) : state_(state) {}

  void set_self(Json self) { extra_["self"] = std::move(self); }
  void set_failure(const Failure& failure) { extra_["failure"] = to_json(failure); }
  void set_response(const Response& response);

  const Json* find(std::string_view name) const override;
  const Json* step(std::string_view name) const override;
  const Json* step_output(std::string_view name) const override;

 private:
  const SagaState& state_;
  std::map<std::string, Json, std::less<>> extra_;
  mutable std::map<std::string, Json, std::less<>> steps_;  ///< built when first asked for
};

/// `self` in the forward direction and in an undo.
Json forward_self(const std::string& key);
Json undo_self(const StepState& step, const std::string& key);

}  // namespace backstitch::engine
