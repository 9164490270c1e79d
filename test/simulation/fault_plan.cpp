#include "fault_plan.hpp"

#include <algorithm>

namespace backstitch::simulation {
namespace {

using test::Dice;

/// How bad a seed is: calm, usual, brutal.
constexpr std::size_t calm_percent = 10;
constexpr std::size_t brutal_percent = 20;

class Drawing {
 public:
  explicit Drawing(Dice& dice) : dice_(dice) {
    const std::size_t rolled = dice.below(100);
    calm_ = rolled < calm_percent;
    brutal_ = rolled >= 100 - brutal_percent;
  }
  /// A rate of at most `most`, or none.
  std::size_t rate(std::size_t most) {
    const std::size_t drawn = dice_.between(1, most);
    const bool there = dice_.chance(brutal_ ? 80 : 40);
    if (calm_ || !there) return 0;
    return brutal_ ? drawn * 2 : drawn;
  }
  /// A mean time between two events, or never.
  Duration every(std::int64_t least, std::int64_t most) {
    const auto drawn =
        least + static_cast<std::int64_t>(dice_.below(static_cast<std::size_t>(most - least)));
    const bool there = dice_.chance(brutal_ ? 80 : 45);
    if (calm_ || !there) return Duration{0};
    return Duration{brutal_ ? drawn / 2 : drawn};
  }

 private:
  Dice& dice_;
  bool calm_ = false;
  bool brutal_ = false;
};

std::string shown(const char* name, Duration every) {
  return every.count() == 0 ? "" : std::string(" ") + name + "~" + to_text(every);
}
std::string shown(const char* name, std::size_t rate) {
  return rate == 0 ? "" : std::string(" ") + name + "=" + std::to_string(rate);
}

}  // namespace

FaultPlan FaultPlan::drawn(Dice& dice, Dice& more) {
  Drawing draw(dice);
  FaultPlan plan;
  plan.drain = dice.chance(75);
  plan.faults_for = Duration{static_cast<std::int64_t>(dice.between(10, 60)) * 1'000};
  plan.nodes = dice.pick({1, 1, 2, 2, 2, 3, 3, 4});
  plan.reactors = dice.chance(25) ? 2 : 1;
  plan.spares = dice.chance(50);
  plan.lease = Duration{dice.pick({2'000, 5'000, 10'000})};
  plan.sagas = dice.between(1, 6);
  plan.database = {draw.rate(60), draw.rate(8),   draw.rate(60),
                   draw.rate(40), draw.rate(300), dice.pick<std::size_t>({0, 50, 100})};
  plan.events = {draw.every(5'000, 30'000), draw.every(5'000, 30'000), draw.every(10'000, 40'000),
                 draw.every(8'000, 40'000), draw.every(8'000, 60'000), draw.every(5'000, 40'000)};
  plan.network = {draw.rate(80), draw.rate(80), draw.rate(80), draw.rate(60),
                  draw.rate(80), draw.rate(60), draw.rate(60)};
  plan.participants = {draw.rate(150), draw.rate(80),
                       draw.rate(80),  dice.pick<std::size_t>({0, 500, 1'000}),
                       draw.rate(200), draw.rate(80)};
  plan.outside = {dice.pick<std::size_t>({0, 0, 20, 50}), dice.pick<std::size_t>({30, 70, 100}),
                  dice.pick<std::size_t>({0, 20, 60}), dice.pick<std::size_t>({0, 30, 80}),
                  dice.chance(30)};
  plan.cuts = dice.chance(30);
  const std::int64_t tail_every = static_cast<std::int64_t>(more.between(4, 30)) * 1'000;
  if (more.chance(25)) plan.lost_tail = Duration{tail_every};
  const std::size_t spoken = more.between(5, 200);
  if (more.chance(30)) plan.network.intermediary = spoken;
  return plan;
}

bool FaultPlan::is_timely() const {
  const bool slow =
      database.slow + database.stuck + database.error + database.answer_error + database.lacks > 0;
  const Duration disturbed =
      events.kill + events.pause + events.stop + events.outage + events.clock_jump;
  return !slow && (disturbed + lost_tail).count() == 0;
}

std::string FaultPlan::text() const {
  std::string out = drain ? "drain" : "safety";
  out += " for " + to_text(faults_for) + ", " + std::to_string(nodes) + " nodes of " +
         std::to_string(reactors) + " reactors" + (spares ? " with spares" : "") + ", lease " +
         to_text(lease) + ", " + std::to_string(sagas) + " sagas" + (cuts ? ", cut;" : ";");
  out += " database:" + shown("slow", database.slow) + shown("stuck", database.stuck) +
         shown("error", database.error) + shown("answer-error", database.answer_error) +
         shown("lacks", database.lacks) + shown("lost-at-kill", database.lost_at_kill) +
         shown("outage", events.outage) + shown("clock", events.clock_jump) +
         shown("lost-tail", lost_tail);
  out += "; nodes:" + shown("kill", events.kill) + shown("pause", events.pause) +
         shown("stop", events.stop);
  out += "; network:" + shown("refused", network.refused) +
         shown("request-lost", network.request_lost) + shown("answer-lost", network.answer_lost) +
         shown("reset", network.reset) + shown("twice", network.twice) +
         shown("late", network.late) + shown("garbled", network.garbled) +
         shown("intermediary", network.intermediary);
  out += "; participants:" + shown("refuse", participants.refuses) +
         shown("unknown", participants.unknown) + shown("busy", participants.busy) +
         shown("pending", participants.pending) + shown("undo-fails", participants.undo_fails) +
         shown("stray", participants.strays) + shown("down", events.service_down);
  out += "; outside:" + shown("cancel", outside.cancels) + shown("signal", outside.signals) +
         shown("operator", outside.operators) + shown("repeat", outside.repeats) +
         (outside.clumsy ? " clumsy" : "");
  return out;
}

}  // namespace backstitch::simulation
