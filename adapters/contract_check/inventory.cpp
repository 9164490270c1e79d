#include "inventory.hpp"

#include <algorithm>

// Which promises a definition relies on. One more promise: its words (promises.cpp), a line here,
// and a scenario that judges it.

namespace backstitch::contract_check {
namespace {

using dsl::Idempotency;

constexpr const char* not_tried = "no scenario came to it";

/// What the engine relies on when it sends an action. A service whose idempotency is `none` never
/// gets a second copy; one that is `natural` may ignore keys.
std::vector<Promise> promises_of_action(const dsl::Step& step, Idempotency idempotency) {
  if (step.kind == dsl::StepKind::readonly || idempotency == Idempotency::none) return {};
  std::vector<Promise> promises{Promise::repeat, Promise::at_once, Promise::overtaken,
                                Promise::cut_off};
  if (idempotency == Idempotency::key) promises.push_back(Promise::key_case);
  return promises;
}

bool reads_outcome(const dsl::Template& source) {
  const auto& all = source.expressions();
  return std::any_of(all.begin(), all.end(), [](const auto& one) {
    const std::string& text = one.expression.source();
    return text.find("self.output") != std::string::npos ||
           text.find("self.captured") != std::string::npos;
  });
}

/// Whether the undo cannot be rendered before the action's answer is known.
bool needs_answer(const dsl::Request& undo) {
  const auto any = [](const auto& fields) {
    return std::any_of(fields.begin(), fields.end(),
                       [](const auto& field) { return reads_outcome(field.value); });
  };
  return (undo.path && reads_outcome(*undo.path)) || (undo.body && reads_outcome(*undo.body)) ||
         any(undo.query) || any(undo.headers);
}

/// Behind a sealed probe the engine sends no undo that reads the answer before it knows the answer.
bool is_undone_unseen(const dsl::Step& step) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  const bool sealed = action != nullptr && action->probe && action->probe->sealed;
  return action != nullptr &&
         !(sealed && needs_answer(std::get<dsl::Compensation>(step.undo).request));
}

/// What is asked of every answer to this kind of request.
std::vector<Promise> promises_of_answers(const engine::Program& program, const dsl::Step& step,
                                         RequestKind kind, const dsl::Request& request) {
  std::vector<Promise> promises{Promise::in_time};
  const auto* action = std::get_if<dsl::Action>(&step.body);
  const std::string& name =
      request.service.empty() && action != nullptr ? action->request.service : request.service;
  const auto* service = program.service(name);
  if (service != nullptr && service->answers.any()) promises.push_back(Promise::marked);
  if (kind == RequestKind::probe || kind == RequestKind::poll)
    promises.push_back(Promise::not_stored);
  return promises;
}

Idempotency idempotency_of(const engine::Program& program, const dsl::Step& step) {
  const auto* action = std::get_if<dsl::Action>(&step.body);
  const auto* service = action != nullptr ? program.service(action->request.service) : nullptr;
  return service != nullptr ? service->idempotency : Idempotency::key;
}

}  // namespace

Inventory::Inventory(const engine::Program& program) : places_(places_of(program)) {
  for (const Place& place : places_) {
    if (place.is_action())
      add_action(place, program);
    else
      add(place, RequestKind::sub_saga, {Promise::sub_saga});
    if (place.has_undo()) add_undo(place, program);
  }
}

void Inventory::add(const Place& place, RequestKind request, const std::vector<Promise>& promises) {
  for (const Promise promise : promises) {
    Finding finding;
    finding.step = place.name();
    finding.request = request;
    finding.promise = promise;
    finding.reason = not_tried;
    findings_.push_back(std::move(finding));
    entries_.emplace_back();
  }
}

void Inventory::add_action(const Place& place, const engine::Program& program) {
  const auto& action = std::get<dsl::Action>(place.step->body);
  const auto add_answers = [&](RequestKind kind, const dsl::Request& request) {
    add(place, kind, promises_of_answers(program, *place.step, kind, request));
  };
  add(place, RequestKind::action,
      promises_of_action(*place.step, idempotency_of(program, *place.step)));
  add_answers(RequestKind::action, action.request);
  if (action.probe) {
    add(place, RequestKind::probe, {Promise::probe, Promise::router});
    if (action.probe->sealed) add(place, RequestKind::probe, {Promise::seal, Promise::seal_during});
    add_answers(RequestKind::probe, action.probe->request);
  }
  if (!action.completion) return;
  if (action.completion->poll) {
    add(place, RequestKind::poll, {Promise::poll});
    add_answers(RequestKind::poll, action.completion->poll->request);
  }
  if (action.completion->callback) add(place, RequestKind::callback, {Promise::callback});
}

