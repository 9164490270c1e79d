#include "inbox_poller.hpp"

#include <algorithm>
#include <utility>

namespace backstitch::engine {
namespace {

constexpr std::size_t inbox_page = 200;

std::size_t left(std::size_t max, std::size_t used) {
  return max > used ? max - used : 0;
}

}  // namespace

void InboxPoller::open() {
  node_.ports.inbox->on_arrival([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->poll_soon();
  });
  poll_soon();
}

void InboxPoller::poll_soon() {
  executor_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->poll();
  });
}

void InboxPoller::read_all_again() {
  executor_.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->is_from_start_ = true;
    self->poll();
  });
}

void InboxPoller::read_again(SagaId saga) {
  executor_.post([weak = weak_from_this(), saga] {
    const auto self = weak.lock();
    if (!self) return;
    self->sagas_.insert(saga);
    self->schedule();
  });
}

void InboxPoller::read_again_later(SagaId saga) {
  executor_.post([weak = weak_from_this(), saga] {
    const auto self = weak.lock();
    if (!self) return;
    self->executor_.call_after(self->node_.options.inbox_poll_idle, [weak, saga] {
      if (const auto alive = weak.lock()) alive->read_again(saga);
    });
  });
}

/// What cannot be taken now waits in the store, which is why nothing has to be refused.
std::size_t InboxPoller::room(bool starts) const {
  const Options& options = node_.options;
  const std::size_t taken = node_.inbox_taken.load(std::memory_order_relaxed);
  const std::size_t room = std::min(inbox_page, left(options.inbox_taken_max, taken));
  if (!starts) return room;
  const std::size_t resident = node_.resident.load(std::memory_order_relaxed);
  return std::min(room, left(options.sagas_resident_max, resident + taken));
}

std::vector<Shard> InboxPoller::shards() const {
  std::vector<Shard> held;
  for (std::size_t i = 0; i < shard_count; ++i) {
    if (node_.inbox_shards[i]) held.push_back(static_cast<Shard>(i));
  }
  return held;
}

InboxQuery InboxPoller::next_query() {
  if (std::exchange(is_from_start_, false)) {
    commands_.clear();
    starts_.clear();
  }
  InboxQuery query{shards(), {commands_, room(false)}, {starts_, room(true)}, {}};
  while (!sagas_.empty() && query.sagas.size() < query.commands.limit) {
    query.sagas.push_back(*sagas_.begin());
    sagas_.erase(sagas_.begin());
  }
  return query;
}

void InboxPoller::poll() {
  if (node_.closing) return;
  if (is_polling_) {
    is_due_ = true;
    return;
  }
  InboxQuery query = next_query();
  if (query.shards.empty() || query.commands.limit == 0) return schedule();
  is_polling_ = true;
  is_due_ = false;
  node_.ports.inbox->poll(query, [weak = weak_from_this(), query](Result<InboxPoll> found) {
    const auto self = weak.lock();
    if (!self) return;
    self->executor_.post([weak, query, found = std::move(found)] {
      if (const auto alive = weak.lock()) alive->answered(query, found);
    });
  });
}

void InboxPoller::answered(const InboxQuery& query, const Result<InboxPoll>& found) {
  is_polling_ = false;
  if (!found) {
    sagas_.insert(query.sagas.begin(), query.sagas.end());
    return schedule();
  }
  sagas_.insert(found->left_out.begin(), found->left_out.end());
  commands_ = found->commands.next;
  starts_ = found->starts.next;
  give(found->commands.items);
  give(found->starts.items);
  if (!found->commands.items.empty() || !found->starts.items.empty())
    busy_until_ = executor_.now() + node_.options.inbox_busy_for;
  const bool has_more =
      (found->commands.is_full && room(false) > 0) || (found->starts.is_full && room(true) > 0);
  has_more || is_due_ ? poll() : schedule();
}

/// A timer that ends earlier stays.
void InboxPoller::schedule() {
  if (node_.closing || is_polling_) return;
  const SteadyTime now = executor_.now();
  const bool is_busy = !sagas_.empty() || is_due_ || is_from_start_ || now < busy_until_;
  const Duration wait = is_busy ? node_.options.inbox_poll_busy : node_.options.inbox_poll_idle;
  if (timer_ != 0 && timer_at_ <= now + wait) return;
  if (timer_ != 0) executor_.cancel(timer_);
  timer_at_ = now + wait;
  timer_ = executor_.call_after(wait, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_ = 0;
    self->poll();
  });
}

/// Reactors that do not hold a shard any more pass over its items.
void InboxPoller::give(const std::vector<InboxItem>& items) {
  if (items.empty()) return;
  node_.inbox_taken.fetch_add(items.size(), std::memory_order_relaxed);
  std::vector<std::vector<InboxItem>> shares(reactors_.size());
  for (const InboxItem& item : items) shares[item.saga.shard() % shares.size()].push_back(item);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (shares[i].empty()) continue;
    node_.ports.reactors[i].executor->post(
        [reactor = reactors_[i], share = std::move(shares[i])] { reactor->take_items(share); });
  }
}

}  // namespace backstitch::engine
