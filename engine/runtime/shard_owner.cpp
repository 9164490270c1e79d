#include "shard_owner.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace backstitch::engine {
namespace {

constexpr Duration retry_every{500};
/// The reactors let go of everything after `drain_max`; this much later it is done without them.
constexpr Duration drain_margin{1'000};
constexpr std::size_t everything = std::numeric_limits<std::size_t>::max();
constexpr std::uint64_t not_given_up = std::numeric_limits<std::uint64_t>::max();

/// An engine without a listener has none.
std::string address_of(const Namesake& namesake) {
  return namesake.address.empty() ? "an unknown address" : namesake.address;
}

}  // namespace

void ShardOwner::open(std::function<void(Result<Done>)> done) {
  opened_ = std::move(done);
  node_.ports.leases->on_free_shards([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->executor_.post([self] {
      if (!self->closed_ && !self->asking_) self->renew();
    });
  });
  renew();
}

void ShardOwner::renew() {
  if (timer_ != 0) executor_.cancel(timer_);
  timer_ = 0;
  asking_ = true;
  const SteadyTime asked = executor_.now();
  const Options& options = node_.options;
  node_.ports.leases->renew(
      {node_.identity, options.lease, released_ ? 0 : options.shards_max, first_, options.address,
       lineage_, epoch_floor_},
      [self = shared_from_this(), asked, number = ++renewals_](Result<LeaseAnswer> answer) {
        // The moment of the answer counts for the clock, not when a reactor gets to it.
        const SteadyTime received = self->executor_.now();
        self->executor_.post([self, number, asked, received, answer = std::move(answer)]() mutable {
          self->answered(std::move(answer), number, asked, received);
        });
      });
}

void ShardOwner::again(Duration after) {
  timer_ = executor_.call_after(after, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && !self->closed_) self->renew();
  });
}

void ShardOwner::answered(Result<LeaseAnswer> answer, std::uint64_t number, SteadyTime asked,
                          SteadyTime received) {
  asking_ = false;
  if (closed_) return;
  if (!answer) {
    node_.ports.observer->note(Level::warning, "lease-renewal-failed",
                               {{"why", answer.error().message}});
    again(retry_every);
    return release_if_left();
  }
  if (lineage_ != 0 && answer->lineage != lineage_) return on_other_lineage(answer->lineage);
  if (answer->namesake) return on_namesake(*answer->namesake);
  lineage_ = answer->lineage;
  if (first_) node_.lineage_since = answer->database_now;
  node_.lineage = lineage_;
  const bool lapsed = executor_.now() >= act_until_;
  // All reactors have stopped acting, and begin again from the logs.
  if (lapsed) {
    node_.clock.restart();
    leaving_.reset();
  }
  node_.clock.set(answer->database_now, received);
  // What somebody has taken away meanwhile is on its way out no more.
  std::bitset<shard_count> still_ours;
  for (const auto& lease : answer->held) still_ours.set(lease.shard);
  leaving_ &= still_ours;
  std::erase_if(gone_, [&](const auto& one) { return one.second < number; });
  std::erase_if(answer->held, [&](const auto& lease) { return gone_.contains(lease.shard); });
  // The lease began when the database answered, at the earliest when it was asked.
  act_until_ = asked + node_.options.acting_time();
  if (lapsed)
    node_.term.restart(act_until_);
  else
    node_.term.extend(act_until_);
  held_ = std::move(answer->held);
  for (const ShardLease& lease : held_) epoch_max_ = std::max(epoch_max_, lease.epoch);
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    node_.ports.reactors[i].executor->post(
        [reactor = reactors_[i], held = held_, term = node_.term.number()] {
          reactor->set_shards(held, term);
        });
  }
  first_ = false;
  const bool was_on_hold = node_.on_hold.exchange(answer->on_hold);
  if (answer->on_hold && !was_on_hold)
    node_.ports.observer->note(Level::warning, "hold-begun",
                               {{"shards", std::to_string(held_.size())}});
  if (was_on_hold && !answer->on_hold) node_.ports.observer->note(Level::warning, "hold-ended", {});
  if (opened_ && (!held_.empty() || answer->on_hold)) opened();
  hand_over(released_ ? everything : answer->surplus);
  again(held_.empty() ? retry_every : node_.options.lease_renewal);
  release_if_left();
}

/// What this node has in memory may never have been, so it begins again from the logs, as it does
/// after its lease has lapsed. The appends that were decided before are fenced by the floor of the
/// epochs, wherever they wait.
void ShardOwner::on_other_lineage(std::int64_t lineage) {
  node_.ports.observer->note(
      Level::warning, "lineage-entered",
      {{"lineage", std::to_string(lineage)}, {"shards", std::to_string(held_.size())}});
  lineage_ = lineage;
  epoch_floor_ = epoch_max_;
  first_ = true;
  namesake_renewed_at_.reset();
  held_.clear();
  leaving_.reset();
  act_until_ = {};
  node_.term.extend(act_until_);
  node_.forwarder->forget();
  if (released_) return release();
  read_catalog_anew();
}

