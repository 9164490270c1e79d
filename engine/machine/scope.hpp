#pragma once
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/expression.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/state.hpp>
#include <backstitch/engine/machine/stimulus.hpp>

#include "locate.hpp"

namespace backstitch::engine {

/// What expressions see of a saga from one place in it. Borrows definition and state: the state
/// must not change while the scope is in use.
class SagaScope : public dsl::Scope {
 public:
  /// Seen from no step: labels, the saga's output.
  SagaScope(const Program& program, const SagaState& state, dsl::Meter* meter = nullptr)
      : definition_(*program.definition), state_(state), oracle_(program.oracle), meter_(meter) {}
  SagaScope(const Program& program, const SagaState& state, const std::vector<Frame>& frames,
            const std::vector<std::uint32_t>& indexes, dsl::Meter* meter = nullptr);

  void set_self(Json self) { extra_["self"] = std::move(self); }
  void set_failure(const Failure& failure) { extra_["failure"] = to_json(failure); }
  /// @param from  who has answered: `participant`, `intermediary` or `unmarked`
  void set_response(const Response& response, const char* from);
  /// Why the body of the response that was set cannot be read; empty: it can, or none was set.
  const std::string& unreadable_body() const { return unreadable_; }
  void set_signal(const Json& payload) { extra_["signal"] = {{"payload", payload}}; }
  void set_variable(const std::string& name, Json value) { extra_[name] = std::move(value); }

  const Json* find(std::string_view name) const override;
  const Json* step(std::string_view name) const override;
  const Json* step_output(std::string_view name) const override;
  dsl::ConditionOracle* oracle() const override { return oracle_; }
  dsl::Meter* meter() const override { return meter_; }

 private:
  const StepState* find_step(std::string_view name) const;

  const dsl::Definition& definition_;
  const SagaState& state_;
  dsl::ConditionOracle* oracle_;
  dsl::Meter* meter_;
  std::vector<std::uint32_t> indexes_;
  std::map<std::string, const Json*, std::less<>> items_;  ///< loop variables, in the state
  std::map<std::string, Json, std::less<>> extra_;
  std::string unreadable_;
  mutable std::map<std::string, Json, std::less<>> steps_;  ///< built when first asked for
};

/// As expressions and readers see a time; null: none.
Json time_json(const std::optional<TimePoint>& time);

/// `self` in the forward direction and in an undo.
Json forward_self(const std::string& key, const std::string& callback_url);
Json undo_self(const StepState& step, const std::string& key);

}  // namespace backstitch::engine
