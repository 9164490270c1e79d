#include <algorithm>

#include "scenarios.hpp"

// The scenarios that examine a probe, and those that examine how an accepted action is answered.

namespace backstitch::contract_check {

using namespace engine;

namespace {

constexpr const char* answered_at_once =
    "the action was answered at once, so there was no later answer";

/// Of a sealed probe that found nothing, and the action that came after or during it.
Judgement judge_seal(const Reply& seen, const Reply& action) {
  if (!action.answered()) return Judgement::not_checked(silence(action));
  if (action.refused()) return Judgement::kept(action.text());
  return Judgement::broken("409 or 410: the probe had answered " + seen.text(), action.text());
}

/// The time of the completion is over. `only_way`: the participant had no other way to answer.
Judgement judge_no_answer(bool only_way, const std::string& expected, const std::string& seen) {
  if (only_way) return Judgement::broken(expected + " before the completion times out", seen);
  return Judgement::not_checked("the completion timed out first; " + seen);
}

/// Whether the service can reach the listener for callbacks.
bool is_on_loopback(const std::string& url) {
  const auto host = url.find("://");
  if (host == std::string::npos) return false;
  const std::string rest = url.substr(host + 3);
  return rest.starts_with("127.") || rest.starts_with("localhost") || rest.starts_with("[::1]");
}

}  // namespace

std::optional<HeldCall> Scenarios::probe_of(Trial& trial, HeldCall forward) {
  if (trial.place().has_undo()) trial.take_back();
  trial.answer_unknown(std::move(forward));
  while (auto held = trial.next()) {
    if (held->call.phase == Phase::probe) return held;
    if (held->call.phase == Phase::compensate) {
      const Reply reply = trial.settle(*held);
      give_undo(trial, std::move(*held), reply);
      return std::nullopt;
    }
    trial.answer_unknown(std::move(*held));
  }
  return std::nullopt;
}

/// The answer to the action is lost after its effect; then the probe, then the action again.
void Scenarios::probed(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  const Reply done = trial.settle(forward);
  if (const std::string why = obstacle(done, "the action"); !why.empty()) {
    settle(trial, Promise::probe, Judgement::not_checked(why));
    return wind_up(trial, std::move(forward), done);
  }
  auto probe = probe_of(trial, std::move(forward));
  if (!probe)
    return settle(trial, Promise::probe,
                  Judgement::not_checked("the engine asks for no probe: " + trial.why_not()));
  const Reply seen = trial.settle(*probe);
  const bool repeats = log_.inventory.has(trial.place().name(), Promise::repeat);
  const Reply again = repeats ? trial.settle(copy) : done;
  settle(trial, Promise::probe,
         !seen.answered()    ? Judgement::not_checked(silence(seen))
         : !seen.taken()     ? Judgement::broken("success", seen.text())
         : !again.answered() ? Judgement::not_checked(silence(again))
         : same_answer(done, again)
             ? Judgement::kept(seen.text())
             : Judgement::broken("to the action after the probe: " + done.text(), again.text()));
  // So that the engine undoes it, whatever the probe said.
  trial.answer(std::move(*probe), seen.taken() ? seen.result : done.result);
  trial.take_back();
}

void Scenarios::sealed(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  auto probe = probe_of(trial, std::move(forward));
  if (!probe)
    return settle(trial, Promise::seal,
                  Judgement::not_checked("the engine asks for no probe: " + trial.why_not()));
  const Reply seen = trial.settle(*probe);
  const Reply action = seen.refused() ? trial.settle(copy) : seen;
  settle(trial, Promise::seal,
         seen.refused()    ? judge_seal(seen, action)
         : seen.answered() ? Judgement::not_checked("the probe of a key that was never sent was "
                                                    "answered " +
                                                    seen.text())
                           : Judgement::not_checked(silence(seen)));
  give_seal(trial, std::move(*probe), seen, action);
}

/// The probe is answered while the last byte of the action is held. One that waits for the action
/// is not left waiting for longer than a moment.
void Scenarios::sealed_during(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  auto probe = probe_of(trial, std::move(forward));
  if (!probe)
    return settle(trial, Promise::seal_during,
                  Judgement::not_checked("the engine asks for no probe: " + trial.why_not()));
  Flight acting = trial.begin(copy, Way::last_byte_held);
  let_arrive(acting);
  Flight probing = trial.begin(*probe, Way::whole);
  probing.wait(grace(copy));
  acting.release();
  Reply seen = trial.finish(probing, *probe);
  Reply action = trial.finish(acting, copy);
  if (!seen.taken() && !seen.refused()) seen = trial.settle(*probe);
  if (!action.taken() && !action.refused()) action = trial.settle(copy);
  settle(trial, Promise::seal_during,
         seen.refused()    ? judge_seal(seen, action)
         : seen.taken()    ? Judgement::kept(seen.text())
         : seen.answered() ? Judgement::not_checked("the probe was answered " + seen.text())
                           : Judgement::not_checked(silence(seen)));
  give_seal(trial, std::move(*probe), seen, action);
}

/// If the action was done after all, the engine learns that. A retryable step cannot fail, so the
/// saga goes on with the answer of an earlier trial.
void Scenarios::give_seal(Trial& trial, HeldCall probe, const Reply& seen, const Reply& action) {
  const auto done = done_.find(trial.place().name());
  CallResult result = action.done() ? action.result : seen.result;
  if (trial.place().step->kind == dsl::StepKind::retryable && done != done_.end())
    result = done->second;
  trial.answer(std::move(probe), std::move(result));
  trial.take_back();
}

/// The callback is sent to an address that does not exist, so that only a poll can find the answer.
void Scenarios::polled(Trial& trial, HeldCall forward) {
  HeldCall deaf{forward.call, {}};
  RenderedRequest& request = deaf.call.request;
  const std::string address = request.callback;
  for (std::string* text : {&request.body, &request.callback}) {
    const auto at = address.empty() ? std::string::npos : text->find(address);
    if (at != std::string::npos) text->replace(at, address.size(), address + "-nowhere");
  }
  const Reply accepted = trial.settle(deaf);
  judge_accepted(trial, std::move(forward), accepted, Promise::poll, &Scenarios::judge_polls);
}

void Scenarios::judge_accepted(Trial& trial, HeldCall forward, const Reply& accepted,
                               Promise promise, Judgement (Scenarios::*judge)(Trial&)) {
  const std::string why = accepted.done() ? answered_at_once : obstacle(accepted, "the action");
  if (!why.empty()) {
    settle(trial, promise, Judgement::not_checked(why));
    return wind_up(trial, std::move(forward), accepted);
  }
  trial.answer(std::move(forward), accepted.result);
  settle(trial, promise, (this->*judge)(trial));
  end_accepted(trial);
}

Judgement Scenarios::judge_polls(Trial& trial) {
  const auto& completion = *std::get<dsl::Action>(trial.place().step->body).completion;
  std::string last = "the engine asked for no poll";
  while (auto held = trial.next()) {
    if (held->call.phase != Phase::poll) {
      trial.answer_unknown(std::move(*held));
      return judge_no_answer(!completion.callback, "a poll finds the answer", last);
    }
    const Reply found = trial.settle(*held);
    last = "the last poll was answered " + found.text();
    if (found.refused()) {
      trial.answer(std::move(*held), found.result);
      return Judgement::not_checked("the accepted action was refused: " + found.text());
    }
    if (!found.done()) {
      trial.answer(std::move(*held), found.result);
      continue;
    }
    const Reply again = trial.settle(*held);
    trial.answer(std::move(*held), found.result);
    if (!again.answered()) return Judgement::not_checked(silence(again));
    if (!same_answer(found, again)) return Judgement::broken(found.text(), again.text());
    return Judgement::kept(found.text());
  }
  return Judgement::not_checked("no poll found an answer within " +
                                backstitch::to_text(options_.patience) + "; " + last);
}

void Scenarios::called_back(Trial& trial, HeldCall forward) {
  const Reply accepted = trial.settle(forward);
  judge_accepted(trial, std::move(forward), accepted, Promise::callback,
                 &Scenarios::judge_callback);
}

/// Polls are answered with nothing, so that only the callback can end the waiting.
Judgement Scenarios::judge_callback(Trial& trial) {
  const auto& action = std::get<dsl::Action>(trial.place().step->body);
  const auto* service = world_.program().service(action.request.service);
  const bool only_way =
      !action.completion->poll && service != nullptr && is_on_loopback(service->base_url);
  // The first status after the waiting: once the step was seen to end, the trial takes it back.
  std::string status;
  bool ended = false;
  const auto has_ended = [&] {
    if (ended) return true;
    const Json step = trial.step_view();
    status = step.is_object() ? step.value("status", "") : "";
    ended = status != "waiting" && status != "running";
    return ended;
  };
  while (auto held = trial.next(has_ended)) {
    const bool poll = held->call.phase == Phase::poll;
    trial.answer(std::move(*held), Response{503, {}, nullptr, {}});
    if (!poll)
      return judge_no_answer(only_way, "a callback", "none came; it is awaited on loopback only");
  }
  has_ended();  // it may have since
  if (status == "succeeded") return Judgement::kept();
  if (status == "failed") return Judgement::not_checked("the callback said that it was refused");
  if (ended) return Judgement::not_checked("no callback settled the step, which is " + status);
  return Judgement::not_checked("no callback came within " +
                                backstitch::to_text(options_.patience) +
                                "; it is awaited on loopback only");
}

/// The saga has gone on: it is taken back with the step's undo, or runs to its end.
void Scenarios::end_accepted(Trial& trial) {
  trial.take_back();
  if (!trial.place().has_undo()) return;
  if (auto undo = undo_of(trial)) {
    const Reply undone = trial.settle(*undo);
    give_undo(trial, std::move(*undo), undone);
  }
}

}  // namespace backstitch::contract_check
