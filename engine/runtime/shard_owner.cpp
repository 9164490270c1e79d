#include "shard_owner.hpp"

#include <utility>

namespace backstitch::engine {
namespace {

constexpr Duration retry_every{500};

}  // namespace

void ShardOwner::open(std::function<void(Result<Done>)> done) {
  opened_ = std::move(done);
  renew(true);
}

void ShardOwner::renew(bool first) {
  const SteadyTime asked = executor_.now();
  node_.ports.leases->renew(
      node_.options.node, node_.options.lease, node_.options.shards_max, first,
      [self = shared_from_this(), asked](Result<LeaseAnswer> answer) {
        // The moment of the answer counts for the clock, not when a reactor gets to it.
        const SteadyTime received = self->executor_.now();
        self->executor_.post([self, asked, received, answer = std::move(answer)] {
          self->answered(answer, asked, received);
        });
      });
}

void ShardOwner::again(Duration after, bool first) {
  executor_.call_after(after, [weak = weak_from_this(), first] {
    if (const auto self = weak.lock(); self && !self->closed_) self->renew(first);
  });
}

void ShardOwner::answered(const Result<LeaseAnswer>& answer, SteadyTime asked,
                          SteadyTime received) {
  if (closed_) return;
  if (!answer) {
    node_.ports.observer->note(Level::warning, "lease-renewal-failed",
                               {{"why", answer.error().message}});
    return again(retry_every, first_);
  }
  node_.clock.set(answer->database_now, received);
  // The lease began when the database answered, at the earliest when it was asked.
  const SteadyTime act_until = asked + node_.options.lease * 2 / 3;
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    node_.ports.reactors[i].executor->post([reactor = reactors_[i], held = answer->held,
                                            act_until] { reactor->set_shards(held, act_until); });
  }
  first_ = false;
  if (opened_ && !answer->held.empty()) {
    // Behind the posts above, so that every reactor knows its shards before a start comes in.
    auto opened = std::exchange(opened_, nullptr);
    auto left = std::make_shared<std::size_t>(reactors_.size());
    for (const auto& reactor : node_.ports.reactors) {
      reactor.executor->post([this, self = shared_from_this(), left, opened] {
        executor_.post([left, opened] {
          if (--*left == 0) opened(Done{});
        });
      });
    }
  }
  again(answer->held.empty() ? retry_every : node_.options.lease_renewal, false);
}

void ShardOwner::close(std::function<void()> done) {
  closed_ = true;
  node_.ports.leases->release(node_.options.node,
                              [done = std::move(done)](const Result<Done>&) { done(); });
}

}  // namespace backstitch::engine
