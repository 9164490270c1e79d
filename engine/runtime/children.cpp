/// Sagas that are steps of others. Parent and child share a shard, so both are always in this
/// reactor. Word between them may get lost with a node; so whoever comes into memory asks again,
/// and everything that is asked or told is harmless when it is repeated.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "admission.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

constexpr Duration deliver_again_after{300};
constexpr int deliver_tries_max = 200;
constexpr Duration start_again_after{500};

ChildChanged news_of(const SagaState& child) {
  ChildChanged changed{child.id, child.status, child.output, child.failure, true};
  if (!child.suspensions.empty()) {
    const Suspension& why = child.suspensions.front();
    changed.failure = Failure{why.reason, "suspended", why.message, why.step, nullptr};
  }
  return changed;
}

}  // namespace

void Reactor::deliver(SagaId saga, StimulusBody body, std::function<void(const Error&)> refused,
                      int tries) {
  command(saga, body, [weak = weak_from_this(), saga, body, refused, tries](Result<Done> done) {
    const auto self = weak.lock();
    if (done || !self) return;
    const ErrorCode code = done.error().code;
    // A child that is only just being written is not found yet.
    const bool again = code == ErrorCode::unavailable || code == ErrorCode::overloaded ||
                       code == ErrorCode::not_found;
    if (!again || tries >= deliver_tries_max) {
      if (refused) refused(done.error());
      return;
    }
    self->executor_.call_after(deliver_again_after, [weak, saga, body, refused, tries] {
      const auto alive = weak.lock();
      if (alive && alive->epochs_[saga.shard()]) alive->deliver(saga, body, refused, tries + 1);
    });
  });
}

void Reactor::start_child(const Actor& parent, const StepPath& path) {
  if (!may_act()) return;
  const ChildSaga& wanted = *parent->state.steps.find(path)->second.child;
  if (actors_.count(wanted.id) > 0) return look_after_child(wanted.id);
  const std::uint32_t depth = parent->state.parent ? parent->state.parent->depth + 1 : 1;
  SagaState child;
  child.id = wanted.id;
  child.parent = ParentLink{parent->id, path, depth};
  StartRequest request{wanted.definition, std::nullopt, wanted.input, wanted.business_key, {}, {}};
  if (wanted.version > 0) request.version = wanted.version;
  auto prepared = prepare(request);
  if (!prepared) return refuse_child(child, prepared.error());
  Start start{wanted.id, prepared->input, {}, prepared->business_key, child.parent};
  start.sensitive = wanted.sensitive;
  start.is_set_back = parent->state.is_set_back || parent->state.lineage < node_.lineage;
  start.identity = identity_of_child(*parent->program.definition, parent->state, path);
  auto begun = begin(std::move(start), request, *prepared);
  if (!begun) return refuse_child(child, begun.error());
  append_first(std::move(begun->append),
               [self = shared_from_this(), actor = std::move(begun->actor),
                effects = std::move(begun->effects)](const AppendResult& result) {
                 self->child_written(actor, result, effects);
               });
}

void Reactor::child_written(const Actor& child, const AppendResult& result,
                            const std::vector<Effect>& effects) {
  const bool is_held = result.outcome == AppendOutcome::blocked ||
                       result.outcome == AppendOutcome::reserved ||
                       result.outcome == AppendOutcome::failed;
  if (!is_held) child_waits_.erase(child->id);
  switch (result.outcome) {
    case AppendOutcome::written:
      counters.starts.fetch_add(1, std::memory_order_relaxed);
      admit_written(child);
      return written(child, result, effects, {}, child->stored_wake);
    case AppendOutcome::conflict:
      return look_after_child(child->id);
    case AppendOutcome::duplicate:
      if (result.existing == child->id) return look_after_child(child->id);
      return refuse_child(child->state, {ErrorCode::conflict, "CHILD_REFUSED",
                                         "the business key of the sub-saga belongs to the saga " +
                                             result.existing.text()});
    case AppendOutcome::refused:
      return refuse_child(child->state, {ErrorCode::invalid, "CHILD_REFUSED",
                                         "the database cannot store the sub-saga's input"});
    case AppendOutcome::blocked:
    case AppendOutcome::reserved:
    case AppendOutcome::failed:
      return start_child_again(*child);
    case AppendOutcome::regenerated:
    case AppendOutcome::unknown:
    case AppendOutcome::fenced:
    case AppendOutcome::abandoned:
      return;  // whoever owns the shard now asks again
  }
}