/// Before a saga is read from its log: the definition that it names may have been lost with it. So
/// nothing is renewed meanwhile, whatever hints come.
void ShardOwner::read_catalog_anew() {
  asking_ = true;
  registry_.read_anew([weak = weak_from_this()](const Result<Done>& read) {
    const auto self = weak.lock();
    if (!self) return;
    self->executor_.post([self, is_read = read.has_value()] {
      if (self->closed_) return;
      if (is_read) return self->renew();
      self->executor_.call_after(retry_every, [weak = std::weak_ptr(self)] {
        if (const auto alive = weak.lock(); alive && !alive->closed_) alive->read_catalog_anew();
      });
    });
  });
}

/// Its process may have been lost together with its machine, which leaves the sessions open: then
/// the lease is not renewed again.
void ShardOwner::on_namesake(const Namesake& namesake) {
  if (!first_) return on_superseded(namesake);
  if (!namesake_renewed_at_) {
    namesake_renewed_at_ = namesake.renewed_at;
    node_.ports.observer->note(Level::warning, "node-name-held",
                               {{"node", node_.identity.name}, {"address", namesake.address}});
  }
  if (*namesake_renewed_at_ == namesake.renewed_at) {
    again(retry_every);
    return release_if_left();
  }
  if (!opened_) return on_superseded(namesake);  // it was open, and enters another lineage
  closed_ = true;
  fail_opening({ErrorCode::conflict, "node-name-taken",
                "The node name `" + node_.identity.name + "` is in use by a process at " +
                    address_of(namesake) + "; give this one a name of its own with --node."});
  if (released_) released_();
}

/// This process has been shut out: what it still holds in memory is not its own.
void ShardOwner::on_superseded(const Namesake& namesake) {
  closed_ = true;
  act_until_ = {};
  node_.term.extend(act_until_);
  const std::string what = "a later process at " + address_of(namesake) +
                           " has taken over the node name `" + node_.identity.name + "`";
  node_.ports.observer->note(
      Level::error, "node-superseded",
      {{"node", node_.identity.name}, {"address", namesake.address}, {"what", what}});
  fail_opening(
      {ErrorCode::conflict, "node-superseded", "This process was shut out: " + what + "."});
  if (released_) return released_();
  if (node_.ports.supervisor != nullptr)
    node_.ports.supervisor->end_process(EndCause::must_not_run, "node-superseded", what);
}

void ShardOwner::fail_opening(const Error& error) {
  if (const auto opened = std::exchange(opened_, nullptr)) opened(error);
}

/// Behind the posts of the renewal, so that every reactor knows its shards before a start comes in.
void ShardOwner::opened() {
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

/// The last of those held, less what is on its way out already.
void ShardOwner::hand_over(std::size_t surplus) {
  const std::size_t on_its_way = leaving_.count() + gone_.size();
  if (surplus <= on_its_way) return;
  std::size_t wanted = surplus - on_its_way;
  std::vector<Shard> chosen;
  for (auto lease = held_.rbegin(); lease != held_.rend() && wanted > 0; ++lease) {
    if (leaving_.test(lease->shard)) continue;
    leaving_.set(lease->shard);
    chosen.push_back(lease->shard);
    --wanted;
  }
  if (chosen.empty()) return;
  node_.ports.observer->note(Level::info, "shards-handed-over",
                             {{"shards", std::to_string(chosen.size())}});
  const Duration most = released_ ? node_.options.drain_max : node_.options.handover_max;
  for (std::size_t i = 0; i < reactors_.size(); ++i) {
    std::vector<Shard> own;
    for (const Shard shard : chosen) {
      if (shard % reactors_.size() == i) own.push_back(shard);
    }
    if (own.empty()) continue;
    const auto left = [weak = weak_from_this()](std::vector<Shard> shards) {
      const auto self = weak.lock();
      if (!self) return;
      self->executor_.post(
          [self, shards = std::move(shards)]() mutable { self->give_up(std::move(shards)); });
    };
    node_.ports.reactors[i].executor->post([reactor = reactors_[i], own = std::move(own), most,
                                            left] { reactor->leave(own, most, left); });
  }
}

void ShardOwner::give_up(std::vector<Shard> shards) {
  for (const Shard shard : shards) {
    leaving_.reset(shard);
    gone_[shard] = not_given_up;
  }
  release_if_left();
  if (closed_) return;
  node_.ports.leases->give_up(
      node_.identity, shards, [self = shared_from_this(), shards](const Result<Done>& given_up) {
        self->executor_.post([self, shards, given_up] {
          if (!given_up) {
            self->executor_.call_after(retry_every, [weak = std::weak_ptr(self), shards] {
              if (const auto alive = weak.lock()) alive->give_up(shards);
            });
            return;
          }
          for (const Shard shard : shards) self->gone_[shard] = self->renewals_;
        });
      });
}

void ShardOwner::close(std::function<void()> done) {
  if (closed_) return done();
  released_ = std::move(done);
  hand_over(everything);
  // Others are to know at once that this node wants no shards any more.
  if (!asking_) renew();
  executor_.call_after(node_.options.drain_max + drain_margin, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->release();
  });
}

/// A renewal on its way might bring shards after the release.
void ShardOwner::release_if_left() {
  if (released_ && !asking_ && leaving_.none()) release();
}

void ShardOwner::release() {
  if (closed_) return;
  closed_ = true;
  node_.ports.leases->release(node_.identity, [done = released_](const Result<Done>&) { done(); });
}

}  // namespace backstitch::engine
