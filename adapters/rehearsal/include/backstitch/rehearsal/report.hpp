#pragma once
/// What a rehearsal tells.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::rehearsal {

/// One thing that happened: an event of the log of the saga or of one of its sub-sagas, or
/// something asked from outside that was refused (type `Refused`).
struct Moment {
  TimePoint at{};
  Duration offset{0};  ///< since the start
  SagaId saga;
  std::string definition;
  std::string type;       ///< `StepSucceeded`
  std::string path;       ///< `reserve/flight/holdSeats[0]/holdSeat`; empty: the saga as a whole
  std::size_t depth = 0;  ///< in blocks, and in sagas that are steps of others
  std::string label;      ///< the path below the block around it: `[0] holdSeat`
  Json data;              ///< of the event, as the log has it, what is sensitive masked
};
/// What a Moment says, without its time and place: `POST /charges to billing`.
std::string to_text(const Moment& moment);

enum class Standing {
  accepted,  ///< to be done later, and not undone
  exists,    ///< done and not undone
  undone,    ///< done once, and taken back
  closed     ///< never done, and undone all the same: refused from now on
};
const char* to_text(Standing standing);

/// What one participant was left with of one call that can have an effect.
struct LedgerEntry {
  std::string service;  ///< as registered; for one written in the definition, its name there
  std::string definition;
  std::string path;
  std::string request;  ///< the first of them: `PUT /reservations/o-17`
  std::string key;
  Standing standing = Standing::exists;
  std::optional<Duration> done;  ///< when, since the start
  std::optional<Duration> undone;
  std::uint32_t calls = 0;  ///< that arrived: action and undo, repeated ones too
};

struct Report {
  std::string definition;
  std::int64_t version = 0;
  SagaId saga;
  std::string status;  ///< `COMPLETED`; `RUNNING` if the time given was over first
  Json failure;        ///< {code, class, message, step, details}; null: none
  Json suspension;     ///< {reason, message, step, …}; null: not suspended
  Json output;
  Duration took{0};  ///< from the start to the last moment
  std::vector<Moment> timeline;
  std::vector<LedgerEntry> ledger;  ///< in the order of the first call

  bool completed() const { return status == "COMPLETED"; }
  /// How the effect of a step stands, as Standing is spelled; `none` if there is none. For a
  /// step that runs more than once, the answer they all have in common, else `mixed`.
  std::string effect_of(std::string_view step) const;
};
Json to_json(const Report& report);

}  // namespace backstitch::rehearsal
