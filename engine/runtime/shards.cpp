/// Which shards are this reactor's: those that come, those that are lost, and those that are left
/// to another node, because it has fewer or because this one stops.
#include <algorithm>

#include "inbox_poller.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

constexpr Duration look_every{20};

/// What is on its way to the saga would be lost: an answer, a commit, a command.
bool is_busy(const SagaActor& actor) {
  return actor.appending || !actor.pending.empty() || has_call_in_flight(actor.state);
}

}  // namespace

void Reactor::set_shards(const std::vector<ShardLease>& leases, std::uint64_t term) {
  // What came while the lease was late was turned away, and nobody does it for this node: it begins
  // again from the log, whether or not anybody looked at the lease in between.
  check_lease();
  term_ = term;
  std::array<std::optional<Epoch>, shard_count> held{};
  std::bitset<shard_count> suspect;
  for (const auto& lease : leases) {
    if (lease.shard % node_.ports.reactors.size() != index_) continue;
    held[lease.shard] = lease.epoch;
    suspect.set(lease.shard, lease.suspect);
  }
  std::vector<Shard> gained;
  std::vector<Shard> lost;
  for (int i = 0; i < shard_count; ++i) {
    const auto shard = static_cast<Shard>(i);
    const bool same = held[shard] == epochs_[shard];
    if (epochs_[shard] && !same) lost.push_back(shard);
    if (held[shard] && !same) gained.push_back(shard);
  }
  lose_shards(lost);
  epochs_ = held;
  // One that was proven meanwhile is not suspect any more, though this answer may still say so.
  for (const Shard shard : gained) suspects_.set(shard, suspect.test(shard));
  shards_.clear();
  for (int i = 0; i < shard_count; ++i) {
    const auto shard = static_cast<Shard>(i);
    if (held[shard] && !leaving_.test(shard)) shards_.push_back(shard);
  }
  counters.shards.store(shards_.size(), std::memory_order_relaxed);
  publish_inbox_shards();
  // What waited for their former owners may be old.
  if (!gained.empty()) {
    scan_all_again();
    node_.inbox->read_all_again();
  }
  revive(std::move(gained), {});
  if (timers_running_) return;
  timers_running_ = true;
  schedule(node_.options.due_scan_every, &Reactor::scan_due);
  schedule(node_.options.due_scan_every, &Reactor::sweep);
  schedule(node_.options.removal_every, &Reactor::remove_expired);
}

void Reactor::lose_everything() {
  std::vector<Shard> all;
  for (int i = 0; i < shard_count; ++i) all.push_back(static_cast<Shard>(i));
  lose_shards(all);
  shards_.clear();
  counters.shards.store(0, std::memory_order_relaxed);
}

void Reactor::lose_shards(const std::vector<Shard>& shards) {
  if (shards.empty()) return;
  std::bitset<shard_count> lost;
  for (const auto shard : shards) {
    lost.set(shard);
    epochs_[shard].reset();
    leaving_.reset(shard);
    suspects_.reset(shard);
  }
  std::erase_if(child_waits_, [&](const auto& child) { return lost.test(child.first.shard()); });
  std::erase_if(loading_, [&](const auto& one) { return lost.test(one.first.shard()); });
  std::vector<Actor> gone;
  for (const auto& [id, actor] : actors_) {
    if (lost.test(id.shard())) gone.push_back(actor);
  }
  for (const auto& actor : gone) drop(actor);
  publish_inbox_shards();
}

void Reactor::publish_inbox_shards() {
  for (std::size_t i = index_; i < shard_count; i += node_.ports.reactors.size())
    node_.inbox_shards[i] = epochs_[i].has_value() && !leaving_.test(i);
}

/// Past two thirds of the lease without a renewal somebody else may soon own everything.
void Reactor::check_lease() {
  if (may_act()) return;
  const auto held = std::count_if(epochs_.begin(), epochs_.end(),
                                  [](const auto& epoch) { return epoch.has_value(); });
  if (held == 0) return;
  node_.ports.observer->note(Level::warning, "lease-not-renewed",
                             {{"shards", std::to_string(held)}});
  lose_everything();
}

void Reactor::leave(std::vector<Shard> shards, Duration most,
                    std::function<void(std::vector<Shard>)> left) {
  std::vector<Shard> lost_already;
  for (const Shard shard : shards) {
    if (epochs_[shard])
      leaving_.set(shard);
    else
      lost_already.push_back(shard);
  }
  std::erase_if(shards_, [this](Shard shard) { return leaving_.test(shard); });
  publish_inbox_shards();
  if (!lost_already.empty()) left(std::move(lost_already));
  withdraw_leaving();
  look_who_left(most, left);
}

/// Sagas go on meanwhile; a shard leaves in a moment in which none of them waits for anything that
/// is on its way. When the time is over the rest goes as it would after a crash.
void Reactor::look_who_left(Duration most, const std::function<void(std::vector<Shard>)>& left) {
  std::bitset<shard_count> busy;
  for (const auto& [id, actor] : actors_) {
    if (leaving_.test(id.shard()) && is_busy(*actor)) busy.set(id.shard());
  }
  for (std::size_t i = 0; i < shard_count; ++i) {
    if (first_appends_[i] > 0) busy.set(i);
  }
  std::vector<Shard> gone;
  for (int i = 0; i < shard_count; ++i) {
    const auto shard = static_cast<Shard>(i);
    if (leaving_.test(shard) && (!busy.test(shard) || most.count() <= 0)) gone.push_back(shard);
  }
  lose_shards(gone);
  if (!gone.empty()) left(gone);
  if (leaving_.none()) return;
  executor_.call_after(look_every, [weak = weak_from_this(), most, left] {
    if (const auto self = weak.lock()) self->look_who_left(most - look_every, left);
  });
}

}  // namespace backstitch::engine
