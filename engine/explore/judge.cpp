#include "judge.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include <backstitch/base/match.hpp>

namespace backstitch::engine::explore {
namespace {

bool may_exist(Deed deed) {
  return deed == Deed::done || deed == Deed::maybe;
}

bool is_safe_key(std::string_view key) {
  return !key.empty() && key.size() <= 128 &&
         std::all_of(key.begin(), key.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

/// Participants' key columns are often case-insensitive.
std::string without_case(std::string key) {
  for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return key;
}

/// `at` is the step's forward or undo call.
const CallState* call_at(const SagaState& state, const StepPath& path, Phase phase) {
  const auto found = state.steps.find(path);
  return found == state.steps.end() ? nullptr : &call_of(found->second, phase);
}

const Failure* failure_in(const Event& event) {
  return std::visit(Match{[](const StepFailed& e) -> const Failure* { return &e.failure; },
                          [](const StepSucceeded& e) { return e.failure ? &*e.failure : nullptr; },
                          [](const IterationEnded& e) { return e.failure ? &*e.failure : nullptr; },
                          [](const CompensationStarted& e) -> const Failure* { return &e.failure; },
                          [](const AttemptFailed& e) -> const Failure* { return &e.failure; },
                          [](const auto&) -> const Failure* { return nullptr; }},
                    event.body);
}

}  // namespace

const Standing& Judge::standing(Slot slot) {
  if (standings_.size() <= slot) standings_.resize(positions_.slots());
  auto& known = standings_[slot];
  if (!known) known = standing_of(*program_.definition, positions_.path_of(slot));
  return *known;
}

std::optional<Breach> Judge::judge(const Ids& before, const std::vector<Event>& events,
                                   const std::vector<Effect>& effects) {
  if (auto breach = judge_events(events)) return breach;
  for (const auto& effect : effects) {
    if (const auto* call = std::get_if<CallParticipant>(&effect)) {
      if (auto breach = judge_call(before, *call)) return breach;
    } else if (const auto* undo = std::get_if<UndoChild>(&effect)) {
      if (auto breach = undo_begins(positions_.slot_of(undo->path))) return breach;
    }
  }
  const SagaStatus status = positions_.state().status;
  const bool back = status == SagaStatus::compensating || status == SagaStatus::failed ||
                    status == SagaStatus::failed_incomplete;
  if (back && pivot_may_be_done())
    return Breach{"I9", "the saga goes back although its pivot took effect, or may have"};
  if (is_terminal(status)) return judge_end();
  return std::nullopt;
}

/// That an expression needs a body which did not come is what the ending says; see
/// Ending::odd_body.
std::optional<Breach> Judge::judge_events(const std::vector<Event>& events) {
  if (positions_.odd_body_seen) return std::nullopt;
  for (const auto& event : events) {
    const StepPath& path = path_of(event);
    const auto* failure = failure_in(event);
    if (failure != nullptr && failure->code == "EXPRESSION_FAILED")
      return Breach{"expression", (path.empty() ? "the saga" : path) + ": " + failure->message};
    const auto* suspended = std::get_if<SagaSuspended>(&event.body);
    if (suspended != nullptr && suspended->suspension.reason == "EXPRESSION_FAILED") {
      return Breach{"expression", (path.empty() ? "the saga" : suspended->suspension.step) + ": " +
                                      suspended->suspension.message};
    }
    if (const auto* passed_over = std::get_if<CatchPassedOver>(&event.body))
      return Breach{"expression", path + ": " + passed_over->message};
  }
  return std::nullopt;
}

std::optional<Breach> Judge::judge_call(const Ids& before, const CallParticipant& call) {
  const Slot slot = positions_.slot_of(call.path);
  if (auto breach = judge_request(before, call, slot)) return breach;
  if (call.phase == Phase::forward) return judge_forward(call, slot);
  if (call.phase != Phase::compensate) return std::nullopt;
  if (!positions_.ledger(slot).undo_begun) return undo_begins(slot);
  if (positions_.ledger(slot).deed == Deed::undone)
    return Breach{"I4", "the undo of " + call.path + " is sent again although it was confirmed"};
  return std::nullopt;
}

std::optional<Breach> Judge::judge_forward(const CallParticipant& call, Slot slot) {
  const Ledger& ledger = positions_.ledger(slot);
  const auto status = positions_.state().status;
  if (ledger.deed == Deed::done)
    return Breach{"I3", call.path + " is called again although it is known to be done"};
  if (ledger.undo_begun)
    return Breach{"I5", call.path + " is called again after its undo was sent"};
  if (standing(slot).main && (status == SagaStatus::compensating || is_terminal(status)))
    return Breach{"I4", call.path + " is called although the saga is on its way back"};
  return std::nullopt;
}

/// Keys are one step's and one direction's, and every attempt sends the same bytes.
std::optional<Breach> Judge::judge_request(const Ids& before, const CallParticipant& call,
                                           Slot slot) {
  const auto* sent = call_at(positions_.state(), call.path, call.phase);
  if (sent == nullptr || !sent->request)
    return Breach{"I3", call.path + " is to be called without a request"};
  const auto* earlier = positions_.step_of(slot, slot < before.size() ? before[slot] : 0);
  if (earlier != nullptr && call.attempt > 1) {
    const auto& request = call_of(*earlier, call.phase).request;
    if (request && !(*request == *sent->request))
      return Breach{"I3", call.path + " is called again with another request"};
  }
  return judge_key(call, *sent->request, slot);
}

std::optional<Breach> Judge::judge_key(const CallParticipant& call, const RenderedRequest& request,
                                       Slot slot) {
  Ledger& ledger = positions_.ledger(slot);
  if (call.phase == Phase::probe || call.phase == Phase::poll) {
    if (request.key.empty() && !ledger.key.empty() && ledger.key == request.probes)
      return std::nullopt;
    return Breach{"I3", "a " + std::string(to_text(call.phase)) + " of " + call.path +
                            " asks for another key than its call had"};
  }
  if (!is_safe_key(request.key))
    return Breach{"I3", "the key of " + call.path + " does not survive a URL: " + request.key};
  if (is_used_elsewhere(request.key, slot, call.phase))
    return Breach{"I3", call.path + " is called with the key of another step"};
  positions_.touch(slot);
  if (call.phase == Phase::forward) {
    if (!ledger.key.empty() && ledger.key != request.key)
      return Breach{"I3", "the key of " + call.path + " changed"};
    ledger.key = request.key;
    return std::nullopt;
  }
  if (!ledger.key.empty() && ledger.key != request.compensates)
    return Breach{"I5", "the undo of " + call.path + " names another key than its call had"};
  ledger.undo_key = request.key;
  return std::nullopt;
}

/// On this way, by another step or in the other direction.
bool Judge::is_used_elsewhere(const std::string& key, Slot slot, Phase phase) const {
  const std::string folded = without_case(key);
  for (Slot other = 1; other < positions_.slots(); ++other) {
    const Ledger& ledger = positions_.ledger(other);
    const bool same = other == slot;
    if (!(same && phase == Phase::forward) && without_case(ledger.key) == folded) return true;
    if (!(same && phase == Phase::compensate) && without_case(ledger.undo_key) == folded)
      return true;
  }
  return false;
}

std::optional<Breach> Judge::undo_begins(Slot slot) {
  Ledger& ledger = positions_.ledger(slot);
  if (ledger.undo_begun) return std::nullopt;
  const StepPath& path = positions_.path_of(slot);
  if (pivot_may_be_done())
    return Breach{"I9", path + " is undone although the pivot took effect, or may have"};
  if (!may_exist(ledger.deed))
    return Breach{"I4", path + " is undone although it is known not to be done"};
  if (auto breach = called_for(slot)) return breach;
  if (auto breach = undone_in_turn(slot)) return breach;
  ledger.undo_begun = true;
  return std::nullopt;
}

/// Something failed that this undo is for, and nothing it would undo is still being sent.
std::optional<Breach> Judge::called_for(Slot slot) {
  const SagaState& state = positions_.state();
  const StepPath& path = positions_.path_of(slot);
  const auto on_its_way_under = [&](const std::string& prefix) {
    for (Slot other = 1; other < positions_.slots(); ++other) {
      if (positions_.path_of(other).starts_with(prefix) && standing(other).effect &&
          on_its_way(other))
        return true;
    }
    return false;
  };
  if (state.failure) {
    if (!on_its_way_under("")) return std::nullopt;
    return Breach{"I4", path + " is undone while a call of the saga is still on its way"};
  }
  for (const auto& level : standing(slot).levels) {
    const bool body = level.block != nullptr && level.inside == 0 &&
                      std::holds_alternative<dsl::Try>(level.block->body);
    if (!body || on_its_way_under(level.path + "/")) continue;
    const auto block = state.blocks.find(level.path);
    if (block != state.blocks.end() && block->second.caught) return std::nullopt;
  }
  return Breach{"I4", path + " is undone although nothing failed that asks for it"};
}

std::optional<Breach> Judge::undone_in_turn(Slot slot) {
  for (Slot other = 1; other < positions_.slots(); ++other) {
    if (other == slot || !standing(other).effect) continue;
    std::size_t at = 0;
    switch (order_of(standing(slot), standing(other), at)) {
      case Order::before:
        break;
      case Order::after:
        if (needs_undo(other) || on_its_way(other)) {
          return Breach{"I4", positions_.path_of(slot) + " is undone before " +
                                  positions_.path_of(other) + ", which came after it"};
        }
        break;
      case Order::beside:
        if (auto breach = undone_beside(slot, other, at)) return breach;
        break;
    }
  }
  return std::nullopt;
}

std::optional<Breach> Judge::undone_beside(Slot slot, Slot other, std::size_t at) {
  const auto& levels = standing(slot).levels;
  if (at >= levels.size() || levels[at].block == nullptr || !needs_undo(other)) return std::nullopt;
  const dsl::Step& block = *levels[at].block;
  const Breach breach{"I4", positions_.path_of(slot) + " is undone before " +
                                positions_.path_of(other) + ", against the serial order of " +
                                block.name};
  if (const auto* body = std::get_if<dsl::Parallel>(&block.body)) {
    const bool serial = body->compensation_order == dsl::CompensationOrder::serial;
    const bool later = positions_.ledger(other).number > positions_.ledger(slot).number;
    return serial && later ? std::optional(breach) : std::nullopt;
  }
  const auto* body = std::get_if<dsl::ForEach>(&block.body);
  if (body == nullptr) return std::nullopt;
  const bool serial = body->compensation_order == dsl::CompensationOrder::serial;
  if (serial && standing(other).levels[at].inside > levels[at].inside) return breach;
  std::set<std::uint32_t> under_way{levels[at].inside};
  for (Slot one = 1; one < positions_.slots(); ++one) {
    const auto& beside = standing(one).levels;
    if (beside.size() > at && beside[at].path == levels[at].path &&
        positions_.ledger(one).undo_begun && needs_undo(one))
      under_way.insert(beside[at].inside);
  }
  if (under_way.size() <= (serial ? 1 : body->concurrency_max)) return std::nullopt;
  return Breach{"I4", "more iterations of " + block.name + " are undone at once than may run"};
}

bool Judge::needs_undo(Slot slot) {
  const Ledger& ledger = positions_.ledger(slot);
  return standing(slot).can_be_undone && may_exist(ledger.deed) && ledger.excuse == Excuse::none;
}

bool Judge::on_its_way(Slot slot) const {
  const auto step = positions_.state().steps.find(positions_.path_of(slot));
  if (step == positions_.state().steps.end()) return false;
  return step->second.forward.in_flight || step->second.status == StepStatus::waiting ||
         step->second.status == StepStatus::running;
}

bool Judge::pivot_may_be_done() {
  for (Slot slot = 1; slot < positions_.slots(); ++slot) {
    if (standing(slot).effect && standing(slot).step->kind == dsl::StepKind::pivot &&
        may_exist(positions_.ledger(slot).deed))
      return true;
  }
  return false;
}

std::optional<Breach> Judge::judge_end() {
  const SagaState& state = positions_.state();
  for (Slot slot = 1; slot < positions_.slots() && is_terminal(state.status); ++slot) {
    if (standing(slot).effect && on_its_way(slot))
      return Breach{"I1", "the saga ends while " + positions_.path_of(slot) + " is on its way"};
  }
  switch (state.status) {
    case SagaStatus::completed:
      return judge_completed();
    case SagaStatus::failed:
      return judge_failed(false);
    case SagaStatus::failed_incomplete:
      return judge_failed(true);
    case SagaStatus::suspended:
      if (!state.suspensions.empty() && !state.suspensions.front().reason.empty())
        return std::nullopt;
      return Breach{"I1", "the saga is suspended without a reason"};
    case SagaStatus::running:
    case SagaStatus::compensating:
      return Breach{"I1", std::string("the saga is ") + to_text(state.status) +
                              " and nothing can happen any more"};
  }
  return std::nullopt;
}

std::optional<Breach> Judge::judge_failed(bool incomplete) {
  bool given_up = false;
  for (Slot slot = 1; slot < positions_.slots(); ++slot) {
    const Standing& at = standing(slot);
    const Ledger& ledger = positions_.ledger(slot);
    given_up = given_up || ledger.excuse == Excuse::given_up;
    if (!at.effect || !may_exist(ledger.deed) || ledger.excuse != Excuse::none) continue;
    if (std::holds_alternative<dsl::WaivedCompensation>(at.step->undo)) continue;
    return Breach{"I1", "the saga ends as failed, and " + positions_.path_of(slot) +
                            (ledger.deed == Deed::done ? " is done" : " may be done") +
                            " and not undone"};
  }
  if (given_up == incomplete) return std::nullopt;
  return Breach{"I1", incomplete ? "FAILED_INCOMPLETE, and nothing was left"
                                 : "FAILED, although an undo was given up"};
}

std::optional<Breach> Judge::judge_completed() {
  std::vector<Slot> accounted;
  if (const auto missing = not_done(program_.definition->steps, "", accounted); !missing.empty())
    return Breach{"I1", "the saga ends as completed, and " + missing + " is not done"};
  for (Slot slot = 1; slot < positions_.slots(); ++slot) {
    const Ledger& ledger = positions_.ledger(slot);
    const bool counted = std::find(accounted.begin(), accounted.end(), slot) != accounted.end();
    if (!standing(slot).effect || counted || !may_exist(ledger.deed)) continue;
    if (ledger.excuse != Excuse::none || !standing(slot).can_be_undone) continue;
    return Breach{"I4", "the saga ends as completed, and " + positions_.path_of(slot) +
                            ", which it went back over, is not undone"};
  }
  return std::nullopt;
}

/// The first step of the list that should be done and is not; empty: none.
std::string Judge::not_done(const dsl::Steps& steps, const std::string& prefix,
                            std::vector<Slot>& accounted) {
  for (const auto& step : steps) {
    const StepPath path = prefix + step.name;
    const auto found = positions_.state().steps.find(path);
    if (found == positions_.state().steps.end()) return path;
    if (found->second.status == StepStatus::skipped) continue;
    if (found->second.status != StepStatus::succeeded || found->second.failure) return path;
    const Slot slot = positions_.slot_of(path);
    if (standing(slot).effect && positions_.ledger(slot).deed != Deed::done) return path;
    accounted.push_back(slot);
    if (auto missing = not_done_inside(step, path, accounted); !missing.empty()) return missing;
  }
  return {};
}

std::string Judge::not_done_inside(const dsl::Step& step, const StepPath& path,
                                   std::vector<Slot>& accounted) {
  const auto block = positions_.state().blocks.find(path);
  if (block == positions_.state().blocks.end()) return {};
  const BlockState& known = block->second;
  if (const auto* body = std::get_if<dsl::Parallel>(&step.body)) {
    for (const auto& branch : body->branches) {
      auto missing = not_done(branch.steps, path + "/" + branch.name + "/", accounted);
      if (!missing.empty()) return missing;
    }
  } else if (const auto* loop = std::get_if<dsl::ForEach>(&step.body)) {
    for (std::size_t i = 0; i < known.items.size(); ++i) {
      auto missing = not_done(loop->steps, path + "[" + std::to_string(i) + "]/", accounted);
      if (!missing.empty()) return missing;
    }
  } else if (const auto* choice = std::get_if<dsl::Switch>(&step.body)) {
    const bool one = known.chosen < choice->cases.size();
    return not_done(one ? choice->cases[known.chosen].steps : choice->otherwise->steps, path + "/",
                    accounted);
  } else if (const auto* attempt = std::get_if<dsl::Try>(&step.body)) {
    return not_done(
        known.catch_chosen ? attempt->catches[*known.catch_chosen].steps : attempt->steps,
        path + "/", accounted);
  }
  return {};
}

}  // namespace backstitch::engine::explore
