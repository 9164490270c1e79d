#include "scenarios.hpp"

#include <chrono>
#include <thread>

namespace backstitch::contract_check {

using namespace engine;

namespace {

constexpr std::chrono::milliseconds repeat_after_cut{50};

/// Why there is no answer.
std::string silence(const Reply& reply) {
  return reply.timed_out() ? "an answer did not come in time" : "no answer: " + reply.text();
}

/// Why nothing can be said about what follows a call like that; empty: something can.
std::string obstacle(const Reply& reply, const std::string& what) {
  if (!reply.answered()) return silence(reply);
  if (reply.taken()) return {};
  return what + " was answered " + reply.text();
}

/// Whether a repetition was answered as the first call was. What is accepted may be decided in
/// between.
bool same_answer(const Reply& first, const Reply& again) {
  if (first.meaning.outcome != again.meaning.outcome)
    return first.taken() && !first.done() && again.done();
  const auto* one = std::get_if<Response>(&first.result);
  const auto* other = std::get_if<Response>(&again.result);
  return one != nullptr && other != nullptr && one->status == other->status &&
         one->body == other->body;
}

std::string request_of(const HeldCall& held) {
  return held.call.request.method + " " + held.call.request.target + " at " +
         held.call.service_name;
}

}  // namespace

Result<Done> Scenarios::done_and_undone(const std::string& step) {
  Trial trial(world_, options_, findings_);
  if (auto started = trial.start({step}); !started) return started;
  auto forward = trial.next();
  why_unreached_ = forward ? "" : trial.why_not();
  if (!forward) return Done{};
  const Reply first = trial.settle(*forward);
  const HeldCall copy{forward->call, {}};
  if (const std::string why = obstacle(first, "the action"); !why.empty()) {
    for (const Promise promise :
         {Promise::repeat, Promise::undo, Promise::undo_again, Promise::action_after})
      findings_.not_checkable(step, promise, why);
    trial.take_back();
    trial.answer(std::move(*forward), first.result);
    return Done{};
  }
  judge_repetition(trial, copy, first);
  trial.take_back();
  trial.answer(std::move(*forward), first.result);
  judge_undo(trial, copy, first);
  return Done{};
}

void Scenarios::judge_repetition(Trial& trial, const HeldCall& forward, const Reply& first) {
  const std::string step = Trial::name_of(forward);
  const Reply again = trial.settle(forward);
  if (!again.answered()) return findings_.not_checkable(step, Promise::repeat, silence(again));
  if (same_answer(first, again)) return findings_.holds(step, Promise::repeat);
  findings_.broken(step, Promise::repeat, first.text(), again.text());
}

void Scenarios::judge_undo(Trial& trial, const HeldCall& forward, const Reply& first) {
  const std::string step = Trial::name_of(forward);
  auto undo = undo_of(trial);
  if (!undo) {
    const std::string why = "the engine asks for no undo: " + trial.why_not();
    for (const Promise promise : {Promise::undo, Promise::undo_again, Promise::action_after})
      findings_.not_checkable(step, promise, why);
    return;
  }
  const Reply undone = trial.settle(*undo);
  if (!undone.done()) {
    const std::string why =
        undone.answered() ? "the undo was answered " + undone.text() : silence(undone);
    if (!undone.answered())
      findings_.not_checkable(step, Promise::undo, why);
    else
      findings_.broken(step, Promise::undo, "success", undone.text());
    findings_.not_checkable(step, Promise::undo_again, why);
    findings_.not_checkable(step, Promise::action_after, why);
    return give_undo(trial, std::move(*undo), undone);
  }
  findings_.holds(step, Promise::undo);
  const Reply again = trial.settle(*undo);
  if (!again.answered())
    findings_.not_checkable(step, Promise::undo_again, silence(again));
  else if (again.done())
    findings_.holds(step, Promise::undo_again);
  else
    findings_.broken(step, Promise::undo_again, "success", again.text());
  const Reply after = trial.settle(forward);
  if (!after.answered())
    findings_.not_checkable(step, Promise::action_after, silence(after));
  else if (after.refused() || same_answer(first, after))
    findings_.holds(step, Promise::action_after, after.text());
  else
    findings_.broken(step, Promise::action_after, "409, or " + first.text(), after.text());
  // If it did work again, this takes it back.
  if (after.taken()) trial.send(*undo);
  give_undo(trial, std::move(*undo), undone);
}

std::optional<HeldCall> Scenarios::undo_of(Trial& trial) {
  for (;;) {
    auto held = trial.next();
    if (!held || held->call.phase == Phase::compensate) return held;
    if (held->call.phase == Phase::probe) {
      // Not seen, and the probe is not sealed: then the engine undoes by the key.
      trial.answer(std::move(*held), Response{404, {}, nullptr});
    } else {
      // Another iteration, or a retry that the engine had under way.
      trial.answer(std::move(*held),
                   TransportError{dsl::Transport::connect, false, "held back by the check"});
    }
  }
}

void Scenarios::give_undo(Trial& trial, HeldCall undo, const Reply& reply) {
  if (reply.done()) return trial.answer(std::move(undo), reply.result);
  trial.leave("the undo of " + Trial::name_of(undo) + " was not done: " + request_of(undo) +
              ", Saga-Compensates: " + undo.call.request.compensates);
  trial.answer(std::move(undo), Response{200, {}, nullptr});
}

Result<Done> Scenarios::undone_first(const std::string& step) {
  Trial trial(world_, options_, findings_);
  if (auto started = trial.start({step}); !started) return started;
  auto forward = trial.next();
  std::optional<HeldCall> undo;
  HeldCall copy;
  if (forward) {
    copy.call = forward->call;
    trial.take_back();
    trial.answer_unknown(std::move(*forward));
    undo = undo_of(trial);
  }
  if (!undo) {
    const std::string why = trial.why_not();
    findings_.not_checkable(step, Promise::undo_of_nothing, why);
    findings_.not_checkable(step, Promise::late_action, why);
    return Done{};
  }
  const Reply undone = trial.settle(*undo);
  if (undone.done()) {
    findings_.holds(step, Promise::undo_of_nothing);
    judge_late_action(trial, copy, *undo);
  } else {
    if (!undone.answered())
      findings_.not_checkable(step, Promise::undo_of_nothing, silence(undone));
    else
      findings_.broken(step, Promise::undo_of_nothing, "success", undone.text());
    findings_.not_checkable(
        step, Promise::late_action,
        undone.answered() ? "the undo was answered " + undone.text() : silence(undone));
  }
  // Nothing was done, so nothing is left, whatever it said.
  trial.answer(std::move(*undo), undone.done() ? undone.result : Response{200, {}, nullptr});
  return Done{};
}

void Scenarios::judge_late_action(Trial& trial, const HeldCall& forward, const HeldCall& undo) {
  const std::string step = Trial::name_of(forward);
  const Reply action = trial.settle(forward);
  if (!action.answered())
    return findings_.not_checkable(step, Promise::late_action, silence(action));
  if (action.refused()) return findings_.holds(step, Promise::late_action, action.text());
  findings_.broken(step, Promise::late_action, "409 or 410", action.text());
  if (!trial.settle(undo).done())
    trial.leave("the late action of " + step + " was done and not undone: " + request_of(forward));
}

Result<Done> Scenarios::cut_off(const std::string& step) {
  Trial trial(world_, options_, findings_);
  if (auto started = trial.start({step}); !started) return started;
  auto forward = trial.next();
  if (!forward) {
    findings_.not_checkable(step, Promise::cut_off, trial.why_not());
    return Done{};
  }
  const Reply reply = judge_cut_off(trial, *forward);
  trial.take_back();
  trial.answer(std::move(*forward), reply.result);
  return Done{};
}

Reply Scenarios::judge_cut_off(Trial& trial, const HeldCall& forward) {
  const std::string step = Trial::name_of(forward);
  const Reply cut = trial.send(forward, Way::cut_off);
  const auto* error = std::get_if<TransportError>(&cut.result);
  if (error == nullptr || !error->sent) {
    findings_.not_checkable(step, Promise::cut_off, "the request did not leave: " + cut.text());
    return cut;
  }
  // Long enough for the request to arrive first, too short for it to be done if that takes a while.
  std::this_thread::sleep_for(repeat_after_cut);
  Reply again = trial.settle(forward);
  if (!again.taken()) {
    if (!again.answered())
      findings_.not_checkable(step, Promise::cut_off, silence(again));
    else
      findings_.broken(step, Promise::cut_off, "success", again.text());
    return again;
  }
  const Reply third = trial.settle(forward);
  if (!third.answered())
    findings_.not_checkable(step, Promise::cut_off, silence(third));
  else if (same_answer(again, third))
    findings_.holds(step, Promise::cut_off);
  else
    findings_.broken(step, Promise::cut_off, again.text(), third.text());
  return again;
}

Result<Done> Scenarios::probed(const std::string& step) {
  Trial trial(world_, options_, findings_);
  if (auto started = trial.start({step}); !started) return started;
  auto forward = trial.next();
  if (!forward) {
    findings_.not_checkable(step, Promise::probe, trial.why_not());
    return Done{};
  }
  const Reply done = trial.settle(*forward);
  trial.take_back();
  if (const std::string why = obstacle(done, "the action"); !why.empty()) {
    findings_.not_checkable(step, Promise::probe, why);
    trial.answer(std::move(*forward), done.result);
    return Done{};
  }
  trial.answer_unknown(std::move(*forward));
  auto probe = trial.next();
  if (!probe || probe->call.phase != Phase::probe) {
    findings_.not_checkable(step, Promise::probe, "the engine asks for no probe");
    if (probe) trial.answer(std::move(*probe), trial.settle(*probe).result);
    return Done{};
  }
  const Reply seen = trial.settle(*probe);
  if (!seen.answered())
    findings_.not_checkable(step, Promise::probe, silence(seen));
  else if (seen.taken())
    findings_.holds(step, Promise::probe);
  else
    findings_.broken(step, Promise::probe, "success", seen.text());
  // So that the engine undoes it, whatever the probe said.
  trial.answer(std::move(*probe), seen.taken() ? seen.result : done.result);
  return Done{};
}

Result<Done> Scenarios::sealed(const std::string& step) {
  Trial trial(world_, options_, findings_);
  if (auto started = trial.start({step}); !started) return started;
  auto forward = trial.next();
  std::optional<HeldCall> probe;
  HeldCall copy;
  if (forward) {
    copy.call = forward->call;
    trial.take_back();
    trial.answer_unknown(std::move(*forward));
    probe = trial.next();
  }
  if (!probe || probe->call.phase != Phase::probe) {
    findings_.not_checkable(step, Promise::seal, trial.why_not());
    return Done{};
  }
  const Reply seen = trial.settle(*probe);
  if (!seen.refused()) {
    findings_.not_checkable(
        step, Promise::seal,
        seen.answered() ? "the probe was answered " + seen.text() : silence(seen));
    trial.answer(std::move(*probe), seen.result);
    return Done{};
  }
  const Reply action = trial.settle(copy);
  if (!action.answered())
    findings_.not_checkable(step, Promise::seal, silence(action));
  else if (action.refused())
    findings_.holds(step, Promise::seal, action.text());
  else
    findings_.broken(step, Promise::seal, "409 or 410", action.text());
  // If it was done after all, the engine learns that and undoes it.
  trial.answer(std::move(*probe), action.done() ? action.result : seen.result);
  return Done{};
}

Result<Done> Scenarios::forward_only(const std::set<std::string>& steps, Promise promise) {
  Trial trial(world_, options_, findings_);
  if (auto started = trial.start(steps); !started) return started;
  while (auto held = trial.next()) {
    const std::string step = Trial::name_of(*held);
    if (held->call.phase != Phase::forward || findings_.knows(step, promise)) {
      // Another iteration, or a probe.
      const Reply reply = trial.send(*held);
      trial.answer(std::move(*held), reply.result);
      continue;
    }
    Reply reply;
    if (promise == Promise::cut_off) {
      reply = judge_cut_off(trial, *held);
    } else {
      reply = trial.settle(*held);
      if (const std::string why = obstacle(reply, "the action"); !why.empty())
        findings_.not_checkable(step, promise, why);
      else
        judge_repetition(trial, *held, reply);
    }
    trial.answer(std::move(*held), reply.result);
  }
  const std::string why = trial.why_not();
  for (const std::string& step : steps) {
    if (!findings_.knows(step, promise)) findings_.not_checkable(step, promise, why);
  }
  return Done{};
}

}  // namespace backstitch::contract_check
