#include <algorithm>

#include "../machine/locate.hpp"
#include "judge.hpp"

namespace backstitch::engine::explore {
namespace {

const dsl::Steps& list_inside(const dsl::Step& block, std::uint32_t index) {
  if (const auto* body = std::get_if<dsl::Parallel>(&block.body))
    return body->branches[index].steps;
  if (const auto* body = std::get_if<dsl::ForEach>(&block.body)) return body->steps;
  if (const auto* body = std::get_if<dsl::Switch>(&block.body))
    return index < body->cases.size() ? body->cases[index].steps : body->otherwise->steps;
  const auto& body = std::get<dsl::Try>(block.body);
  return index == 0 ? body.steps : body.catches[index - 1].steps;
}

std::uint32_t position_in(const dsl::Steps& steps, const dsl::Step* step) {
  return static_cast<std::uint32_t>(step - steps.data());
}

}  // namespace

Standing standing_of(const dsl::Definition& definition, const StepPath& path) {
  Standing standing;
  const auto at = locate(definition, path);
  if (!at) return standing;
  standing.step = at->step;
  standing.main = at->area == Area::main;
  const bool action = std::holds_alternative<dsl::Action>(at->step->body);
  standing.call = action || std::holds_alternative<dsl::SubSaga>(at->step->body);
  standing.effect = standing.call && standing.main && at->step->kind != dsl::StepKind::readonly;
  const bool asked = std::holds_alternative<dsl::Compensation>(at->step->undo);
  const bool waived = std::holds_alternative<dsl::WaivedCompensation>(at->step->undo);
  standing.can_be_undone = standing.effect && at->step->kind == dsl::StepKind::compensatable &&
                           (asked || (!action && !waived));
  const dsl::Steps* steps = &definition.steps;
  if (at->area == Area::on_failure) steps = &definition.on_failure;
  if (at->area == Area::on_suspended) steps = &definition.on_suspended;
  for (const auto& frame : at->frames) {
    standing.levels.push_back(
        {position_in(*steps, frame.block), frame.block, frame.path, frame.index});
    steps = &list_inside(*frame.block, frame.index);
  }
  standing.levels.push_back({position_in(*steps, at->step), nullptr, {}, 0});
  return standing;
}

Order order_of(const Standing& one, const Standing& other, std::size_t& at) {
  const std::size_t common = std::min(one.levels.size(), other.levels.size());
  for (at = 0; at < common; ++at) {
    const auto& a = one.levels[at];
    const auto& b = other.levels[at];
    if (a.position != b.position) return b.position > a.position ? Order::after : Order::before;
    if (a.inside == b.inside) continue;
    if (a.block != nullptr && std::holds_alternative<dsl::Try>(a.block->body))
      return b.inside > a.inside ? Order::after : Order::before;
    return Order::beside;
  }
  return Order::beside;
}

}  // namespace backstitch::engine::explore
