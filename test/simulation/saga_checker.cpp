#include "saga_checker.hpp"

#include <algorithm>
#include <utility>

namespace backstitch::simulation {
namespace {

using nlohmann::json;
using Stage = SagaChecker::Stage;

std::string text(const json& data, const char* member) {
  const auto found = data.find(member);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string{};
}
std::int64_t number(const json& data, const char* member) {
  const auto found = data.find(member);
  return found != data.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}
std::string sent(const json& request) {
  return text(request, "method") + " " + text(request, "target") + " " + text(request, "body");
}

/// From a cancellation or the saga's timeout to the first compensation: the attempt timeout of a
/// call in flight, and of the poll that was sent just before its answer.
constexpr std::int64_t slack_ms = 1'000;
constexpr std::size_t poll_notes_max = 20;
constexpr std::size_t repetition_bytes_max = 512;
constexpr std::int64_t stop_bound_ms = 2 * 12'000 + 1'000;

/// A value inserted into a path stays one segment of it, for routers that decode `%2F`, too.
bool leaves_its_path(const json& request) {
  std::string path = text(request, "target");
  path = path.substr(0, path.find('?')) + "/";
  for (const char* part : {"//", "/../", "/./", "%2F", "%5C", "%2E"}) {
    if (path.find(part) != std::string::npos) return true;
  }
  return false;
}

/// Its effect is there, may be there, or is just being taken back.
bool may_stand(Stage stage) {
  return stage == Stage::running || stage == Stage::succeeded || stage == Stage::unknown ||
         stage == Stage::undoing;
}

}  // namespace

void SagaChecker::wrong(const std::string& promise, const LogLine& line, const std::string& what) {
  complain_(promise + ": " + id_ + " at " + std::to_string(line.sequence) + ", " + line.type +
            (line.path.empty() ? "" : " " + line.path) + ": " + what);
}

void SagaChecker::read(const std::vector<LogLine>& log, std::size_t known) {
  std::int64_t last = 0;
  for (const auto& line : log) {
    if (static_cast<std::size_t>(line.sequence) > known) set_back_ = true;
    if (line.sequence != last + 1) wrong("I6", line, "it follows " + std::to_string(last));
    last = line.sequence;
    if (line.sequence == 1 && line.type != "SagaStarted") wrong("I6", line, "a log begins so");
    if (line.sequence > 1 && line.type == "SagaStarted") wrong("I6", line, "a second start");
    if (fold_.ended() && line.type != "SagaReopened" && line.type != "CallbackRefused")
      wrong("I9", line, "it had ended");
    if (line.type == "SagaReopened" && fold_.status() != "COMPLETED")
      wrong("I9", line, "it was " + fold_.status());
    note(line);
    fold_.event(line.type, line.path, line.data.dump());
  }
}

void SagaChecker::note(const LogLine& line) {
  if (line.type == "SagaStarted") deadline_ = number(line.data, "deadline");
  if (line.type == "SagaStarted" && line.data.value("setBack", false)) set_back_ = true;
  if (line.type == "Resumed" && line.data.contains("lineage")) set_back_ = true;
  if (line.type == "TryFailed") failed_tries_.insert(line.path);
  if (line.type == "CatchStarted") failed_tries_.erase(line.path);
  if (line.type == "CompensationStarted" || line.type == "SagaReopened") going_back_ = true;
  if (line.type == "SagaSuspended") stuck_.insert(line.path);
  if (line.type == "OperatorActed") {
    if (text(line.data, "action") != "retry-child") stuck_.erase(line.path);
    const std::string by = text(line.data, "by");
    people_.insert(by);
    operator_at_ = line.path;
    for (const char* phase : {" forward", " probe", " poll", " compensate"})
      not_before_.erase(line.path + phase);
  }
  if (line.type == "CancelRequested") people_.insert(text(line.data, "by"));
  if (line.type == "CompensationStarted" && pivot_passed_)
    wrong("I9", line, "the pivot was passed before");
  completions(line);
  times(line);
  repetitions(line);
  signals(line);
  forward(line);
  backward(line);
  if (line.type == "SagaEnded") saga_ended(line);
  if (line.type != "OperatorActed") operator_at_.clear();
}

void SagaChecker::scheduled(const LogLine& line) {
  const json& request = line.data.at("request");
  Step& step = steps_[line.path];
  const std::string key = text(request, "key");
  if (key.empty()) wrong("I3", line, "a request without a key");
  if (leaves_its_path(request)) wrong("path", line, "it is " + text(request, "target"));
  if (!step.key.empty() && step.key != key)
    wrong("I3", line, "its key was " + step.key + " and is " + key);
  if (!step.key.empty() && step.request != sent(request))
    wrong("I3", line, "another request under the same key");
  step.key = key;
  step.request = sent(request);
  step.stage = Stage::running;
}

/// What only asks has no key of its own, and names that of the action.
void SagaChecker::asked(const LogLine& line, const json& request) {
  if (request.contains("key")) wrong("I3", line, "a question has a key of its own");
  if (text(request, "probes") != steps_[line.path].key)
    wrong("I3", line, "it asks for " + text(request, "probes"));
}

/// R1, as far as codes tell who refused: a code of the table is its status.
void SagaChecker::refusals(const LogLine& line) {
  if (line.type == "AttemptFailed" && text(line.data, "phase") == "forward" &&
      text(line.data, "outcome") == "unknown")
    steps_[line.path].unknown_attempt = true;
  const StepSheet* sheet = definition_.step(line.path);
  if (line.type != "StepFailed" || sheet == nullptr || sheet->is_readonly()) return;
  const std::string code = text(line.data.at("failure"), "code");
  if (!sheet->has("action") || !code.starts_with("HTTP_")) return;
  const int status = std::stoi(code.substr(5));
  const bool redirect = status >= 300 && status < 400 && status != 307 && status != 308;
  if (redirect && !sheet->has("probe")) wrong("R1", line, "a redirect was taken for a refusal");
  const bool judges_the_request = status == 402 || status == 422;
  if (steps_[line.path].unknown_attempt && !judges_the_request && !sheet->has("probe"))
    wrong("R1", line, "a refusal was believed although an attempt before it was unknown");
  if (set_back_ && !sheet->has("probe"))
    wrong("R1", line, "a refusal was believed although an attempt before it may be forgotten");
}

void SagaChecker::forward(const LogLine& line) {
  refusals(line);
  const StepSheet* sheet = definition_.step(line.path);
  if (line.type == "StepScheduled") scheduled(line);
  if (line.type == "ProbeScheduled") asked(line, line.data.at("request"));
  if (line.type == "StepWaiting" && line.data.contains("poll")) asked(line, line.data.at("poll"));
  if (line.type == "ChildScheduled") {
    steps_[line.path].stage = Stage::running;
    steps_[line.path].child = text(line.data.at("child"), "saga");
  }
  if (line.type == "AttemptStarted" && text(line.data, "phase") == "forward") {
    const auto found = steps_.find(line.path);
    if (found == steps_.end() || found->second.stage != Stage::running)
      wrong("I5", line, "the step is not one that may be called");
  }
  if (line.type == "StepSucceeded") {
    Step& step = steps_[line.path];
    step.by_operator = operator_at_ == line.path;
    step.without_output = line.data.contains("failure");
    step.stage = Stage::succeeded;
    if (sheet != nullptr && sheet->is_pivot()) pivot_passed_ = true;
  }
  if (line.type == "StepFailed") {
    steps_[line.path].stage = Stage::failed;
    steps_[line.path].failed_in_doubt = set_back_;
    steps_[line.path].not_done_by_operator = operator_at_ == line.path;
  }
  if (line.type == "StepUnknown") {
    steps_[line.path].stage = Stage::unknown;
    steps_[line.path].effect_unknown = true;
  }
  if (line.type == "StepSkipped") {
    if (operator_at_ == line.path) gave_up_ = true;
    steps_[line.path].stage = Stage::skipped;
  }
}

bool SagaChecker::in_failed_try(const std::string& path) const {
  return std::any_of(failed_tries_.begin(), failed_tries_.end(),
                     [&](const std::string& attempt) { return path.starts_with(attempt + "/"); });
}

bool SagaChecker::share_failed_try(const std::string& path, const std::string& other) const {
  return std::any_of(failed_tries_.begin(), failed_tries_.end(), [&](const std::string& attempt) {
    return path.starts_with(attempt + "/") && other.starts_with(attempt + "/");
  });
}

/// The heart of I4.
void SagaChecker::undo_begins(const LogLine& line) {
  Step& step = steps_[line.path];
  if (step.stage != Stage::succeeded && step.stage != Stage::unknown)
    wrong("I4", line, "there is nothing to undo, or it is being undone already");
  const bool back = fold_.status() == "COMPENSATING" || fold_.status() == "SUSPENDED";
  if (!back && !in_failed_try(line.path)) wrong("I4", line, "nothing has failed");
  for (const auto& [path, other] : steps_) {
    if (path == line.path || !may_stand(other.stage)) continue;
    // Up to a save-point only what came after it is undone.
    if (!back && !share_failed_try(line.path, path)) continue;
    const StepSheet* sheet = definition_.step(path);
    if (sheet == nullptr || !sheet->can_be_undone()) continue;
    if (definition_.order(line.path, path) == DefinitionReader::Order::first_is_earlier)
      wrong("I4", line, "what stands behind it, " + path + ", is not undone yet");
  }
}

/// R2. An output that could not be computed is nothing to render from.
void SagaChecker::undo_not_rendered(const LogLine& line) {
  const auto step = steps_.find(line.path);
  if (step != steps_.end() && step->second.without_output) return;
  wrong("R2", line, "the compensation cannot be rendered: " + text(line.data, "message"));
}

void SagaChecker::backward(const LogLine& line) {
  if (line.type == "SagaSuspended" && text(line.data, "reason") == "EXPRESSION_FAILED" &&
      text(line.data, "phase") == "compensate")
    undo_not_rendered(line);
  Step* step = steps_.count(line.path) > 0 ? &steps_[line.path] : nullptr;
  const bool begins = line.type == "StepCompensationScheduled" || line.type == "ChildUndoScheduled";
  if (begins) undo_begins(line);
  if (step == nullptr) return;
  if (line.type == "StepCompensationScheduled") {
    const json& request = line.data.at("request");
    step->undo_key = text(request, "key");
    step->undo_request = sent(request);
    if (step->child.empty() && text(request, "compensates") != step->key)
      wrong("I5", line, "it undoes " + text(request, "compensates") + ", not " + step->key);
    if (step->undo_key == step->key) wrong("I3", line, "undo and action have the same key");
  }
  if (begins) step->stage = Stage::undoing;
  if (line.type == "StepCompensated") {
    step->by_operator = operator_at_ == line.path;
    if (step->stage != Stage::undoing) {
      // An undo that cannot even be asked for suspends before it begins; an operator may have done
      // it.
      if (step->by_operator)
        undo_begins(line);
      else
        wrong("I4", line, "it was not being undone");
    }
    step->stage = Stage::undone;
  }
  if (line.type == "StepCompensationFailed") {
    step->stage = Stage::undo_failed;
    incomplete_ = true;
  }
  if (line.type == "StepCompensationSkipped") {
    const std::string reason = text(line.data, "reason");
    if (reason == "operator") incomplete_ = true;
    if (reason == "not-done") {
      step->by_operator = true;
      if (!step->effect_unknown) wrong("I4", line, "the step is known to be done");
    }
    if (reason == "when" || reason == "waived") undo_begins(line);
    step->stage = Stage::undo_skipped;
  }
}

/// What is pending when a saga is to stop is settled in the same moment; where it is polled, as
/// soon as a question on its way is answered, of which the log knows nothing.
void SagaChecker::completions(const LogLine& line) {
  const std::string phase = text(line.data, "phase");
  const StepSheet* sheet = definition_.step(line.path);
  const bool settles =
      line.type == "StepSucceeded" || line.type == "StepFailed" || line.type == "StepUnknown" ||
      line.type == "ProbeScheduled" ||
      ((line.type == "AttemptFailed" || line.type == "AttemptStarted") && phase == "forward");
  // A transition that is cut settles one after the other.
  if (!settles) check_settled(line);
  const bool handler = line.path.starts_with("onSuspended[") || line.path.starts_with("onFailure/");
  if (line.type == "StepWaiting" && sheet != nullptr && sheet->has("action") &&
      !sheet->is_pivot() && !handler)
    pending_[line.path] =
        line.data.contains("poll") ? number(line.data.at("poll"), "timeoutMs") + slack_ms : 0;
  if (settles) pending_.erase(line.path);
  if (line.type == "CallbackRefused" && !refused_callbacks_.insert(line.path).second)
    wrong("I6", line, "that a callback came too late is on record already");
  if (line.type == "StepScheduled" && sheet != nullptr && sheet->is_pivot()) pivot_sent_ = true;
  const bool stops =
      line.type == "CancelRequested" || (line.type == "DeadlinePassed" && definition_.goes_back());
  if (stops && !pivot_passed_ && !stop_at_) {
    stop_at_ = line.at;
    delayed_ = pivot_sent_ || fold_.status() != "RUNNING";
  }
  const bool is_child = line.type.starts_with("Child");
  if (is_child || phase == "probe" || line.type == "ProbeScheduled" || line.type == "Resumed" ||
      line.type == "SagaSuspended" || line.type == "StepCompensationScheduled")
    delayed_ = true;
  if (line.type == "CompensationStarted") check_stop_bound(line);
  last_at_ = line.at;
}

void SagaChecker::check_settled(const LogLine& line) {
  // A stop that came while the pivot was in flight is over once the pivot took effect.
  if (!stop_at_ || pivot_passed_ || line.at == last_at_ || fold_.status() != "RUNNING") return;
  for (const auto& [path, question_ms] : pending_) {
    if (line.at <= *stop_at_ + question_ms) continue;
    // The answer to a question may be the first that happens since, and nodes that are held up ask
    // late.
    if (question_ms > 0 && !timely_) continue;
    if (question_ms > 0 && overdue_.try_emplace(path, line.at).first->second == line.at) continue;
    wrong("I8", line, path + " still awaits its participant's answer after the stop");
    pending_.erase(path);
    return;
  }
}

void SagaChecker::check_stop_bound(const LogLine& line) {
  if (!timely_ || !stop_at_ || delayed_) return;
  if (line.at - *stop_at_ > stop_bound_ms)
    wrong("I8", line, "it took " + std::to_string(line.at - *stop_at_) + " ms to go back");
}

void SagaChecker::check_chains() {
  if (stuck_.empty() || stuck_.count("") > 0) return;
  const LogLine end{0, "at rest", "", json::object(), 0};
  for (const auto& [path, step] : steps_) {
    const StepSheet* sheet = definition_.step(path);
    if (sheet == nullptr || sheet->handler || !sheet->can_be_undone()) continue;
    const bool open =
        step.stage == Stage::undoing ||
        (going_back_ && (step.stage == Stage::succeeded || step.stage == Stage::unknown));
    if (open && stuck_.count(path) == 0 && !waits_for_a_stuck_one(path))
      wrong("I1", end, path + " is not undone, though only others are stuck");
  }
}

/// Something that has to be undone before it is not; in a serial block, and beside other
/// iterations, that may be anything.
bool SagaChecker::waits_for_a_stuck_one(const std::string& path) const {
  const StepSheet* sheet = definition_.step(path);
  const bool in_turn =
      std::any_of(sheet->levels.begin(), sheet->levels.end(), [](const Level& level) {
        return level.block == Level::Block::for_each ||
               (level.block == Level::Block::parallel &&
                level.body->value("compensationOrder", "mirror") == "serial");
      });
  return in_turn || std::any_of(steps_.begin(), steps_.end(), [&](const auto& other) {
           return other.first != path && may_stand(other.second.stage) &&
                  definition_.order(path, other.first) == DefinitionReader::Order::first_is_earlier;
         });
}

void SagaChecker::saga_ended(const LogLine& line) {
  const std::string status = text(line.data, "status");
  if (pivot_passed_ && status != "COMPLETED") wrong("I9", line, "the pivot was passed before");
  if (status == "FAILED" && incomplete_) wrong("I4", line, "an undo was given up");
  for (const auto& [path, step] : steps_) {
    const StepSheet* sheet = definition_.step(path);
    if (sheet == nullptr || path.starts_with("onSuspended")) continue;
    if (step.stage == Stage::undoing) wrong("I4", line, path + " is just being undone");
    const bool leaf = sheet->has("action") || sheet->has("saga");
    if (leaf && step.stage == Stage::running) wrong("I4", line, path + " has not ended");
    const bool stands = step.stage == Stage::succeeded || step.stage == Stage::unknown;
    if (status != "COMPLETED" && leaf && stands && sheet->can_be_undone())
      wrong("I4", line, path + " was not undone");
    if (status == "COMPLETED" && leaf && step.stage == Stage::unknown)
      wrong("I1", line, path + " is unknown");
  }
}

/// What is repeated leaves little: questions none unless their answers differ, attempts short ones.
void SagaChecker::repetitions(const LogLine& line) {
  const std::string phase = text(line.data, "phase");
  if (line.type == "Resumed") {
    ++take_overs_;
    last_noted_.clear();
  }
  if (phase == "poll" && line.type == "AttemptStarted")
    wrong("I8", line, "a question is on record");
  if (phase == "poll" && text(line.data, "outcome") == "pending" &&
      ++noted_answers_[line.path] > poll_notes_max + take_overs_)
    wrong("I8", line, "more answers that say nothing are on record than may be");
  if (phase == "poll" && text(line.data, "outcome") == "pending") {
    const std::string answer = line.data.at("failure").dump();
    if (std::exchange(last_noted_[line.path], answer) == answer)
      wrong("I8", line, "an answer is on record that says the same again");
  }
  const bool repeats = line.type == "AttemptStarted" || line.data.contains("retryAt");
  if (repeats && line.type.starts_with("Attempt") && line.data.dump().size() > repetition_bytes_max)
    wrong("I8", line, "a repeated attempt leaves too much behind");
}

void SagaChecker::times(const LogLine& line) {
  const std::string phase = text(line.data, "phase");
  const std::string attempt = line.path + " " + phase;
  if (line.type == "DeadlinePassed" && line.at < deadline_) wrong("I8", line, "too early");
  if (line.type == "AttemptStarted") {
    const auto found = not_before_.find(attempt);
    if (found != not_before_.end() && line.at < found->second)
      wrong("I8", line,
            "due at " + std::to_string(found->second) + ", begun at " + std::to_string(line.at));
    not_before_.erase(attempt);
  }
  if (line.type == "AttemptFailed" && line.data.contains("retryAt"))
    not_before_[attempt] = number(line.data, "retryAt");
  if (line.type == "StepWaiting") {
    if (line.data.contains("until")) waiting_until_[line.path] = number(line.data, "until");
  }
  if (line.type == "StepUnknown" && line.data.contains("undoNotBefore"))
    undo_not_before_[line.path] = number(line.data, "undoNotBefore");
  if (line.type == "StepCompensationScheduled") {
    const auto found = undo_not_before_.find(line.path);
    if (found != undo_not_before_.end() && line.at < found->second)
      wrong("I8", line, "the quiet period is not over");
  }
}

void SagaChecker::signals(const LogLine& line) {
  if (line.type == "SignalReceived") {
    queued_[line.sequence] = {text(line.data, "name"), false};
    signal_senders_.insert(text(line.data, "by"));
  }
  if (line.type == "SignalConsumed" || line.type == "SignalDropped") {
    const auto found = queued_.find(number(line.data, "signal"));
    if (found == queued_.end())
      wrong("I6", line, "no such signal came");
    else if (std::exchange(found->second.consumed, true))
      wrong("I6", line, "the signal was consumed before");
    if (line.type == "SignalConsumed") waiting_until_.erase(line.path);
  }
  const bool failed = line.type == "StepFailed";
  if (line.type == "StepSucceeded" || failed) wait_ended(line, !failed);
}

/// A sleep or a wait that nobody ended.
void SagaChecker::wait_ended(const LogLine& line, bool succeeded) {
  const auto until = waiting_until_.find(line.path);
  if (until == waiting_until_.end()) return;
  const std::int64_t due = until->second;
  waiting_until_.erase(until);
  const StepSheet* sheet = definition_.step(line.path);
  if (sheet == nullptr) return;
  const std::string code = succeeded ? "" : text(line.data.at("failure"), "code");
  const bool waited = sheet->has("wait") && (succeeded || code == "WAIT_TIMEOUT");
  const bool slept = sheet->has("sleep") && succeeded;
  if ((waited || slept) && line.at < due && operator_at_ != line.path)
    wrong("I8", line, "due at " + std::to_string(due) + ", ended at " + std::to_string(line.at));
  if (!waited) return;
  // One that this wait refuses may be kept for another one.
  const json& wait = sheet->step->at("wait");
  if (wait.contains("accept") || wait.contains("schema")) return;
  const json& wanted = wait.at("signal");
  for (const auto& [sequence, signal] : queued_) {
    const bool meant = wanted.is_array()
                           ? std::find(wanted.begin(), wanted.end(), signal.name) != wanted.end()
                           : wanted == signal.name;
    if (meant && !signal.consumed)
      wrong("I1", line,
            "it gave up waiting, and the signal of " + std::to_string(sequence) + " was there");
  }
}

}  // namespace backstitch::simulation
