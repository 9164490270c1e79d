#include "random_play.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>

namespace backstitch::test {
namespace {

using What = Observed::What;
constexpr std::size_t actions_max = 5'000;
constexpr Duration patience{10 * 60'000};
/// As docs/language.md has them, with room for escapes and for notes of what was left out.
constexpr std::size_t details_max = 66'000;
constexpr std::size_t all_details_max = 4'500'000;

void collect_signals(const Json& node, std::vector<std::string>& out) {
  if (node.is_object() && node.contains("wait")) {
    const Json& signal = node["wait"]["signal"];
    for (const auto& name : signal.is_array() ? signal : Json::array({signal}))
      out.push_back(name.get<std::string>());
  }
  for (const auto& inner : node) {
    if (inner.is_structured()) collect_signals(inner, out);
  }
}

/// Registered before the engine's codes were reserved: a rule gives one of them, and nothing may be
/// decided by that.
Json with_engine_codes(Json node) {
  if (node.is_object() && node.value("is", Json()) == "unknown") node["code"] = "OUTCOME_UNKNOWN";
  for (auto& inner : node) {
    if (inner.is_structured()) inner = with_engine_codes(std::move(inner));
  }
  return node;
}

bool is_block(const dsl::Step& step) {
  return std::holds_alternative<dsl::Parallel>(step.body) ||
         std::holds_alternative<dsl::Switch>(step.body) ||
         std::holds_alternative<dsl::ForEach>(step.body) ||
         std::holds_alternative<dsl::Try>(step.body);
}

}  // namespace

RandomPlay::RandomPlay(const RandomDefinition& random, std::uint64_t seed, bool is_set_back)
    : play_(with_engine_codes(random.document).dump(), random.input.dump()),
      dice_(seed),
      participants_(definition(), seed),
      is_set_back_(is_set_back) {
  collect_signals(random.document["steps"], signals_);
  if (dice_.chance(15)) cancels_at_ = dice_.between(1, 20);
  if (dice_.chance(20)) take_overs_left_ = dice_.between(1, 6);
  if (dice_.chance(60)) operator_acts_left_ = dice_.between(1, 6);
  meddles_ = dice_.chance(20);
  dies_often_ = dice_.chance(15);
  if (dies_often_ || is_set_back_) take_overs_left_ = 6;
  play_.random = dice_.roll();
  play_.stops_at_cuts = true;
  if (dice_.chance(30)) play_.program.transition_steps_max = 0;
}

bool RandomPlay::over() const {
  if (engine::is_terminal(play_.state.status)) return true;
  const bool stands = under_way_.empty() && !engine::next_wake(play_.state);
  return is_suspended() && stands && operator_acts_left_ == 0;
}

bool RandomPlay::is_suspended() const {
  return play_.state.status == engine::SagaStatus::suspended;
}

std::string RandomPlay::run() {
  on(engine::Start{SagaId::make(play_.now, 1, 2, 3), play_.input(), {}, std::nullopt});
  while (!over()) {
    if (++actions_ > actions_max) return "the saga does not end";
    if (under_way_.empty() && !is_suspended() && !engine::next_wake(play_.state))
      return std::string("the saga stands still: it is ") + to_text(play_.state.status);
    act();
  }
  return wrong_at_the_end();
}

void RandomPlay::act() {
  if (actions_ == cancels_at_ && !is_suspended()) return command(engine::Cancel{"me", "why"});
  // A saga that brings down three nodes in a row is suspended, which is another story.
  const bool answered = dies_often_ && take_overs_in_a_row_ == 0 && !under_way_.empty();
  if (may_take_over() && dice_.chance(answered ? 60 : 10 + 5 * take_overs_left_))
    return take_over();
  if (!signals_.empty() && dice_.chance(8)) return signal();
  if (interfere()) return;
  if (under_way_.empty()) return wake();
  const auto next = engine::next_wake(play_.state);
  // Nobody waits for hours while an answer is due in seconds.
  const bool soon = next && *next <= play_.now + patience;
  if (next && dice_.chance(soon ? 15 : 1)) return wake();
  answer();
}

/// An operator sees to what the saga is suspended at, or does what nobody asked for.
bool RandomPlay::interfere() {
  const bool stands = under_way_.empty() && !engine::next_wake(play_.state);
  if (is_suspended()) {
    if (operator_acts_left_ == 0 || (!stands && !dice_.chance(15))) return false;
    operate();
    return true;
  }
  if (!meddles_ || !dice_.chance(10)) return false;
  if (dice_.chance(50))
    command(engine::Retry{"me", "now"});
  else
    command(engine::Suspend{"", "me", "stop"});
  return true;
}

void RandomPlay::operate() {
  --operator_acts_left_;
  const auto suspensions = play_.state.suspensions;
  operate_at(dice_.pick(suspensions));
}

void RandomPlay::operate_at(const engine::Suspension& suspension) {
  const std::size_t how = dice_.below(4);
  // Without the step's output what stands behind it may not be possible: that is left open.
  if (how == 0 && suspension.phase == engine::Phase::compensate)
    return command(engine::Skip{suspension.step, "me", "leave it"});
  if (how == 3) return command(engine::Retry{"me", "again"});
  command(resolution_of(suspension));
}

/// The operator makes true what is said of the step.
engine::Resolve RandomPlay::resolution_of(const engine::Suspension& suspension) {
  using engine::Resolution;
  const std::string& path = suspension.step;
  engine::Resolve resolve{path, Resolution::done, {}, {}, "me", "seen"};
  const bool back = suspension.phase == engine::Phase::compensate;
  if (back && dice_.chance(50)) {
    participants_.undo_by_hand(path);
    resolve.as = Resolution::compensated;
  } else if (!participants_.has_effect(path) && dice_.chance(70)) {
    resolve.as = Resolution::not_done;
  } else if (!back) {
    participants_.do_by_hand(path);
    resolve.output = participants_.output(path);
  }
  return resolve;
}

void RandomPlay::answer() {
  const std::size_t chosen = dice_.below(under_way_.size());
  const UnderWay way = under_way_[chosen];
  const engine::CallParticipant& call = way.call;
  under_way_.erase(under_way_.begin() + static_cast<std::ptrdiff_t>(chosen));
  const TimePoint left = play_.now;
  play_.now += Duration{static_cast<std::int64_t>(dice_.between(1, 400))};
  engine::CallEnded ended{call.path, call.phase, call.attempt, {}};
  // The call leaves the queue now, or finds it full.
  if (way.queued) ended.sent_at = left;
  if (way.queued && dice_.chance(10)) {
    ended.result = engine::NotSent{engine::Lack::queue_place, "the queue is full"};
    give_back(call);
    out_of_time_.insert(call.path);
  } else {
    left_.insert(call.path);
    ended.result = participants_.answer(call, latitude(call.path));
  }
  on(std::move(ended));
  if (!play_.last.events.empty()) take_overs_in_a_row_ = 0;
}

void RandomPlay::wake() {
  if (*engine::next_wake(play_.state) > play_.now + patience) {
    for (const auto& way : under_way_) out_of_time_.insert(way.call.path);
  }
  play_.now = std::max(play_.now, *engine::next_wake(play_.state));
  on(engine::Tick{});
}

void RandomPlay::signal() {
  const Json payload{{"n", dice_.below(10)}};
  command(engine::Signal{dice_.pick(signals_), payload, "me", {"*"}});
}

/// Under a key of its own, and perhaps once more, as after an answer that was lost.
void RandomPlay::command(const engine::StimulusBody& body) {
  play_.key = "k" + std::to_string(++commands_);
  on(body);
  const bool done = !play_.last.refused && !play_.last.events.empty();
  if (done && dice_.chance(30)) {
    on(body);
    const bool repeated = play_.last.repeated && play_.last.events.empty();
    if (!repeated && wrong_call_.empty()) wrong_call_ = "a command was done again under its key";
  }
  play_.key.clear();
}

/// More in a row would suspend it.
bool RandomPlay::may_take_over() const {
  return take_overs_left_ > 0 && take_overs_in_a_row_ < 2;
}

void RandomPlay::take_over() {
  --take_overs_left_;
  ++take_overs_in_a_row_;
  taken_over_ = true;
  for (const auto& way : under_way_) {
    // Who takes over cannot know that a call was still queued.
    left_.insert(way.call.path);
    participants_.lose(way.call, !way.queued);
  }
  under_way_.clear();
  // Who takes over has nothing but the log.
  play_.state = play_.folded_log();
  if (is_set_back_) ++lineage_;
  on(engine::TakenOver{"node-b", false, lineage_});
}

void RandomPlay::on(engine::StimulusBody body) {
  const bool of_many =
      std::holds_alternative<engine::Tick>(body) || std::holds_alternative<engine::TakenOver>(body);
  const auto before = static_cast<std::ptrdiff_t>(seen_.size());
  play(std::move(body));
  // Cut: it goes on, unless its node is lost there.
  bool is_lost = false;
  while (play_.last.cut && !is_lost) {
    is_lost = may_take_over() && dice_.chance(20);
    if (!is_lost) play(engine::Tick{});
  }
  if (of_many && ends_of_steps(before) > 1) {
    // Timers that are due and calls that are lost at one moment have no order among themselves.
    seen_.insert(seen_.begin() + before, {What::together, "", ""});
    seen_.push_back({What::apart, "", ""});
  }
  if (is_lost) take_over();
}

void RandomPlay::play(engine::StimulusBody body) {
  play_.queued.clear();
  for (const auto& way : under_way_) {
    if (way.queued) play_.queued.push_back({way.call.path, way.call.phase});
  }
  play_.on(std::move(body));
  take_in();
}

/// What the last transition came to.
void RandomPlay::take_in() {
  withdraw();
  if (!play_.last.cut) try_commands();
  for (const auto& event : play_.last.events) note(event);
  look_at_kept_signals();
  for (const auto& effect : play_.last.effects) {
    const auto* call = std::get_if<engine::CallParticipant>(&effect);
    if (call == nullptr) continue;
    if (wrong_call_.empty()) wrong_call_ = calls_.look_at(*call, play_.state);
    spend(*call);
    under_way_.push_back({*call, dice_.chance(25)});
    if (!under_way_.back().queued) left_.insert(call->path);
  }
}

/// What the saga does not wait for any more leaves the queue unsent.
void RandomPlay::withdraw() {
  std::erase_if(under_way_, [&](const UnderWay& way) {
    const auto step = play_.state.steps.find(way.call.path);
    if (!way.queued || step == play_.state.steps.end()) return false;
    const engine::CallState& call = engine::call_of(step->second, way.call.phase);
    const bool gone = !call.in_flight || call.attempts != way.call.attempt;
    if (gone) give_back(way.call);
    return gone;
  });
}

/// Now and then, and more often while an operator is needed: it takes its time.
void RandomPlay::try_commands() {
  const std::size_t every = is_suspended() ? 2 : 16;
  if (actions_ % every != 0 || !wrong_actions_.empty()) return;
  std::vector<engine::QueuedCall> queued;
  for (const auto& way : under_way_)
    if (way.queued) queued.push_back({way.call.path, way.call.phase});
  wrong_actions_ = TriedCommands(play_.program, play_.state, queued, play_.now).difference();
  if (wrong_actions_.empty()) return;
  wrong_actions_ = "`actions` and the decider differ on: " + wrong_actions_;
}

std::size_t RandomPlay::ends_of_steps(std::ptrdiff_t first) const {
  const auto is_end = [&](const Observed& seen) {
    const bool ends = seen.what == What::done || seen.what == What::refused ||
                      seen.what == What::unknown || seen.what == What::retry;
    if (!ends) return false;
    const auto& step = step_of(definition(), seen.path);
    return std::holds_alternative<dsl::Action>(step.body) ||
           std::holds_alternative<dsl::Wait>(step.body) ||
           std::holds_alternative<dsl::Sleep>(step.body);
  };
  return static_cast<std::size_t>(std::count_if(seen_.begin() + first, seen_.end(), is_end));
}

/// Where a refusal needs a person, the main line may have one; elsewhere the answers to what runs
/// beside it would still come, which the language says nothing about. What has to be resolved is
/// asked about for three days if nobody answers: not here.
Latitude RandomPlay::latitude(const std::string& path) const {
  const dsl::StepKind kind = step_of(definition(), path).kind;
  const bool pivot = kind == dsl::StepKind::pivot;
  const bool handler = path.starts_with("onFailure/");
  if (path.starts_with("onSuspended[")) return Latitude::done;
  const bool forward = definition().recovery == dsl::Recovery::forward;
  if (!forward && !handler && !play_.state.pivot_passed && kind != dsl::StepKind::retryable)
    return pivot ? Latitude::settled : Latitude::any;
  const bool main_line = path.find('/') == std::string::npos;
  return main_line && participants_.seed() % 4 == 0 ? Latitude::settled : Latitude::done;
}

/// A wait that stands for itself: its name is no other one's, and it is in no loop.
const dsl::Wait* RandomPlay::only_wait(const std::string& path) const {
  const auto* wait = std::get_if<dsl::Wait>(&step_of(definition(), path).body);
  const bool alone = wait != nullptr && path.find('[') == std::string::npos &&
                     std::all_of(wait->signals.begin(), wait->signals.end(), [&](const auto& name) {
                       return std::count(signals_.begin(), signals_.end(), name) == 1;
                     });
  return alone ? wait : nullptr;
}

/// What only this wait could have taken is not kept while it waits for something else.
void RandomPlay::look_at_kept_signals() {
  for (const auto& path : play_.state.open) {
    const dsl::Wait* wait = only_wait(path);
    for (const auto& kept : play_.state.signals) {
      if (wait == nullptr || !wrong_call_.empty()) break;
      if (std::count(wait->signals.begin(), wait->signals.end(), kept.name) > 0)
        wrong_call_ = "the signal " + kept.name + " is kept although " + path + " refuses it";
    }
  }
}

/// What its wait would refuse whatever comes is refused when it is sent.
void RandomPlay::note_dropped(const engine::SignalDropped& event) {
  const dsl::Wait* wait = only_wait(event.path);
  if (wait == nullptr || !wrong_call_.empty()) return;
  const auto reads = [&](const char* name) {
    return wait->accept && wait->accept->source().find(name) != std::string::npos;
  };
  const bool early = !reads("steps.") && !reads("failure.");
  if (early) wrong_call_ = event.path + " drops a signal that could have been refused at once";
}

void RandomPlay::look_at_size(const engine::Event& event) {
  const engine::Failure* failure = engine::failure_of(event.body);
  if (failure == nullptr || !wrong_call_.empty()) return;
  const std::size_t bytes = failure->details.dump().size();
  if (bytes > details_max)
    wrong_call_ = std::string(engine::type_name(event)) + " has details of " +
                  std::to_string(bytes) + " bytes";
  if (play_.state.details_bytes > all_details_max)
    wrong_call_ =
        "the saga keeps details of " + std::to_string(play_.state.details_bytes) + " bytes";
}

/// What there is to see of a step or a saga; other events say how the machine got there.
void RandomPlay::note(const engine::Event& event) {
  look_at_size(event);
  const auto see = [&](What what, const std::string& path) { seen_.push_back({what, path, ""}); };
  std::visit(Match{[&](const engine::StepScheduled& e) { see(What::call, e.path); },
                   [&](const engine::AttemptStarted& e) {
                     if (e.phase == engine::Phase::forward) see(What::retry, e.path);
                   },
                   [&](const engine::StepSucceeded& e) { note_success(e); },
                   [&](const engine::StepFailed& e) { note_failure(e); },
                   [&](const engine::StepUnknown& e) {
                     see(What::unknown, e.path);
                     // It may have been sent, and that been forgotten.
                     const bool may_be_lost = play_.state.is_set_back;
                     if (!left_.contains(e.path) && !may_be_lost) unsent_unknown_ = e.path;
                   },
                   [&](const engine::StepCompensationScheduled& e) { see(What::undo, e.path); },
                   [&](const engine::StepCompensated& e) { see(What::undone, e.path); },
                   [&](const engine::StepCompensationFailed& e) { see(What::undo_failed, e.path); },
                   [&](const engine::CancelRequested&) { note_stop(What::cancelled); },
                   [&](const engine::DeadlinePassed&) { note_stop(What::deadline); },
                   [&](const engine::SagaSuspended& e) { note_suspension(e.suspension); },
                   [&](const engine::OperatorActed& e) {
                     if (e.renewed) spent_.erase({e.path, *e.renewed});
                     if (e.action != "retry-now" && e.action != "suspend")
                       see(What::resumed, e.path);
                   },
                   [&](const engine::StepCompensationSkipped& e) {
                     if (e.reason != "operator" && e.reason != "not-done") return;
                     see(What::undo_left, e.path);
                     seen_.back().word = e.reason;
                   },
                   [&](const engine::SignalDropped& e) { note_dropped(e); },
                   [&](const engine::SagaEnded& e) { note_end(e); }, [](const auto&) {}},
             event.body);
}

/// A pivot that has not left the node's queue is withdrawn by a stop.
void RandomPlay::note_stop(Observed::What what) {
  const auto is_pivot = [&](const std::string& path) {
    return step_of(definition(), path).kind == dsl::StepKind::pivot;
  };
  seen_.push_back({what, "", ""});
  if (std::none_of(left_.begin(), left_.end(), is_pivot)) seen_.back().word = "pivot-unsent";
}

void RandomPlay::note_end(const engine::SagaEnded& event) {
  Observed end{What::ended, "", play_.state.failure ? play_.state.failure->code : ""};
  end.status = to_text(event.status);
  if (event.status == engine::SagaStatus::completed) end.output = event.output;
  seen_.push_back(std::move(end));
}

void RandomPlay::note_success(const engine::StepSucceeded& event) {
  if (is_block(step_of(definition(), event.path))) return;
  Observed seen{What::done, event.path, ""};
  seen.output = event.output;
  seen_.push_back(std::move(seen));
}

void RandomPlay::note_failure(const engine::StepFailed& event) {
  const dsl::Step& step = step_of(definition(), event.path);
  // A block fails with a step inside; a sleep that was stopped has nothing to tell.
  if (is_block(step) || std::holds_alternative<dsl::Sleep>(step.body)) return;
  note_giving_up(event, step);
  Observed seen{What::refused, event.path, event.failure.code};
  seen.failure_class = event.failure.failure_class;
  seen_.push_back(std::move(seen));
}

/// A pivot of unknown outcome is asked about beyond its budget.
void RandomPlay::spend(const engine::CallParticipant& call) {
  const dsl::Step& step = step_of(definition(), call.path);
  const std::uint32_t spent = ++spent_[{call.path, call.phase}];
  if (call.phase != engine::Phase::forward) return;
  const auto& allowed = std::get<dsl::Action>(step.body).retry.attempts_max;
  if (step.kind == dsl::StepKind::compensatable && allowed && spent > *allowed &&
      wrong_call_.empty())
    wrong_call_ = call.path + " has attempt " + std::to_string(spent) + " of " +
                  std::to_string(*allowed) + ", and nobody gave it a new budget";
}

void RandomPlay::give_back(const engine::CallParticipant& call) {
  --spent_[{call.path, call.phase}];
}

/// What waits in the node's own queue uses up no attempts.
void RandomPlay::note_giving_up(const engine::StepFailed& event, const dsl::Step& step) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  if (action == nullptr || event.failure.code != "RETRIES_EXHAUSTED" || !wrong_call_.empty())
    return;
  const auto& wanted = action->retry.attempts_max;
  const std::uint32_t spent = spent_[{event.path, engine::Phase::forward}];
  if (wanted && spent < *wanted)
    wrong_call_ = event.path + " was given up after " + std::to_string(spent) + " of " +
                  std::to_string(*wanted) + " attempts";
}

void RandomPlay::note_suspension(const engine::Suspension& suspension) {
  seen_.push_back({What::suspended, suspension.step, suspension.by_operator ? "OPERATOR" : ""});
  if (suspension.by_operator || suspension.reason != "COMPENSATION_FAILED" || !wrong_call_.empty())
    return;
  const auto* undo = std::get_if<dsl::Compensation>(&step_of(definition(), suspension.step).undo);
  const std::uint32_t spent = spent_[{suspension.step, engine::Phase::compensate}];
  if (undo != nullptr && undo->retry.attempts_max && spent < *undo->retry.attempts_max)
    wrong_call_ = "the undo of " + suspension.step + " was given up after " +
                  std::to_string(spent) + " of " + std::to_string(*undo->retry.attempts_max) +
                  " attempts";
}

std::string RandomPlay::wrong_at_the_end() const {
  const auto status = play_.state.status;
  if (!wrong_actions_.empty()) return wrong_actions_;
  if (!wrong_call_.empty()) return wrong_call_;
  if (!unsent_unknown_.empty()) return unsent_unknown_ + " is unknown although it was never sent";
  if (status == engine::SagaStatus::failed) {
    const std::string standing = participants_.still_standing();
    if (!standing.empty()) return "the saga FAILED, and what " + standing + " did is still there";
  }
  for (const auto& suspension : play_.state.suspensions) {
    // A node that is lost with the last attempt, or a queue that is full at the time for it, takes
    // the end of the budget with it.
    if (suspension.reason != "COMPENSATION_FAILED" || taken_over_ || meddles_ ||
        out_of_time_.contains(suspension.step))
      continue;
    const auto* undo = std::get_if<dsl::Compensation>(&step_of(definition(), suspension.step).undo);
    if (undo != nullptr && !undo->retry.attempts_max)
      return suspension.step + " could have been undone, and was given up";
  }
  if (status != engine::SagaStatus::completed) return "";
  for (const auto& [path, step] : play_.state.steps) {
    const auto* action = std::get_if<dsl::Action>(&step_of(definition(), path).body);
    if (action == nullptr || step.status != engine::StepStatus::succeeded) continue;
    if (!participants_.has_effect(path)) return path + " succeeded without having been done";
  }
  return "";
}

}  // namespace backstitch::test
