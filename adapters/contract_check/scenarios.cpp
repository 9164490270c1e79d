#include "scenarios.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

// The scenarios in their order, and those that examine an action.

namespace backstitch::contract_check {

using namespace engine;

namespace {

constexpr std::chrono::milliseconds repeat_after_cut{50};
constexpr std::chrono::milliseconds arrives_within{50};
constexpr std::chrono::milliseconds grace_max{500};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  if (from.empty()) return;
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

/// Of copies under one key, some of which were in flight at the same time.
Judgement judge_copies(const std::vector<Reply>& copies, const Reply& later) {
  if (const std::string why = obstacle(later, "the action"); !why.empty())
    return Judgement::not_checked(why);
  std::string seen;
  for (const Reply& copy : copies) {
    if (!copy.answered()) return Judgement::not_checked(silence(copy));
    if (copy.refused())
      return Judgement::broken("the same answer, or 425 or 503 while the first copy runs",
                               copy.text());
    if (copy.taken() && !same_answer(copy, later) && !same_answer(later, copy))
      return Judgement::broken("the same answer, as to a later copy: " + later.text(), copy.text());
    if (!copy.taken()) seen = copy.text();
  }
  return Judgement::kept(seen);
}

}  // namespace

std::string silence(const Reply& reply) {
  return reply.timed_out() ? "an answer did not come in time" : "no answer: " + reply.text();
}

std::string obstacle(const Reply& reply, const std::string& what) {
  if (!reply.answered()) return silence(reply);
  if (reply.taken()) return {};
  return what + " was answered " + reply.text();
}

bool same_answer(const Reply& first, const Reply& again) {
  if (first.meaning.outcome != again.meaning.outcome)
    return first.taken() && !first.done() && again.done();
  const auto* one = std::get_if<Response>(&first.result);
  const auto* other = std::get_if<Response>(&again.result);
  return one != nullptr && other != nullptr && one->status == other->status &&
         one->body == other->body;
}

void let_arrive(Flight& flight) {
  flight.wait_until_held();
  std::this_thread::sleep_for(arrives_within);
}

std::chrono::milliseconds grace(const HeldCall& held) {
  return std::min(grace_max, std::chrono::milliseconds(held.call.request.attempt_timeout / 4));
}

HeldCall in_other_case(const HeldCall& held) {
  HeldCall other{held.call, {}};
  RenderedRequest& request = other.call.request;
  for (const std::string* key :
       {&held.call.request.key, &held.call.request.compensates, &held.call.request.probes}) {
    const std::string to = upper(*key);
    for (std::string* text :
         {&request.target, &request.body, &request.key, &request.compensates, &request.probes})
      replace_all(*text, *key, to);
    for (auto& [name, value] : request.headers) replace_all(value, *key, to);
  }
  return other;
}

std::string request_of(const HeldCall& held) {
  return held.call.request.method + " " + held.call.request.target + " at " +
         held.call.service_name;
}

Scenarios::Scenarios(World& world, const contract_check::Options& options, Log& log)
    : world_(world), options_(options), log_(log) {}

/// The first is tried first: if it does not come to the step, the others cannot, either.
const std::vector<Scenarios::Scenario>& Scenarios::all() {
  constexpr Setup usual{};
  constexpr Setup hurried{.hurried = true};
  constexpr Setup polls{.hold_polls = true, .hurried = true};
  static const std::vector<Scenario> scenarios{
      {"the action and its undo",
       {Promise::repeat, Promise::undo, Promise::undo_again, Promise::action_after,
        Promise::in_time},
       usual,
       &Scenarios::done_and_undone},
      {"the answer is lost", {Promise::cut_off}, usual, &Scenarios::cut_off},
      {"two copies at once", {Promise::at_once}, usual, &Scenarios::at_once},
      {"a copy overtakes the first", {Promise::overtaken}, usual, &Scenarios::overtaken},
      {"a key in another case", {Promise::key_case}, hurried, &Scenarios::key_case},
      {"the undo before the action",
       {Promise::undo_of_nothing, Promise::late_action},
       usual,
       &Scenarios::undone_first},
      {"the undo overtakes the action",
       {Promise::undo_overtakes},
       usual,
       &Scenarios::undo_overtakes},
      {"the undo during the action", {Promise::undo_during}, usual, &Scenarios::undo_during},
      {"the probe", {Promise::probe}, hurried, &Scenarios::probed},
      {"the action after the probe", {Promise::seal}, hurried, &Scenarios::sealed},
      {"the probe during the action", {Promise::seal_during}, hurried, &Scenarios::sealed_during},
      {"the polls", {Promise::poll}, polls, &Scenarios::polled},
      {"the callback", {Promise::callback}, polls, &Scenarios::called_back},
  };
  return scenarios;
}

Result<Done> Scenarios::examine(const Place& place) {
  if (!place.is_action()) return place.has_undo() ? child_undone(place) : Result<Done>(Done{});
  for (const Scenario& scenario : all()) {
    if (!log_.inventory.is_any_open(place.name())) return Done{};
    if (auto done = run(place, scenario); !done) return done;
  }
  return Done{};
}

Result<Done> Scenarios::run(const Place& place, const Scenario& scenario) {
  const bool wanted =
      std::any_of(scenario.promises.begin(), scenario.promises.end(),
                  [&](Promise promise) { return log_.inventory.is_wanted(place.name(), promise); });
  if (!wanted) return Done{};
  options_.progress(place.name() + ": " + scenario.words);
  Trial trial(world_, options_, log_, place, scenario.setup);
  if (auto started = trial.start(); !started) return started;
  auto forward = trial.next();
  if (forward && forward->call.phase == Phase::forward) {
    (this->*scenario.run)(trial, std::move(*forward));
    return Done{};
  }
  const std::string why = trial.why_not();
  if (&scenario == &all().front()) log_.inventory.leave_unchecked(place.name(), why);
  for (const Promise promise : scenario.promises)
    settle(trial, promise, Judgement::not_checked(why));
  return Done{};
}

bool Scenarios::is_wanted(const Trial& trial, Promise promise) const {
  return log_.inventory.is_wanted(trial.place().name(), promise);
}

void Scenarios::settle(const Trial& trial, Promise promise, Judgement judgement) {
  log_.inventory.settle(trial.place().name(), promise, std::move(judgement));
}

void Scenarios::wind_up(Trial& trial, HeldCall forward, const Reply& reply) {
  trial.take_back();
  trial.answer(std::move(forward), reply.result);
}

void Scenarios::done_and_undone(Trial& trial, HeldCall forward) {
  const Reply first = trial.settle(forward);
  const HeldCall copy{forward.call, {}};
  if (const std::string why = obstacle(first, "the action"); !why.empty()) {
    for (const Promise promise :
         {Promise::repeat, Promise::undo, Promise::undo_again, Promise::action_after})
      settle(trial, promise, Judgement::not_checked(why));
    return wind_up(trial, std::move(forward), first);
  }
  if (first.done()) done_[trial.place().name()] = first.result;
  if (is_wanted(trial, Promise::repeat)) {
    const Reply again = trial.settle(forward);
    settle(trial, Promise::repeat,
           !again.answered()           ? Judgement::not_checked(silence(again))
           : same_answer(first, again) ? Judgement::kept()
                                       : Judgement::broken(first.text(), again.text()));
  }
  wind_up(trial, std::move(forward), first);
  if (trial.place().has_undo()) judge_undo(trial, copy, first);
}

void Scenarios::cut_off(Trial& trial, HeldCall forward) {
  Reply again;
  settle(trial, Promise::cut_off, judge_cut_off(trial, forward, again));
  wind_up(trial, std::move(forward), again);
}

Judgement Scenarios::judge_cut_off(Trial& trial, const HeldCall& forward, Reply& again) {
  again = trial.send(forward, Way::cut_off);
  const auto* error = std::get_if<TransportError>(&again.result);
  if (error == nullptr || !error->sent)
    return Judgement::not_checked("the request did not leave: " + again.text());
  // Long enough for the request to arrive first, too short for it to be done if that takes a while.
  std::this_thread::sleep_for(repeat_after_cut);
  again = trial.settle(forward);
  if (!again.answered()) return Judgement::not_checked(silence(again));
  if (!again.taken()) return Judgement::broken("success", again.text());
  const Reply third = trial.settle(forward);
  if (!third.answered()) return Judgement::not_checked(silence(third));
  if (!same_answer(again, third)) return Judgement::broken(again.text(), third.text());
  return Judgement::kept();
}

/// All of both copies but the last byte is sent, then both last bytes: however quickly the
/// participant works, the second copy arrives before the first is answered.
void Scenarios::at_once(Trial& trial, HeldCall forward) {
  Flight one = trial.begin(forward, Way::last_byte_held);
  Flight two = trial.begin(forward, Way::last_byte_held);
  one.wait_until_held();
  two.wait_until_held();
  one.release();
  two.release();
  finish_copies(trial, std::move(forward), one, two, Promise::at_once);
}

void Scenarios::overtaken(Trial& trial, HeldCall forward) {
  Flight one = trial.begin(forward, Way::last_byte_held);
  let_arrive(one);
  Flight two = trial.begin(forward, Way::whole);
  two.wait(grace(forward));
  one.release();
  finish_copies(trial, std::move(forward), one, two, Promise::overtaken);
}

void Scenarios::finish_copies(Trial& trial, HeldCall forward, Flight& one, Flight& two,
                              Promise promise) {
  const std::vector<Reply> copies{trial.finish(one, forward), trial.finish(two, forward)};
  const Reply later = trial.settle(forward);
  settle(trial, promise, judge_copies(copies, later));
  wind_up(trial, std::move(forward), later);
}

/// The participant must tell the keys apart; what shows it depends on what the step has.
void Scenarios::key_case(Trial& trial, HeldCall forward) {
  const Place& place = trial.place();
  const auto& action = std::get<dsl::Action>(place.step->body);
  Judgement judgement;
  if (place.has_undo() && log_.inventory.has(place.name(), Promise::undo_of_nothing))
    judgement = key_case_by_undo(trial, std::move(forward));
  else if (action.probe)
    judgement = key_case_by_probe(trial, std::move(forward));
  else
    judgement = key_case_by_answer(trial, std::move(forward));
  settle(trial, Promise::key_case, std::move(judgement));
}

/// An undo under the other key must not close this one.
Judgement Scenarios::key_case_by_undo(Trial& trial, HeldCall forward) {
  const HeldCall copy{forward.call, {}};
  auto undo = undo_unseen(trial, std::move(forward));
  if (!undo) return Judgement::not_checked(trial.why_not());
  const Reply other = trial.settle(in_other_case(*undo));
  const Reply action = trial.settle(copy);
  const Reply undone = trial.settle(*undo);
  give_undo(trial, std::move(*undo), undone);
  if (!other.done()) return Judgement::not_checked(obstacle(other, "the undo of another key"));
  if (!action.answered()) return Judgement::not_checked(silence(action));
  if (action.taken()) return Judgement::kept();
  return Judgement::broken("success: the undo before named a key that differs in case",
                           action.text());
}

/// A probe for the other key must not find what was done under this one.
Judgement Scenarios::key_case_by_probe(Trial& trial, HeldCall forward) {
  const Reply done = trial.settle(forward);
  const std::string why = obstacle(done, "the action");
  auto probe = probe_of(trial, std::move(forward));
  if (!probe) return Judgement::not_checked(why.empty() ? trial.why_not() : why);
  const Reply other = trial.settle(in_other_case(*probe));
  trial.answer(std::move(*probe), done.result);
  trial.take_back();
  if (!why.empty()) return Judgement::not_checked(why);
  if (!other.answered()) return Judgement::not_checked(silence(other));
  if (other.taken())
    return Judgement::broken("not done: the key of the probe differs in case", other.text());
  return Judgement::kept(other.text());
}

/// The action under the other key is a new request. That shows only if its answer differs.
Judgement Scenarios::key_case_by_answer(Trial& trial, HeldCall forward) {
  const Reply first = trial.settle(forward);
  const std::string why = obstacle(first, "the action");
  const Reply other = why.empty() ? trial.settle(in_other_case(forward)) : first;
  wind_up(trial, std::move(forward), first);
  if (!why.empty()) return Judgement::not_checked(why);
  if (!other.answered()) return Judgement::not_checked(silence(other));
  if (other.taken() && !same_answer(first, other)) return Judgement::kept(other.text());
  return Judgement::not_checked(
      "the step has neither a probe nor an undo by its key, and the answer to the other key, " +
      other.text() + ", does not show whether the keys are told apart");
}

}  // namespace backstitch::contract_check
