#pragma once
/// What all parts of one simulation share.
#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <backstitch/virtual/world.hpp>

#include "../support/dice.hpp"
#include "fault_plan.hpp"
#include "rare.hpp"

namespace backstitch::simulation {

using test::Dice;
using virtual_time::VirtualExecutor;
using virtual_time::VirtualWorld;

/// What happened, a line each. Nothing is made where nobody reads it.
class Trace {
 public:
  Trace(const VirtualWorld& world, bool kept) : world_(world), begin_(world.now()), kept_(kept) {}
  template <class... Parts>
  void note(std::string_view who, const Parts&... parts) {
    if (!kept_) return;
    std::ostringstream line;
    line << stamp() << "  " << padded(who);
    (line << ... << parts);
    lines_.push_back(std::move(line).str());
  }
  bool kept() const { return kept_; }
  const std::vector<std::string>& lines() const { return lines_; }
  std::int64_t millis() const {
    return std::chrono::duration_cast<Duration>(world_.now() - begin_).count();
  }

 private:
  std::string stamp() const;
  static std::string padded(std::string_view who);

  const VirtualWorld& world_;
  engine::SteadyTime begin_;
  bool kept_;
  std::vector<std::string> lines_;
};

struct Scene {
  Scene(std::uint64_t seed, bool traced)
      : dice(seed),
        more_dice(~seed),
        plan(FaultPlan::drawn(dice, more_dice)),
        outside(world),
        trace(world, traced) {}

  /// Whether one of a thousand happens now.
  bool strikes(std::size_t per_mille) { return faults && dice.below(1'000) < per_mille; }
  Duration between(std::int64_t least, std::int64_t most) {
    return Duration{
        least + static_cast<std::int64_t>(dice.below(static_cast<std::size_t>(most - least + 1)))};
  }
  void violated(const std::string& what) {
    trace.note("VIOLATION", what);
    violations.push_back(what);
  }

  Dice dice;
  Dice more_dice;  ///< of kinds of faults that came later: worlds without them stay as they were
  FaultPlan plan;
  VirtualWorld world;
  VirtualExecutor outside;  ///< runs all that is no node: the wire, the database, the outside world
  Trace trace;
  Coverage coverage;
  bool faults = true;  ///< false once they have stopped
  std::vector<std::string> violations;
};

}  // namespace backstitch::simulation
