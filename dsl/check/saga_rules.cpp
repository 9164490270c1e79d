/// The rules that make a saga one: what is undone, where the pivot stands, what may follow it.
#include <algorithm>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t many_compensatable = 3;

class SagaRules {
 public:
  explicit SagaRules(const Check& check) : check_(check) {}

  void run() {
    const Definition& definition = check_.definition;
    forward_ = definition.recovery == Recovery::forward;
    walk(definition.steps, Position{});
    handlers(definition.on_failure, "onFailure");
    handlers(definition.on_suspended, "onSuspended");
    last_step_waives_undo();
  }

 private:
  /// @return whether the pivot may have been passed at the end of the list
  bool walk(const Steps& steps, Position at) {
    for (const auto& step : steps) {
      const bool pivot = visit(step, at);
      if (pivot && at.after_pivot) {
        check_.error("E205", step.pointer, "`" + step.name + "` is a second pivot on this path",
                     "a saga has one point of no return; make the other steps retryable");
      }
      at.after_pivot = at.after_pivot || pivot;
    }
    return at.after_pivot;
  }

  /// @return whether this step is or holds a pivot
  bool visit(const Step& step, const Position& at) {
    if (std::holds_alternative<Action>(step.body) || std::holds_alternative<SubSaga>(step.body))
      return call(step, at);
    if (const auto* block = std::get_if<Switch>(&step.body)) return switch_block(step, *block, at);
    Position inside = at;
    inside.in_parallel = inside.in_parallel || std::holds_alternative<Parallel>(step.body);
    inside.in_for_each = inside.in_for_each || std::holds_alternative<ForEach>(step.body);
    inside.in_try = inside.in_try || std::holds_alternative<Try>(step.body);
    if (std::holds_alternative<Try>(step.body) && at.after_pivot) {
      check_.error("E216", step.pointer,
                   "`" + step.name + "` is a try after the pivot, where nothing is undone any more",
                   "make its steps retryable");
    }
    if (const auto* wait = std::get_if<Wait>(&step.body);
        wait != nullptr && at.after_pivot && wait->on_timeout == OnTimeout::fail) {
      check_.error("E213", step.pointer + "/wait",
                   "`" + step.name + "` fails on timeout after the pivot, where a saga cannot fail",
                   "write \"onTimeout\": \"continue\" with a default");
    }
    if (std::holds_alternative<Fail>(step.body)) fail(step, at);
    for (const auto* list : inner_lists(step)) walk(*list, inside);
    return false;
  }

  void fail(const Step& step, const Position& at) {
    if (forward_)
      check_.error("E217", step.pointer,
                   "`" + step.name + "` fails a saga that only recovers forward");
    else if (at.after_pivot) {
      check_.error("E214", step.pointer,
                   "`" + step.name + "` fails after the pivot, where a saga cannot fail any more",
                   "decide before the pivot");
    }
  }

  bool switch_block(const Step& step, const Switch& block, const Position& at) {
    std::size_t ends = 0;
    std::size_t with_pivot = 0;
    const auto arm = [&](const Steps& steps) {
      Position inside = at;
      const bool passed = walk(steps, inside);
      if (!can_end(steps)) return;
      ++ends;
      if (passed && !at.after_pivot) ++with_pivot;
    };
    for (const auto& one : block.cases) arm(one.steps);
    if (block.otherwise) arm(block.otherwise->steps);
    if (with_pivot > 0 && step.when) {
      check_.error("E206", step.pointer, "`" + step.name + "` holds the pivot and has a condition",
                   "put the condition into a case of the switch");
    }
    if (with_pivot > 0 && with_pivot < ends) {
      check_.error("E215", step.pointer,
                   "some arms of `" + step.name + "` have the pivot and others have not",
                   "give every arm that can end normally its pivot");
    }
    return with_pivot > 0;
  }

  bool call(const Step& step, const Position& at) {
    const StepKind kind = kind_of(step, check_);
    undo_rules(step, kind);
    if (const auto* saga = std::get_if<SubSaga>(&step.body)) sub_saga(step, *saga, kind);
    const bool is_action = std::holds_alternative<Action>(step.body);
    if (forward_ && (kind == StepKind::pivot || kind == StepKind::compensatable)) {
      check_.error(
          "E217", step.pointer,
          "`" + step.name + "` is " + to_text(kind) + " in a saga that only recovers forward",
          "make it retryable or readonly");
      return false;
    }
    if (kind == StepKind::compensatable && at.after_pivot && effectful(step)) {
      check_.error("E202", step.pointer,
                   "`" + step.name + "` is compensatable after the pivot, where nothing is undone",
                   "make it retryable, or move it before the pivot");
    }
    if (kind == StepKind::retryable && !at.after_pivot && !forward_) {
      check_.error("E203", step.pointer,
                   "`" + step.name + "` is retryable before the pivot, where a failure leads back",
                   "give it a compensation, or move it behind the pivot");
    }
    if (is_action) idempotency_rules(step, kind);
    if (kind != StepKind::pivot) return false;
    if (at.in_parallel || at.in_for_each || at.in_try) pivot_misplaced(step);
    if (step.when) {
      check_.error("E206", step.pointer + "/when",
                   "`" + step.name + "` is a pivot with a condition",
                   "put it into a switch whose every arm has a pivot");
    }
    return true;
  }

