/// Shards that go to another node, because it has fewer or because this one stops.
#include <algorithm>

#include "reactor.hpp"

namespace backstitch::engine {
namespace {

constexpr Duration look_every{20};

/// What is on its way to the saga would be lost: an answer, a commit, a command.
bool is_busy(const SagaActor& actor) {
  return actor.appending || !actor.pending.empty() || has_call_in_flight(actor.state);
}

}  // namespace

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
  if (!lost_already.empty()) left(std::move(lost_already));
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
