/// The rules that make a saga one: what is undone, where the pivot stands, what may follow it.
#include <algorithm>

#include "children.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::ptrdiff_t many_compensatable = 3;

/// Where a step is.
struct Position {
  const Step* block = nullptr;  ///< the parallel, forEach or try around it, where no pivot can be
  bool after_pivot = false;
};

/// Instead of a kind that leaves a step without a way back.
constexpr const char* add_undo =
    "remove its \"kind\" and give it a \"compensation\", or \"compensation\": \"none\" where what "
    "it "
    "did may stay";

class SagaRules {
 public:
  explicit SagaRules(const Check& check) : check_(check) {}

  void run() {
    const Definition& definition = check_.definition;
    forward_ = definition.recovery == Recovery::forward;
    walk(definition.steps, Position{});
    handlers(definition.on_failure, "onFailure");
    handlers(definition.on_suspended, "onSuspended");
    last_call_waives_undo();
  }

 private:
  /// @return whether the pivot may have been passed at the end of the list
  bool walk(const Steps& steps, Position at) {
    for (const auto& step : steps) at.after_pivot = visit(step, at);
    return at.after_pivot;
  }

  /// @return whether the pivot may have been passed after this step
  bool visit(const Step& step, const Position& at) {
    if (is_call(step)) return call(step, at);
    if (const auto* block = std::get_if<Switch>(&step.body)) return switch_block(step, *block, at);
    if (std::holds_alternative<Try>(step.body) && at.after_pivot) {
      check_.error("E216", step.pointer,
                   "`" + step.name + "` is a try after the pivot, where nothing is undone any more",
                   "make its steps retryable, without the try");
    }
    if (const auto* wait = std::get_if<Wait>(&step.body)) wait_rules(step, *wait, at);
    if (std::holds_alternative<Fail>(step.body)) fail(step, at);
    bool passed = at.after_pivot;
    for (const auto* list : inner_lists(step)) {
      const bool inside = walk(*list, {.block = &step, .after_pivot = at.after_pivot});
      passed = passed || inside;
    }
    return passed;
  }

  void wait_rules(const Step& step, const Wait& wait, const Position& at) {
    if (wait.on_timeout != OnTimeout::fail) return;
    const char* hint = "write \"onTimeout\": \"continue\" with a default";
    if (forward_) {
      check_.error("E217", step.pointer + "/wait",
                   "`" + step.name + "` fails on timeout in a saga that only recovers forward",
                   hint);
    } else if (at.after_pivot) {
      check_.error("E213", step.pointer + "/wait",
                   "`" + step.name + "` fails on timeout after the pivot, where a saga cannot fail",
                   hint);
    }
  }

  void fail(const Step& step, const Position& at) {
    if (forward_) {
      check_.error("E217", step.pointer,
                   "`" + step.name + "` fails a saga that only recovers forward",
                   "remove it, or let the saga recover backward");
    } else if (at.after_pivot) {
      check_.error("E214", step.pointer,
                   "`" + step.name + "` fails after the pivot, where a saga cannot fail any more",
                   "move it before the pivot, where a saga can still fail");
    }
  }

  bool switch_block(const Step& step, const Switch& block, const Position& at) {
    std::size_t ends = 0;
    std::size_t with_pivot = 0;
    bool passed = at.after_pivot;
    const auto arm = [&](const Steps& steps) {
      const bool after = walk(steps, at);
      passed = passed || after;
      if (!can_end(steps)) return;
      ++ends;
      if (after && !at.after_pivot) ++with_pivot;
    };
    for (const auto& one : block.cases) arm(one.steps);
    if (block.otherwise) arm(block.otherwise->steps);
    if (with_pivot > 0 && step.when) {
      check_.error("E206", step.pointer + "/when",
                   "`" + step.name + "` holds the pivot and has a condition",
                   "put the condition into a case of the switch");
    }
    if (with_pivot > 0 && with_pivot < ends) {
      check_.error("E215", step.pointer,
                   "some arms of `" + step.name + "` have the pivot and others have not",
                   "give every arm that can end normally its pivot");
    }
    return passed;
  }

