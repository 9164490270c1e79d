#include <algorithm>

#include "scenarios.hpp"

// The scenarios that examine a compensation: after, before and during the action.

namespace backstitch::contract_check {

using namespace engine;

namespace {

/// Answers that cross on the network may be seen in the wrong order by this much.
constexpr std::chrono::milliseconds crossing_max{100};
constexpr std::chrono::milliseconds undo_after_max{100};

/// Why an undo that was not done ends the scenario.
Judgement judge_undone(const Reply& undone) {
  if (!undone.answered()) return Judgement::not_checked(silence(undone));
  if (undone.done()) return Judgement::kept();
  return Judgement::broken("success", undone.text());
}

/// Of an action and its undo that were in flight at the same time. `undone_before`: the success of
/// the undo was answered while the action had none. `after`: the action once more.
Judgement judge_crossing(const Reply& undone, const Reply& action, bool undone_before,
                         const Reply& after) {
  if (!undone.done()) return judge_undone(undone);
  if (!action.answered()) return Judgement::not_checked(silence(action));
  if (undone_before && action.taken())
    return Judgement::broken("409 or 410: its undo had been answered with success before",
                             action.text());
  if (!after.answered()) return Judgement::not_checked(silence(after));
  if (after.refused() || (action.taken() && same_answer(action, after)))
    return Judgement::kept("the action " + action.text() + ", its undo " + undone.text());
  return Judgement::broken("409 or 410 to the action after its undo", after.text());
}

}  // namespace

void Scenarios::judge_undo(Trial& trial, const HeldCall& forward, const Reply& first) {
  auto undo = undo_of(trial);
  if (!undo) {
    const std::string why = "the engine asks for no undo: " + trial.why_not();
    for (const Promise promise : {Promise::undo, Promise::undo_again, Promise::action_after})
      settle(trial, promise, Judgement::not_checked(why));
    return;
  }
  const Reply undone = trial.settle(*undo);
  settle(trial, Promise::undo, judge_undone(undone));
  if (!undone.done()) {
    const std::string why = obstacle(undone, "the undo");
    settle(trial, Promise::undo_again, Judgement::not_checked(why));
    settle(trial, Promise::action_after, Judgement::not_checked(why));
    return give_undo(trial, std::move(*undo), undone);
  }
  settle(trial, Promise::undo_again, judge_undone(trial.settle(*undo)));
  if (is_wanted(trial, Promise::action_after)) {
    const Reply after = trial.settle(forward);
    settle(trial, Promise::action_after,
           !after.answered() ? Judgement::not_checked(silence(after))
           : after.refused() || same_answer(first, after)
               ? Judgement::kept(after.text())
               : Judgement::broken("409, or " + first.text(), after.text()));
    // If it did work again, this takes it back.
    if (after.taken()) trial.send(*undo);
  }
  give_undo(trial, std::move(*undo), undone);
}

std::optional<HeldCall> Scenarios::undo_of(Trial& trial) {
  for (;;) {
    auto held = trial.next();
    if (!held || held->call.phase == Phase::compensate) return held;
    if (held->call.phase == Phase::probe) {
      // It says nothing about the action, so the engine undoes by the key.
      trial.answer(std::move(*held), Response{401, {}, nullptr, {}});
    } else {
      // Another iteration, or a retry that the engine had in flight.
      trial.answer(std::move(*held),
                   TransportError{dsl::Transport::connect, false, "held back by the check", true});
    }
  }
}

std::optional<HeldCall> Scenarios::undo_unseen(Trial& trial, HeldCall forward) {
  trial.take_back();
  trial.answer_unknown(std::move(forward));
  return undo_of(trial);
}

void Scenarios::give_undo(Trial& trial, HeldCall undo, const Reply& reply) {
  if (reply.done()) return trial.answer(std::move(undo), reply.result);
  trial.leave("the undo of " + trial.place().name() + " was not done: " + request_of(undo) +
              ", Saga-Compensates: " + undo.call.request.compensates);
  trial.answer(std::move(undo), Response{200, {}, nullptr, {}});
}

void Scenarios::undone_first(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  auto undo = undo_unseen(trial, std::move(forward));
  if (!undo) {
    const std::string why = trial.why_not();
    settle(trial, Promise::undo_of_nothing, Judgement::not_checked(why));
    settle(trial, Promise::late_action, Judgement::not_checked(why));
    return;
  }
  const Reply undone = trial.settle(*undo);
  settle(trial, Promise::undo_of_nothing, judge_undone(undone));
  settle(trial, Promise::late_action,
         undone.done() ? judge_late_action(trial, copy, *undo)
                       : Judgement::not_checked(obstacle(undone, "the undo")));
  // Nothing was done, so nothing is left, whatever it said.
  trial.answer(std::move(*undo), undone.done() ? undone.result : Response{200, {}, nullptr, {}});
}

Judgement Scenarios::judge_late_action(Trial& trial, const HeldCall& forward,
                                       const HeldCall& undo) {
  const Reply action = trial.settle(forward);
  if (!action.answered()) return Judgement::not_checked(silence(action));
  if (action.refused()) return Judgement::kept(action.text());
  if (!trial.settle(undo).done())
    trial.leave("the late action of " + trial.place().name() +
                " was done and not undone: " + request_of(forward));
  return Judgement::broken("409 or 410", action.text());
}

/// The action's last byte leaves after the undo was answered. An undo that waits for the action is
/// not left waiting for longer than a moment.
void Scenarios::undo_overtakes(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  auto undo = undo_unseen(trial, std::move(forward));
  if (!undo) return settle(trial, Promise::undo_overtakes, Judgement::not_checked(trial.why_not()));
  Flight acting = trial.begin(copy, Way::last_byte_held);
  let_arrive(acting);
  Flight undoing = trial.begin(*undo, Way::whole);
  const bool answered_before = undoing.wait(grace(copy));
  acting.release();
  Reply undone = trial.finish(undoing, *undo);
  const bool undone_before = answered_before && undone.done();
  const Reply action = trial.finish(acting, copy);
  if (!undone.done()) undone = trial.settle(*undo);
  settle(trial, Promise::undo_overtakes,
         judge_crossing(undone, action, undone_before, after_crossing(trial, copy, action)));
  give_crossing(trial, std::move(*undo), undone);
}

/// The undo arrives while the participant works on the action, if that takes any time; else at the
/// same time.
void Scenarios::undo_during(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  const auto half = std::chrono::milliseconds(trial.pace_of(copy).slowest / 2);
  auto undo = undo_unseen(trial, std::move(forward));
  if (!undo) return settle(trial, Promise::undo_during, Judgement::not_checked(trial.why_not()));
  Flight acting = trial.begin(copy, Way::last_byte_held);
  Flight undoing = trial.begin(*undo, Way::last_byte_held);
  acting.wait_until_held();
  undoing.wait_until_held();
  acting.release();
  if (half.count() > 1) acting.wait(std::min(half, undo_after_max));
  undoing.release();
  const Reply action = trial.finish(acting, copy);
  Reply undone = trial.finish(undoing, *undo);
  const bool undone_before =
      undone.done() && undone.answered_at + crossing_max < action.answered_at;
  if (!undone.done()) undone = trial.settle(*undo);
  settle(trial, Promise::undo_during,
         judge_crossing(undone, action, undone_before, after_crossing(trial, copy, action)));
  give_crossing(trial, std::move(*undo), undone);
}

/// The action once more, unless its service never gets a second copy.
Reply Scenarios::after_crossing(Trial& trial, const HeldCall& forward, const Reply& action) {
  const bool repeats = log_.inventory.has(trial.place().name(), Promise::action_after);
  return repeats ? trial.settle(forward) : action;
}

/// If the action was done after its undo, one more undo takes it back.
void Scenarios::give_crossing(Trial& trial, HeldCall undo, const Reply& undone) {
  const Reply again = undone.done() ? trial.settle(undo) : undone;
  give_undo(trial, std::move(undo), again);
}

/// The undo of a whole sub-saga: it has run to its end before.
Result<Done> Scenarios::child_undone(const Place& place) {
  if (!log_.inventory.is_wanted(place.name(), Promise::undo)) return Done{};
  options_.progress(place.name() + ": the undo of the sub-saga");
  Trial trial(world_, options_, log_, place, {});
  if (auto started = trial.start(); !started) return started;
  auto undo = trial.next([&] {
    const Json step = trial.step_view();
    return step.is_object() && step.value("status", "") == "succeeded";
  });
  if (!undo && trial.take_back()) undo = undo_of(trial);
  if (!undo) {
    log_.inventory.leave_unchecked(place.name(), "the engine asks for no undo: " + trial.why_not());
    return Done{};
  }
  const Reply undone = trial.settle(*undo);
  settle(trial, Promise::undo, judge_undone(undone));
  settle(trial, Promise::undo_again,
         undone.done() ? judge_undone(trial.settle(*undo))
                       : Judgement::not_checked(obstacle(undone, "the undo")));
  give_undo(trial, std::move(*undo), undone);
  return Done{};
}

}  // namespace backstitch::contract_check
