#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/participants.hpp>
#include <backstitch/rehearsal/rehearsal.hpp>

#include "answers.hpp"

namespace backstitch::rehearsal {

/// Every participant of a rehearsal. They keep what docs/participant-contract.md asks for: one
/// effect and one answer a key, an undo that is remembered and refuses a late action, probes by
/// key; a step with a `completion` is accepted and decided a second later. Faults come between them
/// and the engine.
class StandIns final : public engine::Participants {
 public:
  struct Links {
    /// The definition that a saga runs.
    std::function<const dsl::Definition&(SagaId)> definition;
    /// A decision, posted to the URL that came with the call.
    std::function<void(engine::Callback)> post;
  };
  StandIns(engine::Executor& executor, const Answers& answers, const Options& options, Links links);

  void call(engine::Call call, std::function<void(engine::CallResult)> done) override;

  struct Effect {
    SagaId saga;
    LedgerEntry entry;
    std::optional<engine::SteadyTime> done;
    std::optional<engine::SteadyTime> undone;
    engine::Response answer;
    bool never_decided = false;
  };
  /// In the order of the first calls.
  std::vector<const Effect*> effects() const;

 private:
  struct Reaction {
    engine::CallResult result;
    Duration after;
  };
  /// A call and the step it is for.
  struct Scene {
    const engine::Call& call;
    const dsl::Definition& definition;
    const dsl::Step& step;
  };
  struct ArmedFault {
    Fault fault;
    std::uint32_t met = 0;
    std::optional<engine::SteadyTime> first_met;
  };

  Reaction react(const Scene& scene);
  ArmedFault* fault_for(const Scene& scene);
  Reaction disturbed(const Scene& scene, const Fault& fault);
  engine::Response work(const Scene& scene, bool never_decided = false);
  engine::Response act(const Scene& scene, bool never_decided);
  engine::Response undo(const Scene& scene);
  engine::Response look_up(const Scene& scene);
  engine::Response not_seen(const Scene& scene) const;
  void decide(const std::string& key, const std::string& callback);
  Effect& effect_of(const Scene& scene, const std::string& key);
  engine::Response success(const Scene& scene) const;

  engine::Executor& executor_;
  const Answers& answers_;
  const Options& options_;
  Links links_;
  std::vector<ArmedFault> faults_;
  std::map<std::string, Effect> effects_;  ///< by the key of the action
  std::vector<std::string> order_;
};

}  // namespace backstitch::rehearsal
