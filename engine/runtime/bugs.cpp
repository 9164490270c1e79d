#include "bugs.hpp"

#include <utility>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// After a saga could not even be suspended, or its log not be read.
constexpr Duration quarantine_again_after{5'000};

}  // namespace

Error Reactor::report_bug(const SagaId& saga, const std::string& what) const {
  counters.bugs.fetch_add(1, std::memory_order_relaxed);
  node_.ports.observer->note(Level::error, "saga-work-failed",
                             {{"saga", saga.text()}, {"what", what}});
  return {ErrorCode::internal, "internal", "The engine tripped over a bug of its own: " + what};
}

/// What it was at may have changed half of the actor, and its append may be in flight: only the log
/// says where the saga stands.
void Reactor::work_failed(const Actor& actor, const std::string& what) {
  report_bug(actor->id, what);
  quarantine(actor->id,
             {engine_bug, "the engine tripped over a bug of its own, and may again: " + what});
  drop(actor);
}

/// Nothing of the saga is worked on until it is suspended.
void Reactor::quarantine(SagaId saga, Quarantine why) {
  if (!quarantined_.insert(saga).second) return quarantine_again(saga, std::move(why));
  read_logs({saga}, [self = shared_from_this(), saga,
                     why = std::move(why)](Result<std::vector<StoredSaga>> stored) mutable {
    auto& executor = self->executor_;
    executor.post(
        [self = std::move(self), saga, why = std::move(why), stored = std::move(stored)]() mutable {
          self->quarantined_.erase(saga);
          if (!self->epochs_[saga.shard()] || !self->may_act()) return;  // the next owner will see
          if (!stored) return self->quarantine_again(saga, std::move(why));
          if (stored->empty()) return;
          const auto found = self->actors_.find(saga);
          const bool fresh = found == self->actors_.end();
          auto actor = fresh ? self->revived(stored->front()) : Result<Actor>(found->second);
          if (actor) self->stimulate(*actor, std::move(why));
        });
  });
}

void Reactor::quarantine_again(SagaId saga, Quarantine why) {
  executor_.call_after(quarantine_again_after,
                       [weak = weak_from_this(), saga, why = std::move(why)]() mutable {
                         if (const auto self = weak.lock()) self->quarantine(saga, std::move(why));
                       });
}

}  // namespace backstitch::engine
