#pragma once
/// A saga in virtual time against stand-ins for its participants: no database, no services, no
/// waiting. Behind `backstitch rehearse`, and for the tests of those who write definitions.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/rehearsal/report.hpp>

namespace backstitch::rehearsal {

enum class Trouble {
  refuse,        ///< answered with a failure, nothing done
  transient,     ///< answered with "not now", nothing done
  unknown_done,  ///< done, but the answer is lost
  unknown_lost,  ///< lost on the way there: not done, and no answer
  down,          ///< cannot be connected to
  unanswered,    ///< accepted, and never answered; for steps with a `completion`
  empty_body,    ///< done and answered, with an empty body
  html_body      ///< done and answered, with a page in place of the body
};
/// Which calls of a step a fault meets.
enum class Target { action, undo, probe, poll };

/// Something that goes wrong with the calls of a step.
struct Fault {
  std::string step;  ///< its name, or a path for one iteration: `holdSeats[1]/holdSeat`
  Target target = Target::action;
  Trouble trouble = Trouble::refuse;
  std::string code;  ///< refuse: an error code or a status; empty: the first the step knows
  std::optional<Duration> lasts;         ///< down: from its first call on; unset: for ever
  std::optional<std::uint32_t> times{};  ///< calls it meets; unset: all
};
/// `charge=refuse`, `charge=refuse:CARD_DECLINED`, `charge/undo=unknown-done*2`, `ship=down:30s`.
/// @return invalid/fault-invalid
Result<Fault> parse_fault(std::string_view text);

struct Signal {
  std::string name;
  Duration at{0};  ///< after the start
  Json payload{};
  std::string by = "rehearsal";
};

struct Options {
  Json input = Json::object();
  std::vector<Fault> faults{};             ///< of those that meet a call, the first decides
  std::map<std::string, Json> answers{};   ///< body of a step's answer, instead of a made-up one
  std::map<std::string, Json> services{};  ///< registered services, where their rules matter
  std::vector<Signal> signals{};
  std::vector<std::string> cancel_at_steps{};    ///< cancelled when one of these begins
  std::optional<Duration> cancel_at{};           ///< cancelled so long after the start
  std::uint64_t seed = 1;                        ///< of the jitter
  TimePoint start{Duration{1'767'225'600'000}};  ///< 2026-01-01
  Duration until{30LL * 86'400'000};             ///< what goes on then is left running
};

/// Runs a definition on the production engine, in one thread. Equal options give an equal report.
/// Threads: one at a time; run may be called again, every run is a world of its own.
///   Rehearsal rehearsal({definition, child});
///   const auto report = rehearsal.run({.input = input, .faults = {*parse_fault("pay=refuse")}});
///   CHECK(report->effect_of("reserve") == "undone");
class Rehearsal {
 public:
  /// @param definitions as JSON text: the one to run, then those of its sub-sagas
  explicit Rehearsal(std::vector<std::string> definitions);
  /// @return invalid/definition-invalid with the findings, invalid/fault-invalid for one that can
  /// meet nothing, invalid/step-unknown, invalid/INPUT_INVALID
  Result<Report> run(const Options& options) const;

 private:
  std::vector<std::string> definitions_;
};

}  // namespace backstitch::rehearsal
