#include <map>
#include <set>

#include "checker.hpp"

namespace backstitch::simulation {
namespace {

const std::map<std::string, Rare>& rare_events() {
  static const std::map<std::string, Rare> events{{"CancelRequested", Rare::cancelled},
                                                  {"DeadlinePassed", Rare::deadline_passed},
                                                  {"Resumed", Rare::resumed},
                                                  {"SagaSuspended", Rare::suspended},
                                                  {"CallbackRefused", Rare::callback_refused},
                                                  {"HandlersStarted", Rare::handlers_ran},
                                                  {"CatchStarted", Rare::try_caught},
                                                  {"SignalConsumed", Rare::signal_consumed},
                                                  {"ChildUndoScheduled", Rare::child_undone}};
  return events;
}

void cover_end(const LogLine& line, Coverage& coverage) {
  const std::string status = line.data.value("status", std::string{});
  if (status == "COMPLETED") coverage.reached(Rare::saga_completed);
  if (status == "FAILED") coverage.reached(Rare::saga_failed);
  if (status == "FAILED_INCOMPLETE") coverage.reached(Rare::saga_failed_incomplete);
}

bool is_pivot(const nlohmann::json& node, const std::string& name) {
  if (node.is_object() && node.value("kind", nlohmann::json()) == "pivot" &&
      node.value("name", nlohmann::json()) == name)
    return true;
  for (const auto& inner : node) {
    if (inner.is_structured() && is_pivot(inner, name)) return true;
  }
  return false;
}

class SagaCover {
 public:
  SagaCover(const nlohmann::json& document, Coverage& coverage)
      : document_(document), coverage_(coverage) {}

  void line(const LogLine& line) {
    const auto rare = rare_events().find(line.type);
    if (rare != rare_events().end()) coverage_.reached(rare->second);
    if (line.type == "SagaEnded") cover_end(line, coverage_);
    if (line.type == "SagaSuspended" &&
        line.data.value("reason", std::string{}) == "TAKEN_OVER_REPEATEDLY")
      coverage_.reached(Rare::suspended_by_take_overs);
    if (line.type == "SagaSuspended" && line.data.value("phase", std::string{}) == "compensate")
      stuck_.insert(line.path);
    if (line.type == "OperatorActed") stuck_.erase(line.path);
    if (line.type == "StepWaiting") waiting_.insert(line.path);
    if (line.type == "AttemptFailed" && waiting_.count(line.path) > 0 && stopping_at_ == line.at)
      coverage_.reached(Rare::completion_given_up);
    if (line.type == "CancelRequested" || line.type == "DeadlinePassed") stopping_at_ = line.at;
    if (line.type == "SignalConsumed" && waiting_.count(line.path) == 0)
      coverage_.reached(Rare::signal_before_wait);
    if (line.type == "SignalConsumed") waiting_.erase(line.path);
    if (line.type == "StepFailed" &&
        line.data.at("failure").value("code", std::string{}) == "WAIT_TIMEOUT")
      coverage_.reached(Rare::wait_timed_out);
    if (line.type == "StepUnknown") unknown_.insert(line.path);
    if (line.type == "AttemptFailed" && line.data.value("outcome", std::string{}) == "unknown" &&
        line.data.at("failure").value("code", std::string{}).starts_with("HTTP_4"))
      coverage_.reached(Rare::refusal_not_believed);
    if (line.type == "ChildScheduled") children_.insert(line.path);
    if (line.type == "StepSucceeded" && children_.count(line.path) > 0)
      coverage_.reached(Rare::child_completed);
    if (line.type == "StepSucceeded" && is_pivot(document_, line.path))
      coverage_.reached(Rare::pivot_passed);
    if (line.type == "StepWaiting" && line.data.contains("poll")) polled_ = line.path;
    if (line.type == "CallbackReceived" && polled_ == line.path) polled_.clear();
    if (line.type == "StepSucceeded" && polled_ == line.path)
      coverage_.reached(Rare::settled_by_poll);
    if (line.type == "StepCompensationScheduled") undo(line);
  }

 private:
  void undo(const LogLine& line) {
    if (unknown_.count(line.path) > 0) coverage_.reached(Rare::unknown_step_undone);
    if (!stuck_.empty()) coverage_.reached(Rare::undone_beside_a_stuck_chain);
    if (line.path.find('[') != std::string::npos)
      coverage_.reached(Rare::iterations_undone);
    else if (line.path.find('/') != std::string::npos)
      coverage_.reached(Rare::branches_undone);
  }

  const nlohmann::json& document_;
  Coverage& coverage_;
  std::set<std::string> waiting_;
  std::set<std::string> unknown_;
  std::set<std::string> stuck_;
  std::int64_t stopping_at_ = 0;
  std::set<std::string> children_;
  std::string polled_;
};

/// What was done for calls that the store has forgotten, and that no saga has come to again.
std::size_t effects_left_behind(const Evidence& evidence) {
  std::set<std::string> standing;
  for (const auto& entry : evidence.ledger) {
    if (entry.what == LedgerEntry::What::done) standing.insert(entry.key);
    if (entry.what == LedgerEntry::What::undone) standing.erase(entry.key);
  }
  for (const auto& [id, log] : evidence.logs) {
    for (const auto& line : log) {
      if (line.type == "StepScheduled")
        standing.erase(line.data.at("request").value("key", std::string{}));
    }
  }
  return standing.size();
}

}  // namespace

void cover(const Evidence& evidence, Coverage& coverage) {
  if (!evidence.lost.empty())
    coverage.reached(Rare::effect_left_behind, effects_left_behind(evidence));
  for (const auto& [id, log] : evidence.logs) {
    SagaCover saga(evidence.documents->at(log.front().data.value("definition", std::string{})),
                   coverage);
    for (const auto& line : log) saga.line(line);
  }
}

}  // namespace backstitch::simulation
