#include "positions.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>

#include "encoding.hpp"

namespace backstitch::engine::explore {
namespace {

const Sequence sequence_at_hand{1'000};

void serial_blocks(const dsl::Definition& definition, const dsl::Steps& steps,
                   std::vector<std::string>& names) {
  for (const auto& step : steps) {
    std::visit(
        Match{[&](const dsl::Parallel& body) {
                if (body.compensation_order == dsl::CompensationOrder::serial)
                  names.push_back(step.name);
                for (const auto& one : body.branches) serial_blocks(definition, one.steps, names);
              },
              [&](const dsl::Switch& body) {
                for (const auto& one : body.cases) serial_blocks(definition, one.steps, names);
                if (body.otherwise) serial_blocks(definition, body.otherwise->steps, names);
              },
              [&](const dsl::ForEach& body) { serial_blocks(definition, body.steps, names); },
              [&](const dsl::Try& body) {
                serial_blocks(definition, body.steps, names);
                for (const auto& one : body.catches) serial_blocks(definition, one.steps, names);
              },
              [](const auto&) {}},
        step.body);
  }
}

/// How often a step was asked before it came to what it is does not matter any more.
void forget_settled(StepState& step) {
  const bool forward = step.status == StepStatus::running || step.status == StepStatus::waiting;
  if (!forward) {
    for (auto* call : {&step.forward, &step.probe, &step.poll}) *call = CallState{};
    step.forward.attempts = 1;
  }
  step.undo.unknown_seen = false;
  if (step.status != StepStatus::compensated) return;
  step.undo = CallState{};
  step.effect_unknown = false;
  step.failure.reset();
}

void to_sometime(std::optional<TimePoint>& time) {
  if (time) time = sometime;
}
void to_present(std::optional<TimePoint>& time) {
  if (time) time = present;
}

}  // namespace

Positions::Positions(const Program& program, bool failure_matters, bool details_matter)
    : failure_matters_(failure_matters), details_matter_(details_matter) {
  serial_blocks(*program.definition, program.definition->steps, serial_prefixes_);
  slot_of("");  // the saga as a whole
}

Slot Positions::slot_of(const StepPath& path) {
  const auto [found, added] = slots_.try_emplace(path, static_cast<Slot>(paths_.size()));
  if (added) {
    paths_.push_back(path);
    ledgers_.emplace_back();
    tables_.emplace_back();
    at_hand_.push_back(0);
  }
  return found->second;
}

void Positions::begin(std::uint32_t number, const SagaState& started) {
  lose();
  root = number;
  odd_body_seen = false;
  roots_.resize(std::max<std::size_t>(roots_.size(), number + 1));
  state_ = started;
  roots_[number] = started;
  roots_[number].steps.clear();
  roots_[number].blocks.clear();
  roots_[number].open.clear();
  root_at_hand_ = number;
  std::fill(ledgers_.begin(), ledgers_.end(), Ledger{});
  std::fill(at_hand_.begin(), at_hand_.end(), 0);
  for (const auto& [path, step] : started.steps) touch(slot_of(path));
  for (const auto& [path, block] : started.blocks) touch(slot_of(path));
}

void Positions::lose() {
  state_ = SagaState{};
  root_at_hand_ = UINT32_MAX;
  touched_.clear();
  std::fill(at_hand_.begin(), at_hand_.end(), 0);
  std::fill(ledgers_.begin(), ledgers_.end(), Ledger{});
}

void Positions::touch(Slot slot) {
  if (std::find(touched_.begin(), touched_.end(), slot) == touched_.end()) touched_.push_back(slot);
}

void Positions::go_to(const Ids& ids) {
  forget_walks();
  for (const Slot slot : touched_) at_hand_[slot] = UINT32_MAX;
  touched_.clear();
  for (Slot slot = 1; slot < at_hand_.size(); ++slot) {
    const std::uint32_t wanted = slot < ids.size() ? ids[slot] : 0;
    if (at_hand_[slot] == wanted) continue;
    restore(slot, wanted);
    at_hand_[slot] = wanted;
  }
  restore_whole(ids[0]);
  at_hand_[0] = ids[0];
}

void Positions::restore(Slot slot, std::uint32_t id) {
  const StepPath& path = paths_[slot];
  if (id == 0) {
    state_.steps.erase(path);
    state_.blocks.erase(path);
    state_.open.erase(path);
    ledgers_[slot] = Ledger{};
    return;
  }
  const Part& part = tables_[slot].parts[id - 1];
  if (part.has_step)
    state_.steps[path] = part.step;
  else
    state_.steps.erase(path);
  if (part.has_block)
    state_.blocks[path] = part.block;
  else
    state_.blocks.erase(path);
  if (part.open)
    state_.open.insert(path);
  else
    state_.open.erase(path);
  ledgers_[slot] = part.ledger;
}

void Positions::restore_whole(std::uint32_t id) {
  const Whole& whole = wholes_.parts[id - 1];
  root = whole.root;
  odd_body_seen = whole.odd_body_seen;
  decided = whole.decided;
  if (root_at_hand_ != root) {
    const SagaState& started = roots_[root];
    state_.id = started.id;
    state_.root = started.root;
    state_.definition = started.definition;
    state_.version = started.version;
    state_.input = started.input;
    state_.sensitive = started.sensitive;
    state_.labels = started.labels;
    state_.business_key = started.business_key;
    state_.parent = started.parent;
    state_.started_at = started.started_at;
    state_.saga_view = started.saga_view;
    root_at_hand_ = root;
  }
  state_.status = whole.status;
  state_.output = whole.output;
  state_.failure = whole.failure;
  state_.suspensions = whole.suspensions;
  state_.signals = whole.signals;
  state_.pivot_sent = whole.pivot_sent;
  state_.pivot_passed = whole.pivot_passed;
  state_.cancel_requested = whole.cancel_requested;
  state_.deadline_passed = whole.deadline_passed;
  state_.handlers_started = whole.handlers_started;
  state_.suspended_times = whole.suspended_times;
  state_.deadline = whole.deadline;
  // What only counts how much has happened is the same everywhere, or limits would be reached that
  // no way comes near to.
  state_.sequence = sequence_at_hand;
  state_.events = 0;
  state_.commands.clear();
  state_.resumes_without_progress = 0;
  state_.bytes = 0;
  state_.details_bytes = 0;
  state_.ended_at.reset();
}

const Ids& Positions::settle() {
  if (state_.status != SagaStatus::suspended) forget_notices();
  touch_what_failure_settles();
  forget_walks();
  for (const Slot slot : touched_) {
    if (slot != 0) at_hand_[slot] = settle_part(slot);
  }
  touched_.clear();
  at_hand_[0] = settle_whole();
  return at_hand_;
}

/// Where an undo has got to is found again by walking, as after a crash.
void Positions::forget_walks() {
  for (auto& [path, block] : state_.blocks) {
    block.undo_next.reset();
    block.undoing.clear();
    block.undo_order.reset();
  }
}

void Positions::forget_notices() {
  constexpr std::string_view prefix = "onSuspended[";
  if (state_.suspended_times == 0) return;
  auto step = state_.steps.lower_bound(prefix);
  for (auto one = step; one != state_.steps.end() && one->first.starts_with(prefix); ++one) {
    if (state_.open.count(one->first) > 0) return;
  }
  while (step != state_.steps.end() && step->first.starts_with(prefix)) {
    touch(slot_of(step->first));
    ledgers_[slot_of(step->first)] = Ledger{};
    step = state_.steps.erase(step);
  }
  state_.suspended_times = 0;
}

/// What failed first will not be asked any more: the saga is on its way back, or is to stop anyway.
bool Positions::failures_are_settled() const {
  return !failure_matters_ && (state_.failure || state_.cancel_requested || state_.deadline_passed);
}

void Positions::touch_what_failure_settles() {
  if (!failures_are_settled() || at_hand_[0] == 0) return;
  const Whole& before = wholes_.parts[at_hand_[0] - 1];
  const bool already = before.failure || before.cancel_requested || before.deadline_passed;
  for (Slot slot = 1; slot < slots() && !already; ++slot) {
    if (at_hand_[slot] != 0) touch(slot);
  }
}

std::uint32_t Positions::settle_part(Slot slot) {
  const StepPath& path = paths_[slot];
  const auto step = state_.steps.find(path);
  const auto block = state_.blocks.find(path);
  const bool begun = step != state_.steps.end() && step->second.status != StepStatus::pending;
  if (!begun && block == state_.blocks.end()) {
    if (step != state_.steps.end()) state_.steps.erase(step);
    state_.open.erase(path);
    ledgers_[slot] = Ledger{};
    return 0;
  }
  const bool open = state_.open.count(path) > 0;
  Encoding encoding(bytes_);
  encoding.flag(begun);
  if (step != state_.steps.end()) {
    normalise(step->second, path);
    encoding.step(step->second);
  }
  encoding.flag(block != state_.blocks.end());
  if (block != state_.blocks.end()) {
    normalise(block->second);
    encoding.block(block->second);
  }
  encoding.flag(open);
  Ledger& ledger = ledgers_[slot];
  normalise(ledger, path);
  encoding.number(static_cast<std::uint64_t>(ledger.deed));
  encoding.flag(ledger.undo_begun);
  encoding.number(static_cast<std::uint64_t>(ledger.excuse));
  encoding.number(ledger.number);
  encoding.text(ledger.key);
  encoding.text(ledger.undo_key);
  Table<Part>& table = tables_[slot];
  const auto [found, added] =
      table.ids.try_emplace(bytes_, static_cast<std::uint32_t>(table.parts.size() + 1));
  if (added) {
    Part& part = table.parts.emplace_back();
    part.has_step = step != state_.steps.end();
    if (part.has_step) part.step = step->second;
    part.has_block = block != state_.blocks.end();
    if (part.has_block) part.block = block->second;
    part.open = open;
    part.ledger = ledger;
  }
  return found->second;
}

std::uint32_t Positions::settle_whole() {
  normalise(state_.failure);
  if (state_.failure && !failure_matters_) state_.failure = Failure{};
  if (is_terminal(state_.status)) decided.arms.clear();
  // On the way back nobody asks any more whether it was wanted.
  if (state_.failure) state_.cancel_requested = state_.deadline_passed = false;
  if (state_.pivot_passed) state_.deadline_passed = false;
  to_sometime(state_.deadline);
  normalise(state_.suspensions);
  for (auto& signal : state_.signals) signal.sequence = sequence_at_hand.get();
  Encoding encoding(bytes_);
  encoding.number(root);
  encoding.flag(odd_body_seen);
  encoding.flag(decided.assumed);
  encoding.number(decided.arms.size());
  for (const auto& [question, holds] : decided.arms) {
    encoding.number(question);
    encoding.flag(holds);
  }
  encoding.number(static_cast<std::uint64_t>(state_.status));
  encoding.json(state_.output);
  encoding.failure(state_.failure);
  encoding.number(state_.suspensions.size());
  for (const auto& suspension : state_.suspensions) encoding.suspension(suspension);
  encoding.number(state_.signals.size());
  for (const auto& signal : state_.signals) encoding.signal(signal);
  for (const bool flag :
       {state_.pivot_sent, state_.pivot_passed, state_.cancel_requested, state_.deadline_passed,
        state_.handlers_started, state_.deadline.has_value()})
    encoding.flag(flag);
  encoding.number(state_.suspended_times);
  const auto [found, added] =
      wholes_.ids.try_emplace(bytes_, static_cast<std::uint32_t>(wholes_.parts.size() + 1));
  if (added) {
    wholes_.parts.push_back({root, odd_body_seen, decided, state_.status, state_.output,
                             state_.failure, state_.suspensions, state_.signals, state_.pivot_sent,
                             state_.pivot_passed, state_.cancel_requested, state_.deadline_passed,
                             state_.handlers_started, state_.suspended_times, state_.deadline});
  }
  return found->second;
}

bool Positions::in_serial_block(const StepPath& path) const {
  return std::any_of(serial_prefixes_.begin(), serial_prefixes_.end(), [&](const auto& name) {
    return path.starts_with(name + "/") || path.find("/" + name + "/") != StepPath::npos;
  });
}

void Positions::normalise(StepState& step, const StepPath& path) const {
  for (auto* call : {&step.forward, &step.probe, &step.poll, &step.undo}) {
    call->attempts = std::min(call->attempts, 1U);
    call->attempts_before = 0;
    call->unknowns = 0;
    call->sent_at = present;
    to_present(call->first_at);
    to_sometime(call->retry_at);
    call->last.reset();
  }
  step.poll_notes = 0;
  forget_settled(step);
  for (auto* time : {&step.undo_not_before, &step.timeout_at, &step.wait_until}) to_sometime(*time);
  for (auto* time : {&step.started_at, &step.ended_at, &step.undo_started_at, &step.undo_ended_at})
    to_present(*time);
  normalise(step.failure);
  normalise(step.undo_failure);
  // Inside a block it was told to the block; in the main line it has become the saga's.
  const bool told = path.find('/') != StepPath::npos || state_.failure;
  if (step.failure && told && !details_matter_) step.failure = Failure{};
  if (serial_prefixes_.empty() || !in_serial_block(path)) {
    step.settled_sequence = 0;
  } else if (step.settled_sequence >= sequence_at_hand.get()) {
    std::int64_t last = 0;
    for (const auto& [other, known] : state_.steps) {
      if (&known != &step && known.settled_sequence < sequence_at_hand.get())
        last = std::max(last, known.settled_sequence);
    }
    step.settled_sequence = last + 1;
  }
}

void Positions::normalise(BlockState& block) const {
  // Only the first is ever looked at by itself; the others become its details.
  auto& failures = block.failures;
  if (!details_matter_ && failures.size() > 1) failures.resize(1);
  for (auto& failure : failures) normalise(failure);
  normalise(block.caught);
  if (!failures_are_settled()) return;
  for (auto& failure : failures) failure = Failure{};
  if (block.caught) block.caught = Failure{};
}

/// Of several, only where they are matters, unless something reads the first.
void Positions::normalise(std::vector<Suspension>& suspensions) const {
  for (auto& suspension : suspensions) {
    suspension.since = present;
    if (!details_matter_) suspension.message.clear();
    const bool of_child = suspension.cause != SuspensionCause::step;
    if (failure_matters_ || of_child || suspensions.size() < 2) continue;
    suspension.reason =
        suspension.phase == Phase::compensate ? "COMPENSATION_FAILED" : "RETRIES_EXHAUSTED";
  }
  if (failure_matters_) return;
  std::sort(suspensions.begin(), suspensions.end(),
            [](const Suspension& a, const Suspension& b) { return a.step < b.step; });
}

/// What was not done was not done, whether it was refused or never came; and what was refused and
/// is to be sent again all the same is as if it had not been sent.
void Positions::normalise(Ledger& ledger, const StepPath& path) const {
  const auto found = state_.steps.find(path);
  if (found == state_.steps.end()) return;
  const StepState& step = found->second;
  if (step.status == StepStatus::failed && ledger.deed == Deed::unseen) ledger.deed = Deed::refused;
  if (step.status == StepStatus::running && ledger.deed == Deed::refused)
    ledger.deed = step.forward.unknown_seen ? Deed::maybe : Deed::unseen;
}

void Positions::normalise(std::optional<Failure>& failure) const {
  if (failure) normalise(*failure);
}

void Positions::normalise(Failure& failure) const {
  if (details_matter_) return;
  failure.message.clear();
  failure.details = nullptr;
}

const StepState* Positions::step_of(Slot slot, std::uint32_t id) const {
  if (id == 0) return nullptr;
  const Part& part = tables_[slot].parts[id - 1];
  return part.has_step ? &part.step : nullptr;
}

}  // namespace backstitch::engine::explore
