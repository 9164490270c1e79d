#include <backstitch/engine/machine/compatibility.hpp>

#include "locate.hpp"

namespace backstitch::engine {
namespace {

bool can_be_undone(const dsl::Step& step) {
  return std::holds_alternative<dsl::Compensation>(step.undo) ||
         std::holds_alternative<dsl::AutoCompensation>(step.undo);
}

/// Still to be undone, should the saga go back.
bool may_need_undo(const StepState& step) {
  return step.status == StepStatus::succeeded || step.status == StepStatus::unknown ||
         step.status == StepStatus::running || step.status == StepStatus::waiting;
}

class Comparison {
 public:
  Comparison(const dsl::Definition& from, const dsl::Definition& to, const SagaState& state)
      : from_(from), to_(to), state_(state) {}

  std::vector<Incompatibility> run() {
    input();
    for (const auto& [path, step] : state_.steps) reached(path, step);
    nothing_inserted(main_line(to_));
    return std::move(found_);
  }

 private:
  void add(const char* code, const StepPath& step, std::string message) {
    found_.push_back({code, step, std::move(message)});
  }

  void input() {
    if (!to_.input) return;
    const auto errors = to_.input->validate(to_.input->with_defaults(state_.input));
    for (const auto& error : errors)
      add("input-invalid", "", "the input does not fit: " + error.pointer + " " + error.message);
  }

  void reached(const StepPath& path, const StepState& step) {
    const auto before = locate(from_, path);
    const auto after = locate(to_, path);
    if (!before) return;
    if (!after) return add("step-missing", path, "the step was reached and is not there");
    if (before->step->body.index() != after->step->body.index())
      return add("step-differs", path, "the step is of another type");
    if (before->step->kind != after->step->kind) {
      const bool pivot =
          before->step->kind == dsl::StepKind::pivot || after->step->kind == dsl::StepKind::pivot;
      add(pivot ? "pivot-differs" : "step-differs", path,
          std::string("the step is ") + to_text(after->step->kind) + " and was " +
              to_text(before->step->kind));
    }
    if (may_need_undo(step) && !state_.pivot_passed &&
        can_be_undone(*before->step) != can_be_undone(*after->step)) {
      add("undo-differs", path,
          can_be_undone(*after->step) ? "the step has an undo and had none"
                                      : "the step took effect, or may have, and has no undo");
    }
    service(path, step);
  }

  void service(const StepPath& path, const StepState& step) {
    for (const Phase phase : all_phases) {
      const auto& request = call_of(step, phase).request;
      if (request && to_.services.count(request->service) == 0) {
        return add("service-missing", path,
                   "a call to `" + request->service + "` is under way, which is not declared");
      }
    }
  }

  /// A step that was not reached before one that was would be begun out of its order.
  void nothing_inserted(const ListPlace& list) {
    bool reached_behind = false;
    for (auto step = list.steps->rbegin(); step != list.steps->rend(); ++step) {
      const Located at = locate_in(list, *step);
      const bool reached = state_.steps.count(at.path) > 0;
      if (!reached && reached_behind)
        add("step-inserted", at.path, "the step stands before others that were reached");
      reached_behind = reached_behind || reached;
      if (reached) inside_of(at);
    }
  }

  void inside_of(const Located& at) {
    const auto known = state_.blocks.find(at.path);
    if (known == state_.blocks.end()) return;
    if (const auto* parallel = std::get_if<dsl::Parallel>(&at.step->body)) {
      for (std::uint32_t i = 0; i < parallel->branches.size(); ++i)
        nothing_inserted(inside(at, parallel->branches[i].steps, i));
    }
    if (const auto* loop = std::get_if<dsl::ForEach>(&at.step->body)) {
      for (std::uint32_t i = 0; i < known->second.next; ++i)
        nothing_inserted(inside(at, loop->steps, i));
    }
    if (const auto* choice = std::get_if<dsl::Switch>(&at.step->body))
      arm(at, *choice, known->second);
    if (const auto* attempt = std::get_if<dsl::Try>(&at.step->body)) {
      nothing_inserted(inside(at, attempt->steps, 0));
      const auto chosen = known->second.catch_chosen;
      if (!chosen) return;
      if (*chosen >= attempt->catches.size())
        return add("step-differs", at.path, "the catch that runs is not there");
      nothing_inserted(inside(at, attempt->catches[*chosen].steps, *chosen + 1));
    }
  }

  void arm(const Located& at, const dsl::Switch& choice, const BlockState& known) {
    const auto before = locate(from_, at.path);
    const auto* old = before ? std::get_if<dsl::Switch>(&before->step->body) : nullptr;
    if (old != nullptr && old->cases.size() != choice.cases.size())
      return add("step-differs", at.path, "the switch has another number of cases");
    const auto& one =
        known.chosen < choice.cases.size() ? choice.cases[known.chosen] : *choice.otherwise;
    nothing_inserted(inside(at, one.steps, known.chosen));
  }

  const dsl::Definition& from_;
  const dsl::Definition& to_;
  const SagaState& state_;
  std::vector<Incompatibility> found_;
};

}  // namespace

std::vector<Incompatibility> incompatibilities(const dsl::Definition& from,
                                               const dsl::Definition& to, const SagaState& state) {
  return Comparison(from, to, state).run();
}

}  // namespace backstitch::engine