void Inventory::add_undo(const Place& place, const engine::Program& program) {
  add(place, RequestKind::compensation, {Promise::undo, Promise::undo_again});
  if (place.is_action() && idempotency_of(program, *place.step) != Idempotency::none)
    add(place, RequestKind::compensation, {Promise::action_after});
  if (is_undone_unseen(*place.step)) {
    add(place, RequestKind::compensation,
        {Promise::undo_of_nothing, Promise::late_action, Promise::undo_overtakes,
         Promise::undo_during});
  }
  add(place, RequestKind::compensation,
      promises_of_answers(program, *place.step, RequestKind::compensation,
                          std::get<dsl::Compensation>(place.step->undo).request));
}

void Inventory::leave_out(const std::string& step, const std::string& option,
                          const std::string& reason) {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (findings_[i].step != step) continue;
    entries_[i].left_out = true;
    findings_[i].reason = reason;
    findings_[i].accepted_by = option;
  }
}

Result<Done> Inventory::accept(const Accepted& accepted) {
  bool known = false;
  for (Finding& finding : findings_) {
    if (finding.step != accepted.step || to_text(finding.promise) != accepted.promise) continue;
    known = true;
    if (finding.accepted_by.empty()) finding.accepted_by = "--accept";
  }
  if (known) return Done{};
  const std::string promises = promises_of(accepted.step);
  const std::string what = "--accept " + accepted.step + ":" + accepted.promise + " names no ";
  return Error{ErrorCode::invalid, "accept-unknown",
               promises.empty()
                   ? what + "step that makes requests; there are: " + step_names()
                   : what + "promise of that step; `" + accepted.step + "` has: " + promises};
}

std::string Inventory::promises_of(const std::string& step) const {
  std::string all;
  for (const Finding& finding : findings_) {
    const std::string name = to_text(finding.promise);
    if (finding.step == step && (", " + all + ",").find(", " + name + ",") == std::string::npos)
      all += (all.empty() ? "" : ", ") + name;
  }
  return all;
}

std::string Inventory::step_names() const {
  std::string all;
  for (const Place& place : places_) all += (all.empty() ? "" : ", ") + place.name();
  return all;
}

bool Inventory::is_wanted(const std::string& step, Promise promise) const {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (findings_[i].step == step && findings_[i].promise == promise)
      return !entries_[i].left_out && !entries_[i].judged;
  }
  return false;
}

bool Inventory::is_any_open(const std::string& step) const {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (findings_[i].step == step && !entries_[i].left_out && !entries_[i].judged) return true;
  }
  return false;
}

bool Inventory::has(const std::string& step, Promise promise) const {
  return std::any_of(findings_.begin(), findings_.end(), [&](const Finding& finding) {
    return finding.step == step && finding.promise == promise;
  });
}

void Inventory::settle(const std::string& step, Promise promise, Judgement judgement) {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (findings_[i].step == step && findings_[i].promise == promise)
      return settle_at(i, std::move(judgement));
  }
}

void Inventory::settle(const std::string& step, RequestKind request, Promise promise,
                       Judgement judgement) {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    const Finding& finding = findings_[i];
    if (finding.step == step && finding.promise == promise && finding.request == request)
      return settle_at(i, std::move(judgement));
  }
}

void Inventory::settle_at(std::size_t index, Judgement judgement) {
  Finding& finding = findings_[index];
  Entry& entry = entries_[index];
  if (entry.left_out || (entry.judged && judgement.standing != Standing::broken)) return;
  entry.judged = true;
  finding.standing = judgement.standing;
  finding.expected = std::move(judgement.expected);
  const bool open = judgement.standing == Standing::not_checked;
  (open ? finding.reason : finding.came) = std::move(judgement.text);
  if (!open) finding.reason.clear();
}

void Inventory::leave_unchecked(const std::string& step, RequestKind request,
                                const std::string& reason) {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (findings_[i].step == step && findings_[i].request == request && !entries_[i].judged)
      settle_at(i, Judgement::not_checked(reason));
  }
}

void Inventory::leave_unchecked(const std::string& step, const std::string& reason) {
  for (std::size_t i = 0; i < findings_.size(); ++i) {
    if (findings_[i].step == step && !entries_[i].judged)
      settle_at(i, Judgement::not_checked(reason));
  }
}

}  // namespace backstitch::contract_check
