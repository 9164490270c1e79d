#pragma once
#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include "reactor.hpp"

namespace backstitch::engine {

/// Reads the inbox for all reactors of the node and gives each its items: one query at a time,
/// which begins where the one before ended. A poll follows a hint, a page that was full, or an
/// interval, which depends on when something was last found. Threads: every public function from
/// any; the rest runs on Ports::upkeep.
class InboxPoller : public std::enable_shared_from_this<InboxPoller> {
 public:
  InboxPoller(Node& node, std::vector<std::shared_ptr<Reactor>> reactors)
      : node_(node), reactors_(std::move(reactors)), executor_(node.upkeep()) {}

  /// Polls from now on.
  void open();
  /// There is a reason to poll now.
  void poll_soon();
  /// The node has gained shards: what waited for their former owners is before the cursors.
  void read_all_again();
  /// What a poll has left out for the saga can be taken now. It is read with the next poll.
  void read_again(SagaId saga);
  /// The same for what could not be taken: it is tried as often as an idle node polls.
  void read_again_later(SagaId saga);

 private:
  void poll();
  void schedule();
  InboxQuery next_query();
  std::vector<Shard> shards() const;
  std::size_t room(bool starts) const;
  void answered(const InboxQuery& query, const Result<InboxPoll>& found);
  void give(const std::vector<InboxItem>& items);

  Node& node_;
  const std::vector<std::shared_ptr<Reactor>> reactors_;
  Executor& executor_;
  InboxCursor commands_{};
  InboxCursor starts_{};
  std::set<SagaId> sagas_;  ///< to be read again
  SteadyTime busy_until_{};
  TimerId timer_ = 0;
  SteadyTime timer_at_{};
  bool is_polling_ = false;
  bool is_due_ = false;         ///< a reason to poll has come while a poll was in flight
  bool is_from_start_ = false;  ///< the next poll reads everything
};

}  // namespace backstitch::engine
