#pragma once
/// Which parts of a definition an exploration came to.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/event.hpp>

namespace backstitch::engine::explore {

class Reached {
 public:
  /// @param step  that the event is about; nullptr: the saga as a whole
  void note(const dsl::Step* step, const Event& event);
  /// What was never come to, the outermost part of it: steps, cases, catches.
  std::vector<std::string> missing(const dsl::Definition& definition) const;

 private:
  void list(const dsl::Steps& steps, std::vector<std::string>& out) const;
  void list_inside(const dsl::Step& step, std::vector<std::string>& out) const;
  bool arm(const dsl::Step& step, std::size_t index) const;

  std::set<const dsl::Step*> steps_;
  std::set<std::pair<const dsl::Step*, std::size_t>>
      arms_;  ///< cases of a switch, catches of a try
};

}  // namespace backstitch::engine::explore
