/// Something in a shard may bring down whichever node works on it. A shard whose owner was lost
/// before it had proven it is suspect: a node works on what it finds there after a strike against
/// it was stored, which it takes back when it has survived. A first strike is given to a few at a
/// time, or a node with many sagas would be slow for long after two crashes of any cause. What has
/// one already is worked on alone in the whole process, so only what brings nodes down gets the
/// others.
#include <memory>
#include <utility>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// The third one suspends.
constexpr std::int64_t strikes_max = 3;
/// So long what is worked on may take until it is calm, and so often that is looked at.
constexpr Duration careful_max{2'000};
constexpr Duration calm_look_every{5};

/// Nothing is being done with it, nor will an answer come that may be what brings the node down.
bool is_calm(const SagaActor& actor) {
  return !actor.appending && actor.pending.empty() && !has_call_in_flight(actor.state);
}

}  // namespace

Quarantine Reactor::repeatedly_lost() {
  return {
      "TAKEN_OVER_REPEATEDLY",
      "one node after the other was lost while it worked on this saga; does it bring them down?"};
}

void Reactor::work_carefully(Careful careful) {
  const bool alone = careful.alone;
  node_.turns.enter(
      executor_, alone, [self = shared_from_this(), careful = std::move(careful)]() mutable {
        auto& leases = *self->node_.ports.leases;
        leases.strike(careful.saga, careful.alone,
                      [self, careful](const Result<std::int64_t>& strikes) mutable {
                        self->executor_.post([self, careful = std::move(careful), strikes] {
                          self->struck(careful, strikes);
                        });
                      });
      });
}

void Reactor::struck(Careful careful, const Result<std::int64_t>& strikes) {
  if (!strikes) {
    node_.turns.leave();
    executor_.call_after(node_.options.due_scan_every,
                         [weak = weak_from_this(), careful = std::move(careful)] {
                           if (const auto self = weak.lock()) self->work_carefully(careful);
                         });
    return;
  }
  if (*strikes == 0) {
    node_.turns.leave();
    careful.alone = true;
    return work_carefully(std::move(careful));
  }
  auto survived = [self = shared_from_this(), saga = careful.saga, next = careful.next] {
    self->node_.ports.leases->forgive(saga, [self, next](const Result<Done>&) {
      self->executor_.post([self, next] {
        self->node_.turns.leave();
        next();
      });
    });
  };
  if (*strikes < strikes_max) return careful.work(std::move(survived));
  node_.ports.observer->note(Level::error, "saga-struck-out", {{"saga", careful.saga.text()}});
  careful.give_up(*strikes == strikes_max);
  survived();
}

void Reactor::load_carefully(const std::vector<SagaId>& ids, bool taken_over, Task done) {
  const auto left = std::make_shared<std::size_t>(ids.size());
  for (const auto& saga : ids) {
    work_carefully(
        {saga,
         [self = shared_from_this(), saga, taken_over](Task survived) {
           self->load_at_once({saga}, taken_over, [self, saga, survived = std::move(survived)] {
             self->when_calm(saga, self->executor_.now() + careful_max, survived);
           });
         },
         [self = shared_from_this(), saga](bool) { self->quarantine(saga, repeatedly_lost()); },
         [left, done] {
           if (--*left == 0) done();
         }});
  }
}

void Reactor::when_calm(SagaId saga, SteadyTime at_latest, const Task& done) {
  const auto found = actors_.find(saga);
  if (found == actors_.end() || is_calm(*found->second) || executor_.now() >= at_latest)
    return done();
  executor_.call_after(calm_look_every, [weak = weak_from_this(), saga, at_latest, done] {
    if (const auto self = weak.lock()) self->when_calm(saga, at_latest, done);
  });
}

/// What was found is worked on. If the node still lives after a while, it was not that.
void Reactor::prove_later(const std::vector<Shard>& shards) {
  executor_.call_after(node_.options.proven_after, [weak = weak_from_this(), shards] {
    const auto self = weak.lock();
    if (!self || !self->may_act()) return;
    std::vector<Shard> held;
    for (const Shard shard : shards) {
      if (self->epochs_[shard]) held.push_back(shard);
    }
    if (held.empty()) return;
    self->node_.ports.leases->prove(
        self->node_.identity, held, [weak, held](const Result<Done>& proven) {
          const auto alive = weak.lock();
          if (!alive) return;
          alive->executor_.post([self = alive, held, done = proven.has_value()] {
            if (!done) return self->prove_later(held);
            for (const Shard shard : held) self->suspects_.reset(shard);
          });
        });
  });
}

}  // namespace backstitch::engine
