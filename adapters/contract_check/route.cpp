#include "route.hpp"

#include <algorithm>

#include <backstitch/engine/machine/answer.hpp>

// Which steps make requests, and how a saga gets to those in catches and handlers.

namespace backstitch::contract_check {
namespace {

using engine::Question;
using engine::Response;

bool is_request(const dsl::Step& step) {
  return std::holds_alternative<dsl::Action>(step.body) ||
         std::holds_alternative<dsl::SubSaga>(step.body);
}

/// The lists of steps that run inside a block if nothing fails.
std::vector<const dsl::Steps*> inner_steps(const dsl::Step& step) {
  std::vector<const dsl::Steps*> lists;
  if (const auto* parallel = std::get_if<dsl::Parallel>(&step.body)) {
    for (const auto& branch : parallel->branches) lists.push_back(&branch.steps);
  } else if (const auto* choice = std::get_if<dsl::Switch>(&step.body)) {
    for (const auto& one : choice->cases) lists.push_back(&one.steps);
    if (choice->otherwise) lists.push_back(&choice->otherwise->steps);
  } else if (const auto* loop = std::get_if<dsl::ForEach>(&step.body)) {
    lists.push_back(&loop->steps);
  } else if (const auto* attempt = std::get_if<dsl::Try>(&step.body)) {
    lists.push_back(&attempt->steps);
  }
  return lists;
}

/// The first action in a list or its blocks that `fits`; null: none.
template <class Fits>
const dsl::Step* first_action(const dsl::Steps& steps, const Fits& fits) {
  for (const dsl::Step& step : steps) {
    if (std::holds_alternative<dsl::Action>(step.body) && fits(step)) return &step;
    for (const dsl::Steps* inner : inner_steps(step)) {
      if (const dsl::Step* found = first_action(*inner, fits)) return found;
    }
  }
  return nullptr;
}

bool takes(const dsl::Catch& handler, const engine::AnswerMeaning& meaning) {
  const auto names = [](const std::vector<std::string>& list, const std::string& name) {
    return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
  };
  return names(handler.codes, meaning.code) && names(handler.classes, "failure");
}

constexpr int first_refusal = 400;
constexpr int last_refusal = 499;

/// An answer to the action that is a refusal with which the try goes on in this catch.
std::optional<Response> refusal_for(const engine::Program& program, const dsl::Step& action,
                                    const dsl::Try& attempt, const dsl::Catch& wanted) {
  for (int status = first_refusal; status <= last_refusal; ++status) {
    const Response response{status, {}, nullptr, {}};
    const auto meaning = engine::meaning_of(program, action, Question::action, response);
    if (meaning.outcome != dsl::OutcomeClass::failure) continue;
    const auto taken_by = std::find_if(attempt.catches.begin(), attempt.catches.end(),
                                       [&](const auto& one) { return takes(one, meaning); });
    if (taken_by != attempt.catches.end() && &*taken_by == &wanted) return response;
  }
  return std::nullopt;
}

Route route_into(const engine::Program& program, Route route, const dsl::Step& step,
                 const dsl::Try& attempt, const dsl::Catch& handler) {
  const dsl::Step* action = first_action(attempt.steps, [](const dsl::Step&) { return true; });
  auto refusal = action != nullptr ? refusal_for(program, *action, attempt, handler) : std::nullopt;
  if (refusal)
    route.refusals.emplace(action->name, std::move(*refusal));
  else
    route.obstacle = "the check knows no refusal that leads `" + step.name + "` to this catch";
  return route;
}

class Places {
 public:
  explicit Places(const engine::Program& program) : program_(program) {}

  void add(const dsl::Steps& steps, Area area, const Route& route) {
    for (const dsl::Step& step : steps) {
      if (is_request(step)) all.push_back({&step, area, route});
      for (const dsl::Steps* inner : inner_steps(step)) add(*inner, area, route);
      if (const auto* attempt = std::get_if<dsl::Try>(&step.body)) {
        for (const auto& handler : attempt->catches)
          add(handler.steps, area, route_into(program_, route, step, *attempt, handler));
      }
    }
  }

  std::vector<Place> all;

 private:
  const engine::Program& program_;
};

/// A retryable action that is given up suspends its saga.
Route route_to_suspension(const engine::Program& program) {
  Route route;
  const dsl::Step* step = first_action(program.definition->steps, [&](const dsl::Step& one) {
    return one.kind == dsl::StepKind::retryable;
  });
  if (step != nullptr)
    route.refusals.emplace(step->name, engine::TransportError{dsl::Transport::connect, false,
                                                              "held back by the check", true});
  else
    route.obstacle = "the check knows no way to suspend a saga without a retryable action";
  return route;
}

}  // namespace

std::vector<Place> places_of(const engine::Program& program) {
  Places places(program);
  places.add(program.definition->steps, Area::main, {});
  Route cancelled;
  cancelled.cancel = true;
  places.add(program.definition->on_failure, Area::on_failure, cancelled);
  places.add(program.definition->on_suspended, Area::on_suspended, route_to_suspension(program));
  return std::move(places.all);
}

}  // namespace backstitch::contract_check