  bool call(const Step& step, const Position& at) {
    const auto kind = kind_of(step, check_);
    undo_rules(step, kind, at);
    if (std::holds_alternative<Action>(step.body)) idempotency_rules(step, step.kind);
    check_body_reads(check_, step, forward_ || at.after_pivot || kind == StepKind::pivot);
    if (forward_) {
      forward_rules(step, kind);
      return at.after_pivot;
    }
    if (kind == StepKind::compensatable && at.after_pivot && !lacks_undo(step, kind)) {
      check_.error(
          "E202", step.pointer,
          "`" + step.name + "` is compensatable after the pivot, where nothing is undone",
          "write \"kind\": \"retryable\" without a compensation, or move it before the pivot");
    }
    if (kind == StepKind::retryable && !at.after_pivot) {
      check_.error("E203", step.pointer,
                   "`" + step.name + "` is retryable before the pivot, where a failure leads back",
                   hint_for_retryable(step));
    }
    if (kind == StepKind::pivot) pivot_rules(step, at);
    return at.after_pivot || kind == StepKind::pivot;
  }

  void pivot_rules(const Step& step, const Position& at) {
    if (at.block != nullptr) {
      check_.error("E204", step.pointer,
                   pivot_named(step) + " is inside `" + at.block->name +
                       "`, where the rest could still fail",
                   "move it out of the block, to the main line or into a switch on it");
    }
    if (at.after_pivot) {
      check_.error(
          "E205", step.pointer, "`" + step.name + "` is a second pivot on this path",
          "a saga has one point of no return: write \"kind\": \"retryable\" into this one");
    }
    if (step.when) {
      check_.error("E206", step.pointer + "/when",
                   "`" + step.name + "` is a pivot with a condition",
                   "put it into a switch whose every arm has a pivot");
    }
  }

  /// Of a sub-saga it is the child that has the pivot.
  std::string pivot_named(const Step& step) const {
    const auto* saga = std::get_if<SubSaga>(&step.body);
    if (saga == nullptr) return "the pivot `" + step.name + "`";
    const std::string inner = check_.children.pivot_of(*saga);
    return "`" + step.name + "`, whose child `" + saga->name + "` has the pivot" +
           (inner.empty() ? "" : " `" + inner + "`") + ",";
  }

  /// A step before it on the main line that could be the point of no return; nullptr: there is
  /// none.
  const Step* pivot_candidate(const Step& retryable) const {
    const Step* candidate = nullptr;
    for (const auto& step : check_.definition.steps) {
      if (retryable.pointer == step.pointer || retryable.pointer.starts_with(step.pointer + "/"))
        break;
      if (is_effectful(step) && kind_of(step, check_) == StepKind::compensatable) candidate = &step;
    }
    return candidate;
  }

  std::string hint_for_retryable(const Step& step) const {
    const Step* pivot = nullptr;
    for_each_step(check_.definition.steps, [&](const Step& other) {
      if (pivot == nullptr && is_pivot(other, check_)) pivot = &other;
    });
    if (pivot != nullptr) return "move it after the pivot `" + pivot->name + "`, or " + add_undo;
    const Step* candidate = pivot_candidate(step);
    if (candidate != nullptr)
      return "the saga has no pivot: write \"kind\": \"pivot\" into `" + candidate->name +
             "`, without a compensation, if that is its point of no return; or " + add_undo;
    return "the saga has no pivot: write \"kind\": \"pivot\" here, if this is its point of no "
           "return; "
           "\"recovery\": \"forward\" into the definition, if it never goes back; or " +
           std::string(add_undo);
  }

  void forward_rules(const Step& step, std::optional<StepKind> kind) {
    if (has_undo(step)) {
      check_.error("E217", step.pointer + "/compensation",
                   "`" + step.name + "` has an undo in a saga that only recovers forward",
                   "remove it, and write \"kind\": \"retryable\"");
    } else if (kind == StepKind::pivot ||
               (kind == StepKind::compensatable && !lacks_undo(step, kind))) {
      check_.error(
          "E217", step.pointer,
          "`" + step.name + "` is " + to_text(*kind) + " in a saga that only recovers forward",
          "make it retryable or readonly");
    }
  }

  static bool has_undo(const Step& step) {
    return std::holds_alternative<Compensation>(step.undo) ||
           std::holds_alternative<AutoCompensation>(step.undo);
  }

  /// An action about which nothing at all was said.
  static bool lacks_undo(const Step& step, std::optional<StepKind> kind) {
    return kind == StepKind::compensatable && std::holds_alternative<Action>(step.body) &&
           std::holds_alternative<NoCompensation>(step.undo);
  }