  void pivot_misplaced(const Step& step) {
    check_.error("E204", step.pointer,
                 "`" + step.name + "` is a pivot inside a parallel, forEach, try or handler",
                 "a pivot stands on the main line or in a switch on it");
  }

  static bool effectful(const Step& step) {
    return std::holds_alternative<SubSaga>(step.body) || is_effectful(step);
  }

  void undo_rules(const Step& step, StepKind kind) {
    const bool undone = std::holds_alternative<Compensation>(step.undo) ||
                        std::holds_alternative<AutoCompensation>(step.undo);
    const bool silent = std::holds_alternative<NoCompensation>(step.undo);
    const std::string at = step.pointer + "/compensation";
    if (kind == StepKind::pivot && !silent) {
      check_.error("E207", at, "`" + step.name + "` is the pivot and has an undo",
                   "a pivot is never undone: remove it");
    }
    if ((kind == StepKind::retryable || kind == StepKind::readonly) && undone &&
        std::holds_alternative<Action>(step.body)) {
      check_.error("E208", at, "`" + step.name + "` is " + to_text(kind) + " and has an undo",
                   kind == StepKind::readonly ? "reading leaves nothing to undo"
                                              : "it is retried until it succeeds");
    }
    if (kind == StepKind::compensatable && silent && std::holds_alternative<Action>(step.body)) {
      check_.error("E201", step.pointer,
                   "`" + step.name + "` has an effect but neither an undo nor another kind",
                   "add a \"compensation\" request, or \"compensation\": \"none\" to waive it, or "
                   "a \"kind\"");
    }
    if (std::holds_alternative<WaivedCompensation>(step.undo) && kind == StepKind::compensatable) {
      check_.warning("W231", at,
                     "`" + step.name + "` waives its undo: what it did stays when the saga fails");
    }
  }

  void sub_saga(const Step& step, const SubSaga& saga, StepKind kind) {
    if (!check_.context.definition) return;
    const auto child = check_.context.definition(saga.name, saga.version.value_or(0));
    if (!child) return;
    Step unstated = Step{};
    unstated.body = saga;
    const StepKind derived = kind_of(unstated, check_);
    if (step.kind_stated && derived != step.kind) {
      check_.error("E210", step.pointer + "/kind",
                   "`" + step.name + "` is stated as " + to_text(step.kind) +
                       "; its child makes it " + to_text(derived),
                   "leave `kind` out");
    }
    const bool automatic = std::holds_alternative<AutoCompensation>(step.undo);
    if (automatic && kind == StepKind::pivot) {
      check_.error("E211", step.pointer + "/compensation",
                   "the child of `" + step.name + "` has a pivot and cannot be undone by itself",
                   "leave the compensation out");
    }
  }

  void idempotency_rules(const Step& step, StepKind kind) {
    const auto& action = std::get<Action>(step.body);
    const Service* service = check_.service(action.request.service);
    if (service == nullptr || service->idempotency != Idempotency::none) return;
    if (kind == StepKind::retryable) {
      check_.error("E209", step.pointer,
                   "`" + step.name + "` is retryable on a service that is not idempotent",
                   "an unknown attempt could not be repeated; use another service or say how it is "
                   "idempotent");
    }
    if (kind == StepKind::pivot && !(action.probe && action.probe->sealed)) {
      check_.error("E212", step.pointer,
                   "`" + step.name +
                       "` is a pivot on a service that is not idempotent, without a sealed probe",
                   "an unknown pivot could never be resolved; add a probe with \"sealed\": true");
    }
  }

  void handlers(const Steps& steps, const char* name) {
    for_each_step(steps, [&](const Step& step) {
      const bool kind_ok = step.kind == StepKind::retryable || step.kind == StepKind::readonly;
      const bool ok = std::holds_alternative<Value>(step.body) ||
                      std::holds_alternative<Sleep>(step.body) ||
                      (std::holds_alternative<Action>(step.body) && kind_ok);
      if (std::holds_alternative<Action>(step.body) && step.kind == StepKind::pivot) {
        pivot_misplaced(step);
      } else if (!ok) {
        check_.error("E219", step.pointer, "`" + step.name + "` cannot stand in " + name,
                     "handlers have retryable and readonly actions, values and sleeps");
      }
      if (std::holds_alternative<Action>(step.body) && kind_ok) {
        undo_rules(step, step.kind);
        idempotency_rules(step, step.kind);
      }
    });
  }

  void last_step_waives_undo() {
    const auto& steps = check_.definition.steps;
    const auto compensatable = std::count_if(steps.begin(), steps.end(), [](const Step& step) {
      return std::holds_alternative<Action>(step.body) && step.kind == StepKind::compensatable;
    });
    if (forward_ || steps.empty() || contains_pivot(steps, check_)) return;
    const Step& last = steps.back();
    if (static_cast<std::size_t>(compensatable) >= many_compensatable &&
        std::holds_alternative<WaivedCompensation>(last.undo)) {
      check_.warning(
          "W236", last.pointer, "the saga has no pivot although its last step waives its undo",
          "make `" + last.name + "` the pivot: \"kind\": \"pivot\" without a compensation");
    }
  }

  const Check& check_;
  bool forward_ = false;
};

}  // namespace

void check_saga_rules(const Check& check) {
  SagaRules(check).run();
}

}  // namespace backstitch::dsl
