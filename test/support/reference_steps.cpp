/// What is seen of one step: whether it was its turn.
#include <algorithm>

#include "reference_tree.hpp"

namespace backstitch::test {
namespace {

using What = Observed::What;

bool is_pivot(const dsl::Step& step) {
  return std::holds_alternative<dsl::Action>(step.body) && step.kind == dsl::StepKind::pivot;
}

/// How a pause ends that was stopped makes no difference to anybody.
bool ends_when_stopped(const Run& run) {
  const auto& body = run.step->body;
  const bool pauses =
      std::holds_alternative<dsl::Wait>(body) || std::holds_alternative<dsl::Sleep>(body);
  return pauses && run.stand == Stand::stopped;
}

std::string class_of(const std::string& code) {
  if (code == "RETRIES_EXHAUSTED") return "transient";
  if (code == "OUTCOME_UNKNOWN") return "unknown";
  if (code.ends_with("_TIMEOUT")) return "timeout";
  return code == "CANCELLED" ? "cancelled" : "failure";
}

}  // namespace

const char* to_text(Stand stand) {
  switch (stand) {
    case Stand::ahead:
      return "not reached yet";
    case Stand::ready:
      return "not called yet";
    case Stand::running:
      return "running";
    case Stand::done:
      return "done";
    case Stand::skipped:
      return "skipped";
    case Stand::failed:
      return "failed";
    case Stand::unknown:
      return "unknown";
    case Stand::stopped:
      return "in a part that was stopped";
  }
  return "";
}

std::string Reference::step_seen(Run& run, const Observed& seen) {
  switch (seen.what) {
    case What::call:
      return call_seen(run);
    case What::retry:
      return retry_seen(run);
    case What::done:
      return done_seen(run, seen);
    case What::refused:
      return refused_seen(run, seen);
    case What::unknown:
      return unknown_seen(run);
    case What::suspended:
      return suspended_seen(run, seen.word);
    case What::resumed:
      return resumed_seen(run);
    case What::undo:
    case What::undone:
    case What::undo_failed:
    case What::undo_left:
      return undo_seen(run, seen);
    case What::cancelled:
    case What::deadline:
    case What::together:
    case What::apart:
    case What::ended:
      break;
  }
  return "is not about a step";
}

std::string Reference::not_ready(const Run& run) {
  for (const Lane* lane = run.lane; run.stand == Stand::stopped && lane->block != nullptr;
       lane = lane->block->lane) {
    if (lane->stopped && lane->block->fault)
      return "the step is stopped, because " + lane->block->fault->step + " failed";
  }
  if (run.stand == Stand::ready) return "there is no room yet: others are running";
  return "the step is " + std::string(to_text(run.stand));
}

bool Reference::may_fail(const Run& run) const {
  const bool handler = run.path.starts_with("onFailure/");
  return !handler && !pivot_passed_ && definition_.recovery == dsl::Recovery::backward;
}

std::string Reference::call_seen(Run& run) {
  if (!std::holds_alternative<dsl::Action>(run.step->body)) return "the step calls nobody";
  if (run.stand != Stand::ready || !may_begin(run)) return not_ready(run);
  if (!can_be_sent(run)) return "its request cannot be rendered, or not its undo";
  mark_begun(run);
  run.stand = Stand::running;
  pivot_sent_ = pivot_sent_ || is_pivot(*run.step);
  return "";
}

std::string Reference::retry_seen(const Run& run) {
  if (run.stand != Stand::running) return not_ready(run);
  if (is_stopped(*run.lane) && !is_pivot(*run.step))
    return "nothing is tried again in a part that was stopped";
  return "";
}

std::string Reference::done_seen(Run& run, const Observed& seen) {
  const bool calls = std::holds_alternative<dsl::Action>(run.step->body);
  if (ends_when_stopped(run)) return "";
  if (calls ? run.stand != Stand::running : run.stand != Stand::ready || !may_begin(run))
    return not_ready(run);
  if (std::holds_alternative<dsl::Fail>(run.step->body)) return "the step always fails";
  Json output = seen.output.value_or(nullptr);
  if (const auto* value = std::get_if<dsl::Value>(&run.step->body)) {
    const Json expected = render(&value->value, *run.lane);
    if (undecided_) {
      undecided_ = false;
      return "the value cannot be computed";
    }
    if (seen.output && output != expected) return "the value is " + expected.dump();
    output = expected;
  }
  mark_begun(run);
  settle(run, output);
  if (is_pivot(*run.step)) pivot_passed_ = true;
  return "";
}

std::string Reference::refused_seen(Run& run, const Observed& seen) {
  const auto& body = run.step->body;
  // What cannot be sent fails without a call.
  const bool calls = std::holds_alternative<dsl::Action>(body) && can_be_sent(run);
  if (ends_when_stopped(run)) return "";
  if (calls ? run.stand != Stand::running : run.stand != Stand::ready || !may_begin(run))
    return not_ready(run);
  if (!may_fail(run)) return "the saga cannot fail any more";
  const auto* action = std::get_if<dsl::Action>(&body);
  if (seen.word == "OUTCOME_UNKNOWN" && action != nullptr && !action->probe &&
      run.step->kind == dsl::StepKind::readonly)
    return "what only reads has no effect that could be unknown";
  if (const auto* fail = std::get_if<dsl::Fail>(&body); fail != nullptr && fail->code != seen.word)
    return "the failure is " + fail->code;
  if (const auto* wait = std::get_if<dsl::Wait>(&body);
      wait != nullptr && wait->on_timeout != dsl::OnTimeout::fail)
    return "the wait goes on when it times out";
  if (const auto* value = std::get_if<dsl::Value>(&body)) {
    render(&value->value, *run.lane);
    if (!undecided_) return "the value can be computed";
    undecided_ = false;
  }
  if (std::holds_alternative<dsl::Sleep>(body)) return "a sleep cannot fail";
  mark_begun(run);
  run.stand = Stand::failed;
  note_failed(run, {seen.word,
                    seen.failure_class.empty() ? class_of(seen.word) : seen.failure_class,
                    run.path,
                    clock_,
                    {}});
  // An operator's word about the pivot is the reason by itself, however late it comes.
  if (is_pivot(*run.step) && deadline_waits_ && seen.word != "RESOLVED_NOT_DONE")
    stop_ = Fault{"SAGA_TIMEOUT", "timeout", "", clock_, {*run.fault}};
  return "";
}

std::string Reference::unknown_seen(Run& run) {
  if (run.stand != Stand::running) return not_ready(run);
  if (!may_fail(run) || is_pivot(*run.step)) return "here a step is resolved, or a person is asked";
  run.stand = Stand::unknown;
  run.settled_at = clock_;
  note_failed(run, {"OUTCOME_UNKNOWN", "unknown", run.path, clock_, {}});
  return "";
}

void Reference::note_failed(Run& run, Fault fault) {
  run.fault = std::move(fault);
  if (together_) failed_together_.push_back(&run);
}

std::string Reference::undo_seen(Run& run, const Observed& seen) {
  if (seen.what == What::undo) {
    if (run.undo == UndoStand::running) return "the undo was called before";
    if (run.undo != UndoStand::allowed) return "it is not the turn of this undo";
    run.undo = UndoStand::running;
    return "";
  }
  if (run.undo != UndoStand::running) return "the undo is not running";
  const auto* undo = std::get_if<dsl::Compensation>(&run.step->undo);
  const bool given_up = seen.what == What::undo_failed;
  if (given_up && (undo == nullptr || undo->on_exhausted != dsl::OnExhausted::continue_))
    return "a person has to look at an undo that was given up";
  if (seen.what == What::undo_left && suspended_at_.count(run.path) > 0)
    return "only an operator who was asked goes on without an undo";
  if (seen.what == What::undo_left && seen.word == "not-done" && run.stand != Stand::unknown)
    return "the step is known to be done";
  run.undo = UndoStand::done;
  if (given_up || (seen.what == What::undo_left && seen.word != "not-done")) note_given_up();
  return "";
}

void Reference::note_given_up() {
  incomplete_ = true;
  // Whether there is another way from a save-point that was not reached is left open.
  const bool to_a_save_point = std::any_of(tries_.begin(), tries_.end(), [](const Run* block) {
    return block->stand == Stand::running && block->lanes.size() == 1;
  });
  if (to_a_save_point) undecided_ = true;
}

std::string Reference::resumed_seen(const Run& run) {
  if (suspended_at_.erase(run.path) > 0) return "";
  return "the saga is not suspended there";
}

std::string Reference::suspended_seen(const Run& run, const std::string& word) {
  const bool undoing = run.undo == UndoStand::running;
  const auto* action = std::get_if<dsl::Action>(&run.step->body);
  // A probe may be unable to find out.
  const bool asks = action != nullptr && action->probe;
  const bool stuck = run.stand == Stand::running && (!may_fail(run) || is_pivot(*run.step) || asks);
  const bool wanted = word == "OPERATOR" && run.stand == Stand::running;
  if (!undoing && !stuck && !wanted)
    return "nobody is needed at this step: it is " + std::string(to_text(run.stand));
  suspended_at_.insert(run.path);
  may_notify_ = may_notify_ || word != "OPERATOR";
  return "";
}

}  // namespace backstitch::test
