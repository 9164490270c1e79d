#include <backstitch/base/match.hpp>
#include <backstitch/dsl/definition.hpp>

namespace backstitch::dsl {
namespace {

/// What the calls of a tree of steps are, all of them together.
struct KindsInside {
  bool pivot = false;
  bool compensatable = false;
  bool retryable = false;

  void add(const Steps& steps) {
    for (const auto& step : steps) add(step);
  }

  void add(const Step& step) {
    std::visit(
        Match{[&](const Action&) { add(step.kind); }, [&](const SubSaga&) { add(step.kind); },
              [&](const Parallel& block) {
                for (const auto& branch : block.branches) add(branch.steps);
              },
              [&](const Switch& block) {
                for (const auto& one : block.cases) add(one.steps);
                if (block.otherwise) add(block.otherwise->steps);
              },
              [&](const ForEach& block) { add(block.steps); },
              [&](const Try& block) {
                add(block.steps);
                for (const auto& one : block.catches) add(one.steps);
              },
              [](const Wait&) {}, [](const Sleep&) {}, [](const Value&) {}, [](const Fail&) {}},
        step.body);
  }

  void add(StepKind kind) {
    pivot = pivot || kind == StepKind::pivot;
    compensatable = compensatable || kind == StepKind::compensatable;
    retryable = retryable || kind == StepKind::retryable;
  }
};

}  // namespace

StepKind kind_as_child(const Definition& definition) {
  KindsInside kinds;
  kinds.add(definition.steps);
  if (kinds.pivot) return StepKind::pivot;
  if (kinds.compensatable) return StepKind::compensatable;
  return kinds.retryable ? StepKind::retryable : StepKind::readonly;
}

}  // namespace backstitch::dsl
