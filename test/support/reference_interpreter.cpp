#include "reference_interpreter.hpp"

#include <algorithm>

#include "reference_tree.hpp"

namespace backstitch::test {
namespace {

using What = Observed::What;

Fault cancelled_at(std::uint64_t time) {
  return {"CANCELLED", "cancelled", "", time, {}};
}
Fault late_at(std::uint64_t time) {
  return {"SAGA_TIMEOUT", "timeout", "", time, {}};
}

bool is_named(const Fault& fault, const std::string& code) {
  return fault.code == code || std::any_of(fault.also.begin(), fault.also.end(),
                                           [&](const auto& f) { return is_named(f, code); });
}

}  // namespace

Reference::Reference(const dsl::Definition& definition, Json input)
    : definition_(definition),
      input_(std::move(input)),
      saga_{{"id", "id"}, {"name", definition.name}, {"version", definition.version}} {
  main_ = make_lane(definition.steps, "", nullptr, &names_);
  follow();
}

std::string Reference::observe(const Observed& seen) {
  if (undecided_) return "";
  ++clock_;
  if (seen.what == What::together || seen.what == What::apart) {
    together_ = seen.what == What::together;
    undecided_ = order_matters();
    failed_together_.clear();
    if (!ended_) follow();
    return "";
  }
  if (ended_) return "the saga has ended";
  if (seen.path.starts_with("onSuspended["))
    return may_notify_ ? "" : "nobody is told of what an operator asked for";
  // Calls in flight come to their ends, and what is undone elsewhere goes on; nothing else begins.
  const bool begins = seen.what == What::call || seen.what == What::retry ||
                      seen.what == What::cancelled || seen.what == What::ended;
  if (begins && !suspended_at_.empty()) return "the saga is suspended at " + *suspended_at_.begin();
  std::string wrong = one_seen(seen);
  if (!wrong.empty() && together_) {
    // Of what happens at one moment this may be the consequence.
    together_ = false;
    if (order_matters()) undecided_ = true;
    follow();
    wrong = one_seen(seen);
  }
  if (wrong.empty()) follow();
  return undecided_ ? "" : wrong;
}

/// Of two failures at one moment the one may stop the `try` around the other, or be too late for
/// it.
bool Reference::order_matters() const {
  const auto in_try = [](const Run* run) {
    const Run* block = run->lane->block;
    for (; block != nullptr; block = block->lane->block) {
      if (std::holds_alternative<dsl::Try>(block->step->body)) return true;
    }
    return false;
  };
  return failed_together_.size() > 1 &&
         std::any_of(failed_together_.begin(), failed_together_.end(), in_try);
}

/// Changes nothing if it gives a reason.
std::string Reference::one_seen(const Observed& seen) {
  if (seen.what == What::cancelled || seen.what == What::deadline) return stop_seen(seen);
  if (seen.what == What::ended) return end_seen(seen);
  const auto found = runs_.find(seen.path);
  if (found == runs_.end())
    return "there is no such step here, or what stands before it has not ended";
  return step_seen(*found->second, seen);
}

std::string Reference::stop_seen(const Observed& seen) {
  const bool cancel = seen.what == What::cancelled;
  // Where the way back has begun already, or is about to, either may be told.
  if (stop_) stop_->also.push_back(cancel ? cancelled_at(clock_) : late_at(clock_));
  if (fault_) fault_->also.push_back(cancel ? cancelled_at(clock_) : late_at(clock_));
  if (stop_ || fault_) return "";
  if (definition_.recovery == dsl::Recovery::forward)
    return cancel ? "a saga that only recovers forward cannot be cancelled" : "";
  const bool pivot_sent = pivot_sent_ && seen.word != "pivot-unsent";
  if (cancel && pivot_sent) return "the pivot was sent";
  if (pivot_passed_) return "";
  if (pivot_sent) {
    deadline_waits_ = true;
    return "";
  }
  stop_ = cancel ? cancelled_at(clock_) : late_at(clock_);
  main_->stopped = true;
  return "";
}

std::string Reference::end_seen(const Observed& seen) {
  if (seen.status == "COMPLETED") {
    if (fault_) return "the saga has failed with " + fault_->code;
    if (main_->progress != Progress::done) return left_to_do();
    const Json output = render(definition_.output ? &*definition_.output : nullptr, *main_);
    if (seen.output && *seen.output != output) return "the output is " + output.dump();
  } else {
    if (!fault_) return "nothing has failed so far; " + left_to_do();
    if (!undone_) return left_to_do();
    if ((seen.status == "FAILED_INCOMPLETE") != incomplete_)
      return incomplete_ ? "an undo was given up" : "everything was undone";
    if (!is_named(*fault_, seen.word)) return "the failure is " + fault_->code;
  }
  ended_ = true;
  return "";
}

std::string Reference::finish() {
  if (undecided_ || ended_) return "";
  if (!suspended_at_.empty()) return left_to_undo();
  return "the saga has not ended: " + left_to_do();
}

/// One stuck compensation does not stop those beside it.
std::string Reference::left_to_undo() const {
  for (const auto& [path, run] : runs_) {
    const bool open = run->undo == UndoStand::allowed || run->undo == UndoStand::running;
    if (open && suspended_at_.count(path) == 0)
      return path + " is not undone, though only " + *suspended_at_.begin() + " is stuck";
  }
  return "";
}

std::string Reference::left_to_do() const {
  std::string open;
  for (const auto& [path, run] : runs_) {
    const bool waits = run->stand == Stand::ready || run->stand == Stand::running;
    std::string what;
    if (run->lanes.empty() && waits) what = std::string(" is ") + to_text(run->stand);
    if (run->undo == UndoStand::allowed) what = " has to be undone";
    if (run->undo == UndoStand::running) what = " is being undone";
    if (!what.empty()) open += (open.empty() ? "" : ", ") + path + what;
  }
  return open.empty() ? "nothing is left to do" : open;
}

void Reference::follow() {
  forget_what_is_allowed();
  if (!suspended_at_.empty() && !fault_) {
    for (Run* block : tries_) {
      const bool back = block->stand == Stand::running && block->lanes.size() == 1;
      if (back) undo(*block->lanes[0], *block->fault);
    }
    return;
  }
  if (!fault_) {
    advance(*main_);
    if (main_->progress == Progress::failed) fault_ = main_->fault;
    const bool over = main_->progress != Progress::waiting;
    if (over && stop_) {
      const auto before = fault_;
      fault_ = stop_;
      if (before) fault_->also.push_back(*before);
    }
  }
  if (!fault_ || !undo(*main_, *fault_)) return;
  if (!handlers_) {
    handlers_ = make_lane(definition_.on_failure, "onFailure/", nullptr, &names_);
    handlers_->failure = failure_of(*fault_);
    if (!definition_.on_failure.empty()) look_for_readers(*fault_, "/onFailure");
  }
  advance(*handlers_);
  undone_ = handlers_->progress == Progress::done;
}

ReferenceInterpreter::ReferenceInterpreter(const dsl::Definition& definition, const Json& input)
    : reference_(std::make_unique<Reference>(definition, input)) {}
ReferenceInterpreter::~ReferenceInterpreter() = default;

std::string ReferenceInterpreter::observe(const Observed& seen) {
  return reference_->observe(seen);
}
std::string ReferenceInterpreter::finish() {
  return reference_->finish();
}
bool ReferenceInterpreter::is_undecided() const {
  return reference_->is_undecided();
}

std::string judge(const dsl::Definition& definition, const Json& input,
                  const std::vector<Observed>& all) {
  ReferenceInterpreter interpreter(definition, input);
  std::string before;
  for (const auto& seen : all) {
    const std::string wrong = interpreter.observe(seen);
    if (!wrong.empty()) return "`" + to_text(seen) + "`: " + wrong + "; before it:" + before;
    before += " " + to_text(seen) + " |";
  }
  const std::string missing = interpreter.finish();
  return missing.empty() ? "" : missing + " after" + before;
}

}  // namespace backstitch::test
