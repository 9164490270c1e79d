#include "listeners.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/expression_ast.hpp>

#include "../locate.hpp"

namespace backstitch::engine {
namespace {

class Walk {
 public:
  Walk(const SagaState& state, const std::string& name) : state_(state), name_(name) {}

  void steps(const dsl::Steps& steps, const std::string& prefix, bool reachable, bool in_loop) {
    for (const auto& step : steps) {
      const StepPath path = prefix + step.name;
      // Of the iterations one may still begin as long as the loop is not over.
      const StepStatus status = in_loop ? StepStatus::pending : status_of(path);
      const bool over = status != StepStatus::pending && status != StepStatus::running;
      const bool inside = reachable && !over;
      std::visit(
          Match{[&](const dsl::Wait& wait) {
                  if (!listens_to(wait, name_)) return;
                  const bool begins = reachable && status == StepStatus::pending;
                  found_.push_back({&wait, in_loop ? StepPath{} : path, begins});
                },
                [&](const dsl::Parallel& block) {
                  for (const auto& branch : block.branches)
                    this->steps(branch.steps, branch_prefix(path, branch), inside, in_loop);
                },
                [&](const dsl::Switch& block) {
                  for (const auto& one : block.cases)
                    this->steps(one.steps, path + "/", inside, in_loop);
                  this->steps(block.otherwise->steps, path + "/", inside, in_loop);
                },
                [&](const dsl::ForEach& block) { this->steps(block.steps, path, inside, true); },
                [&](const dsl::Try& block) {
                  this->steps(block.steps, path + "/", inside, in_loop);
                  for (const auto& one : block.catches)
                    this->steps(one.steps, path + "/", inside, in_loop);
                },
                [](const dsl::Action&) {}, [](const dsl::SubSaga&) {}, [](const dsl::Sleep&) {},
                [](const dsl::Value&) {}, [](const dsl::Fail&) {}},
          step.body);
    }
  }

  std::vector<Listener> take() { return std::move(found_); }

 private:
  StepStatus status_of(const StepPath& path) const {
    const auto found = state_.steps.find(path);
    return found == state_.steps.end() ? StepStatus::pending : found->second.status;
  }

  const SagaState& state_;
  const std::string& name_;
  std::vector<Listener> found_;
};

bool reads_what_is_there(const dsl::Node& node) {
  const bool later = node.kind == dsl::NodeKind::name && !node.macro_variable &&
                     node.text != "signal" && node.text != "input" && node.text != "saga";
  return !later && std::all_of(node.children.begin(), node.children.end(), reads_what_is_there);
}

}  // namespace

bool listens_to(const dsl::Wait& wait, const std::string& name) {
  return std::find(wait.signals.begin(), wait.signals.end(), name) != wait.signals.end();
}

std::vector<Listener> listeners(const dsl::Definition& definition, const SagaState& state,
                                const std::string& name) {
  Walk walk(state, name);
  walk.steps(definition.steps, "", true, false);
  return walk.take();
}

bool is_judged_early(const dsl::Expression& accept) {
  return reads_what_is_there(accept.root());
}

}  // namespace backstitch::engine
