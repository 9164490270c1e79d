#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "scene.hpp"

namespace backstitch::simulation {

/// Who owns each shard, by what the database told its nodes: kept apart from the store, so that a
/// store that forgets to look is found out.
class Ownership {
 public:
  explicit Ownership(Scene& scene) : scene_(scene) {}
  /// The database told `process` of `node` that it holds `shard` at `epoch`.
  void told(const std::string& node, std::size_t process, std::size_t shard, std::int64_t epoch,
            bool first);
  /// `process` of `node` gave it back. One that was not told that it holds the shard changes
  /// nothing.
  void released(const std::string& node, std::size_t process, std::size_t shard);
  /// An append of that node at that epoch was written.
  void written(const std::string& node, std::size_t shard, std::int64_t epoch,
               const std::string& saga);
  bool is_held_by(const std::string& node, std::size_t shard) const {
    return holders_[shard].node == node;
  }

  struct Holder {
    std::string node;
    std::size_t process = 0;
    std::int64_t epoch = 0;
  };
  using Holders = std::array<Holder, 256>;
  const Holders& holders() const { return holders_; }
  /// The database was set back to what it was when these were the holders.
  void set_back(const Holders& holders) { holders_ = holders; }

 private:
  Scene& scene_;
  Holders holders_;
};

}  // namespace backstitch::simulation