/// Another start holds its business key and has not come to anything yet. Whether the child is
/// still wanted is for its parent to say, which may have left memory.
void Reactor::start_child_again(const SagaActor& child) {
  Duration& wait = child_waits_.try_emplace(child.id, start_again_after).first->second;
  executor_.call_after(wait, [weak = weak_from_this(), id = child.state.parent->saga] {
    const auto self = weak.lock();
    if (!self || !self->epochs_[id.shard()] || !self->may_act()) return;
    const auto found = self->actors_.find(id);
    if (found == self->actors_.end()) return self->load({id}, false, [] {});
    if (!found->second->appending) self->repeat_effects(found->second);
  });
  wait = std::min(wait * 2, child_look_every);
}

void Reactor::refuse_child(const SagaState& child, const Error& why) {
  Failure failure = failure_of_start(why);
  if (failure.code != "INPUT_INVALID") failure.code = "CHILD_REFUSED";
  ChildChanged changed{child.id, SagaStatus::failed, nullptr, std::move(failure), false};
  if (child.parent) deliver(child.parent->saga, std::move(changed), {});
}

/// The child exists. If it has come to something, its parent is told; else it will be.
void Reactor::look_after_child(SagaId child) {
  if (const auto found = actors_.find(child); found != actors_.end()) {
    if (!found->second->appending && !is_active(found->second->state))
      tell_parent(found->second->state);
    return;
  }
  read_logs({child}, [self = shared_from_this()](Result<std::vector<StoredSaga>> stored) mutable {
    auto& executor = self->executor_;
    executor.post([self = std::move(self), stored = std::move(stored)] {
      if (!stored || stored->empty()) return;
      const auto folded = folded_log(self->registry_, stored->front());
      if (!folded) {
        self->node_.ports.observer->note(
            Level::error, "saga-not-revived",
            {{"saga", stored->front().id.text()}, {"why", folded.error().message}});
        return;
      }
      const SagaStatus status = folded->state.status;
      if (is_terminal(status) || status == SagaStatus::suspended) self->tell_parent(folded->state);
    });
  });
}

void Reactor::cancel_child(const Actor& parent, const StepPath& path) {
  const SagaId child = parent->state.steps.find(path)->second.child->id;
  deliver(child, Cancel{"parent " + parent->id.text(), "the parent saga does not go on"},
          [weak = weak_from_this(), child](const Error&) {
            // Ended already, or past its pivot: then it goes on to its end.
            if (const auto self = weak.lock()) self->look_after_child(child);
          });
}

void Reactor::undo_child(const Actor& parent, const StepPath& path) {
  const SagaId child = parent->state.steps.find(path)->second.child->id;
  const auto why = failure_of_undo(*parent->program.definition, parent->state, path);
  deliver(child, UndoneByParent{why.value_or(Failure{})},
          [weak = weak_from_this(), child](const Error& error) {
            const auto self = weak.lock();
            if (!self) return;
            self->node_.ports.observer->note(Level::error, "child-not-undone",
                                             {{"saga", child.text()}, {"why", error.message}});
          });
}

void Reactor::retry_child(const Actor& parent, const RetryChild& effect) {
  const SagaId child = parent->state.steps.find(effect.path)->second.child->id;
  deliver(child, Retry{effect.by, effect.reason}, {});
}

void Reactor::tell_parent(const SagaState& child) {
  if (!child.parent) return;
  deliver(child.parent->saga, news_of(child), {});
}

}  // namespace backstitch::engine
