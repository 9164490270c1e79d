#pragma once
#include <bitset>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "reactor.hpp"

namespace backstitch::engine {

/// Keeps this node's leases: renews them, tells the reactors which shards they hold and until when
/// they may act, measures the database's clock on the way. Runs on Ports::upkeep, where its members
/// are called.
class ShardOwner : public std::enable_shared_from_this<ShardOwner> {
 public:
  ShardOwner(Node& node, Registry& registry, std::vector<std::shared_ptr<Reactor>> reactors)
      : node_(node),
        registry_(registry),
        reactors_(std::move(reactors)),
        executor_(node.upkeep()) {}

  /// `done` after the first answer that brought shards, or with conflict/node-name-taken. While
  /// another process has the name it waits for that one's lease to end or its sessions to be gone.
  void open(std::function<void(Result<Done>)> done);
  /// Hands everything over, then takes this node off the list. `done` soon after `drain_max` at
  /// the latest.
  void close(std::function<void()> done);
  /// Nothing of this will run again: whoever waits for `open` is let go.
  void abandon() { opened_ = nullptr; }

 private:
  void renew();
  void answered(Result<LeaseAnswer> answer, std::uint64_t number, SteadyTime asked,
                SteadyTime received);
  void opened();
  void on_other_lineage(std::int64_t lineage);
  void read_catalog_anew();
  void fail_opening(const Error& error);
  void on_namesake(const Namesake& namesake);
  void on_superseded(const Namesake& namesake);
  void again(Duration after);
  void hand_over(std::size_t surplus);
  void release_if_left();
  void release();
  void give_up(std::vector<Shard> shards);

  Node& node_;
  Registry& registry_;
  std::vector<std::shared_ptr<Reactor>> reactors_;
  Executor& executor_;
  std::function<void(Result<Done>)> opened_;
  std::function<void()> released_;  ///< this node is stopping
  std::vector<ShardLease> held_;    ///< as the last renewal said
  TimerId timer_ = 0;
  std::uint64_t renewals_ = 0;  ///< asked for
  bool asking_ = false;         ///< a renewal is in flight, or what has to come before the next one
  bool first_ = true;
  std::int64_t lineage_ = 0;  ///< of the store, as the last renewal said; 0: before the first
  Epoch epoch_max_{};         ///< of all shards that this node has held
  Epoch epoch_floor_{};       ///< the same under earlier lineages
  std::optional<TimePoint> namesake_renewed_at_;  ///< as it was when this node began to wait
  bool closed_ = false;                           ///< stopped: nothing is renewed any more
  std::bitset<shard_count> leaving_;              ///< the reactors were told to let them go
  /// Let go: an answer to a renewal that was asked for before this one may still name them as held.
  std::map<Shard, std::uint64_t> gone_;
  SteadyTime act_until_{};
};

}  // namespace backstitch::engine
