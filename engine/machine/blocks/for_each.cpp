/// forEach: its steps once for each item of a list that is evaluated once.
#include <set>

#include "../decider.hpp"
#include "../limits.hpp"

namespace backstitch::engine {
namespace {

Error unsuitable(const dsl::Expression& source, const std::string& what) {
  return {ErrorCode::invalid, "EXPRESSION_FAILED", "`" + source.source() + "` " + what};
}

Result<std::string> key_text(const dsl::Expression& source, const SagaScope& scope) {
  dsl::Budget budget;
  const auto key = source.evaluate_value(scope, budget);
  if (!key) return key.error();
  if (key->is_string()) return key->get<std::string>();
  if (key->is_number_integer()) return key->dump();
  return unsuitable(source,
                    std::string("gives ") + key->type_name() + "; a key is a text or an integer");
}

}  // namespace

/// Known before the first item rather than at the one that is too many, when others have had their
/// effect.
std::optional<Error> Decider::does_not_fit(const dsl::ForEach& block, const Json& items) const {
  const auto count = static_cast<std::int64_t>(items.size());
  const std::int64_t events = count * (dsl::least_events(block.steps, false) + 1);
  const std::size_t bytes = json_size(items);
  const bool fits =
      state().events + events <= events_max && state().bytes + bytes <= state_bytes_max;
  if (fits) return std::nullopt;
  return Error{ErrorCode::invalid, "LIMIT_EXCEEDED",
               "`" + block.in.source() + "` gives " + std::to_string(count) + " items of " +
                   std::to_string(bytes) + " bytes, which add at least " + std::to_string(events) +
                   " events; the saga has " + std::to_string(state().events) + " of " +
                   std::to_string(events_max) + " events and " + std::to_string(state().bytes) +
                   " of " + std::to_string(state_bytes_max) + " bytes"};
}

Result<BlockStarted> Decider::evaluate_list(const Located& at, const dsl::ForEach& block) const {
  SagaScope scope = scope_of(at, Phase::forward);
  dsl::Budget budget;
  auto items = block.in.evaluate_value(scope, budget);
  if (!items) return std::move(items).error();
  if (!items->is_array())
    return unsuitable(block.in, std::string("gives ") + items->type_name() + ", not an array");
  if (items->size() > block.items_max) {
    return Error{ErrorCode::invalid, "LIMIT_EXCEEDED",
                 "`" + block.in.source() + "` gives " + std::to_string(items->size()) +
                     " items; at most " + std::to_string(block.items_max) + " are taken"};
  }
  if (auto error = does_not_fit(block, *items)) return std::move(*error);
  BlockStarted started{at.path, 0, std::move(*items), {}};
  if (!block.key) return started;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < started.items.size(); ++i) {
    scope.set_variable(block.as, started.items[i]);
    if (!block.index_as.empty()) scope.set_variable(block.index_as, i);
    auto key = key_text(*block.key, scope);
    if (!key) return std::move(key).error();
    if (!seen.insert(*key).second)
      return unsuitable(*block.key, "gives `" + *key + "` for more than one item");
    started.keys.push_back(std::move(*key));
  }
  return started;
}

Progress Decider::begin_for_each(const Located& at, const dsl::ForEach& block) {
  auto started = evaluate_list(at, block);
  if (!started) return fail_expression(at, started.error());
  emit(std::move(*started));
  return run_open(at);
}

void Decider::end_iteration(const Located& at, const dsl::ForEach& block, std::uint32_t index) {
  IterationEnded ended{at.path, index, nullptr, std::nullopt};
  if (block.yield) {
    if (!has_room()) return;
    const ListPlace list = inside(at, block.steps, index);
    SagaScope scope(program_, state(), list.frames, list.indexes, &meter_);
    if (const auto why = failure_seen(state(), at, Phase::forward)) scope.set_failure(*why);
    dsl::Budget budget;
    auto output = block.yield->render(scope, budget);
    const auto error = output ? over_limit(*output) : std::optional(output.error());
    if (!error)
      ended.output = std::move(*output);
    else if (may_fail(at))
      ended.failure = failure(error->reason, "failure", error->message, at.path);
    else
      return suspend(error->reason, error->message, at.path, Phase::forward);
  }
  emit(std::move(ended));
}

void Decider::run_iteration(const Located& at, const dsl::ForEach& block, std::uint32_t index) {
  switch (run_steps(inside(at, block.steps, index))) {
    case Progress::waiting:
      return;
    case Progress::failed:
      return emit(IterationEnded{at.path, index, nullptr, std::nullopt});
    case Progress::done:
      return end_iteration(at, block, index);
  }
}

/// Touches what is open, never what has ended: ten thousand items take linear time.
Progress Decider::run_for_each(const Located& at, const dsl::ForEach& block) {
  const auto count = static_cast<std::uint32_t>(block_state(at.path).items.size());
  const ListPlace list = inside(at, block.steps, 0);
  std::size_t failures = 0;
  do {
    failures = block_state(at.path).failures.size();
    const std::set<std::uint32_t> open = block_state(at.path).open;
    for (const auto index : open) run_iteration(at, block, index);
    while (block_state(at.path).next < count && !stopping(list) &&
           block_state(at.path).open.size() < block.concurrency_max &&
           (block_state(at.path).open.empty() || room_for_branch())) {
      const std::uint32_t next = block_state(at.path).next;
      run_iteration(at, block, next);
      // Only a suspension, or a transition without room, leaves an iteration that has not begun.
      if (block_state(at.path).next == next) return Progress::waiting;
    }
  } while (block_state(at.path).failures.size() != failures);
  const BlockState& now = block_state(at.path);
  if (!now.open.empty()) return Progress::waiting;
  if (!now.failures.empty() || now.next < count) {
    return state().status == SagaStatus::suspended ? Progress::waiting : fail_block(at);
  }
  return finish_step(at, block.yield ? now.yields : Json());
}

}  // namespace backstitch::engine
