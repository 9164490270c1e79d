#include "reach.hpp"

#include <backstitch/base/match.hpp>

namespace backstitch::engine::explore {

void Reached::note(const dsl::Step* step, const Event& event) {
  if (step == nullptr || std::holds_alternative<StepSkipped>(event.body)) return;
  steps_.insert(step);
  const auto* begun = std::get_if<BlockStarted>(&event.body);
  if (begun != nullptr && std::holds_alternative<dsl::Switch>(step->body))
    arms_.emplace(step, begun->chosen);
  if (const auto* caught = std::get_if<CatchStarted>(&event.body); caught != nullptr)
    arms_.emplace(step, caught->index);
}

std::vector<std::string> Reached::missing(const dsl::Definition& definition) const {
  std::vector<std::string> out;
  for (const auto* steps : {&definition.steps, &definition.on_failure, &definition.on_suspended})
    list(*steps, out);
  return out;
}

void Reached::list(const dsl::Steps& steps, std::vector<std::string>& out) const {
  for (const auto& step : steps) {
    if (steps_.count(&step) == 0)
      out.push_back("the step `" + step.name + "`");
    else
      list_inside(step, out);
  }
}

bool Reached::arm(const dsl::Step& step, std::size_t index) const {
  return arms_.count({&step, index}) > 0;
}

void Reached::list_inside(const dsl::Step& step, std::vector<std::string>& out) const {
  std::visit(
      Match{[&](const dsl::Parallel& body) {
              for (const auto& branch : body.branches) list(branch.steps, out);
            },
            [&](const dsl::Switch& body) {
              for (std::size_t i = 0; i < body.cases.size(); ++i) {
                if (arm(step, i))
                  list(body.cases[i].steps, out);
                else
                  out.push_back("case " + std::to_string(i + 1) + " of `" + step.name + "`");
              }
              if (arm(step, body.cases.size()))
                list(body.otherwise->steps, out);
              else
                out.push_back("`otherwise` of `" + step.name + "`");
            },
            [&](const dsl::ForEach& body) { list(body.steps, out); },
            [&](const dsl::Try& body) {
              list(body.steps, out);
              for (std::size_t i = 0; i < body.catches.size(); ++i) {
                if (arm(step, i))
                  list(body.catches[i].steps, out);
                else
                  out.push_back("catch " + std::to_string(i + 1) + " of `" + step.name + "`");
              }
            },
            [](const auto&) {}},
      step.body);
}

}  // namespace backstitch::engine::explore