  void undo_rules(const Step& step, std::optional<StepKind> kind, const Position& at) {
    const std::string pointer = step.pointer + "/compensation";
    const bool requested = std::holds_alternative<Compensation>(step.undo);
    if (kind == StepKind::pivot && requested) {
      check_.error("E207", pointer, "`" + step.name + "` is the pivot and has an undo",
                   "a pivot is never undone: remove it");
    }
    if ((kind == StepKind::retryable || kind == StepKind::readonly) && requested) {
      check_.error("E208", pointer, "`" + step.name + "` is " + to_text(*kind) + " and has an undo",
                   kind == StepKind::readonly ? "remove it: reading leaves nothing to undo"
                                              : "remove it: it is retried until it succeeds");
    }
    if (lacks_undo(step, kind)) {
      check_.error("E201", step.pointer,
                   "`" + step.name + "` has an effect but neither an undo nor another kind",
                   at.after_pivot || forward_
                       ? "add \"kind\": \"retryable\""
                       : "add a \"compensation\" request, or \"compensation\": \"none\" to waive "
                         "it, or a \"kind\"");
    }
    const bool undone = !kind || kind == StepKind::compensatable;
    if (is_waived(step) && undone && !at.after_pivot && !forward_) {
      check_.warning("W231", pointer,
                     "`" + step.name + "` waives its undo: what it did stays when the saga fails",
                     "write a \"compensation\" request, unless it is meant to stay");
    }
  }

  void idempotency_rules(const Step& step, StepKind kind) {
    const auto& action = std::get<Action>(step.body);
    const Service* service = check_.service(action.request.service);
    if (service == nullptr || service->idempotency != Idempotency::none) return;
    if (kind == StepKind::retryable) {
      check_.error(
          "E209", step.pointer,
          "`" + step.name + "` is retryable on a service that is not idempotent",
          "write \"idempotency\": \"key\" into the service, if it knows a repeated key, or "
          "\"natural\", if repeating does no harm; else the step cannot be retryable");
    }
    if (kind == StepKind::pivot && !(action.probe && action.probe->sealed)) {
      check_.error("E212", step.pointer,
                   "`" + step.name +
                       "` is a pivot on a service that is not idempotent, without a sealed probe",
                   "add a probe with \"sealed\": true: an unknown pivot could never be resolved");
    }
  }

  void handlers(const Steps& steps, const char* name) {
    for_each_step(steps, [&](const Step& step) {
      const bool is_action = std::holds_alternative<Action>(step.body);
      const bool kind_ok = step.kind == StepKind::retryable || step.kind == StepKind::readonly;
      if (is_pivot(step, check_)) {
        return check_.error("E204", step.pointer, pivot_named(step) + " is in the handler " + name,
                            "write \"kind\": \"retryable\", or move it to the main line");
      }
      if (is_action && kind_ok) {
        undo_rules(step, step.kind, {.after_pivot = true});
        return idempotency_rules(step, step.kind);
      }
      if (std::holds_alternative<Value>(step.body) || std::holds_alternative<Sleep>(step.body))
        return;
      check_.error("E219", step.pointer, "`" + step.name + "` is not allowed in " + name,
                   is_action ? "add \"kind\": \"retryable\", and no compensation"
                             : "handlers have retryable and readonly actions, values and sleeps");
    });
  }

  void last_call_waives_undo() {
    const auto& steps = check_.definition.steps;
    const auto last = std::find_if(steps.rbegin(), steps.rend(), is_call);
    if (forward_ || last == steps.rend() || !is_waived(*last)) return;
    std::ptrdiff_t compensatable = 0;
    bool pivot = false;
    for_each_step(steps, [&](const Step& step) {
      if (!is_call(step)) return;
      const auto kind = kind_of(step, check_);
      compensatable += kind == StepKind::compensatable ? 1 : 0;
      pivot = pivot || !kind || kind == StepKind::pivot;
    });
    if (pivot || compensatable < many_compensatable) return;
    check_.warning(
        "W236", last->pointer, "the saga has no pivot although its last step waives its undo",
        "make `" + last->name + "` the pivot: \"kind\": \"pivot\" without a compensation");
  }

  const Check& check_;
  bool forward_ = false;
};

}  // namespace

void check_saga_rules(const Check& check) {
  SagaRules(check).run();
}

}  // namespace backstitch::dsl
