#include "ownership.hpp"

namespace backstitch::simulation {

void Ownership::told(const std::string& node, std::size_t process, std::size_t shard,
                     std::int64_t epoch, bool first) {
  Holder& holder = holders_[shard];
  const std::string what = "shard " + std::to_string(shard) + " at epoch " + std::to_string(epoch);
  if (epoch < holder.epoch) scene_.violated("I7: an epoch fell back: " + what);
  if (epoch == holder.epoch && !holder.node.empty() && holder.node != node)
    scene_.violated("I7: " + what + " was given to " + holder.node + " and to " + node);
  const bool again = holder.node == node && holder.process != process;
  if (epoch == holder.epoch && again && first)
    scene_.violated("I7: a new process of " + node + " got " + what + " like the one before it");
  if (!holder.node.empty() && holder.node != node) scene_.coverage.reached(Rare::shards_taken_over);
  holder = {node, process, epoch};
}

void Ownership::released(const std::string& node, std::size_t process, std::size_t shard) {
  Holder& holder = holders_[shard];
  if (holder.node == node && holder.process == process) holder.node.clear();
}

void Ownership::written(const std::string& node, std::size_t shard, std::int64_t epoch,
                        const std::string& saga) {
  const Holder& holder = holders_[shard];
  if (holder.node == node && holder.epoch == epoch) return;
  scene_.violated("I7: " + node + " wrote to " + saga + " at epoch " + std::to_string(epoch) +
                  ", but the shard is " + (holder.node.empty() ? "nobody's" : holder.node + "'s") +
                  " at epoch " + std::to_string(holder.epoch));
}

}  // namespace backstitch::simulation
