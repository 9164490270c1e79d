#include "absence.hpp"

#include <backstitch/base/match.hpp>

namespace backstitch::dsl {
namespace {

bool is_below(const std::string& pointer, const std::string& owner) {
  return pointer.size() > owner.size() && pointer.starts_with(owner) &&
         pointer[owner.size()] == '/';
}

std::string quoted(const std::string& name) {
  return "`" + name + "`";
}

/// The innermost step around a pointer.
const Step* step_at(const std::string& pointer, const Surroundings& around) {
  const Step* innermost = nullptr;
  for (const Step* step : around.declared) {
    const bool is_around = is_below(pointer, step->pointer);
    if (is_around && (innermost == nullptr || step->pointer.size() > innermost->pointer.size()))
      innermost = step;
  }
  return innermost;
}

/// The outermost block around `inner` that is not around `pointer`, or in which both are apart.
const Step* block_between(const std::string& inner, const std::string& pointer,
                          const Surroundings& around) {
  const Step* loop = nullptr;
  const Step* common = nullptr;
  for (const Step* block : around.declared) {
    if (!is_below(inner, block->pointer)) continue;
    const bool holds_both = is_below(pointer, block->pointer);
    if (!holds_both && std::holds_alternative<ForEach>(block->body) && loop == nullptr)
      loop = block;
    if (holds_both && (common == nullptr || block->pointer.size() > common->pointer.size()))
      common = block;
  }
  return loop != nullptr ? loop : common;
}

/// The part of a block that a pointer is in: `/steps/0/parallel/branches/a`.
std::string part_of(const std::string& pointer, const Step& block) {
  const bool is_list = std::holds_alternative<ForEach>(block.body) ||
                       is_below(pointer, block.pointer + "/try/steps");
  const std::size_t levels = is_list ? 2 : 3;
  std::size_t end = block.pointer.size();
  for (std::size_t i = 0; i < levels && end != std::string::npos; ++i)
    end = pointer.find('/', end + 1);
  return pointer.substr(0, end);
}

std::string hint_for_own(const Sees& sees) {
  if (sees.undo) return "read `self.output`, `self.captured` or `self.key`";
  if (sees.response) return "read `response.body`, the answer itself";
  return "read an earlier step, or the input";
}

Absence without_output(const Step& step) {
  const std::string has_none = "`steps." + step.name + "` has no output";
  return std::visit(
      Match{[&](const Parallel&) -> Absence {
              return {"E405", has_none + ": a parallel has none of its own",
                      "read the steps inside its branches"};
            },
            [&](const Try& block) -> Absence {
              const bool of_body = !block.output && can_end(block.steps);
              return {"E405",
                      has_none + ": " +
                          (of_body ? "the body of the try gives none"
                                   : "a catch of the try gives none"),
                      of_body ? "add \"output\" beside the \"steps\" of the try: \"${…}\""
                              : "add \"output\" to every catch that can end normally: \"${…}\""};
            },
            [&](const Switch&) -> Absence {
              return {"E405", has_none + ": an arm of the switch gives none",
                      "add \"output\" to every case, and to \"otherwise\", that can end normally"};
            },
            [&](const Fail&) -> Absence {
              return {"E405", has_none + ": a `fail` never returns", "leave the use out"};
            },
            [&](const auto&) -> Absence {
              return {"E405", has_none, "read another step"};
            }},
      step.body);
}

Absence inside_loop(const Step& step, const Step& loop) {
  return {"E405",
          "`steps." + step.name + "` is inside the loop " + quoted(loop.name) +
              ", where each item has its own",
          "give the loop a \"yield\" and read `steps." + loop.name + ".output`"};
}

}  // namespace

Absence absence_of(const Step& step, const std::string& field, const Sees& sees,
                   const Surroundings& around) {
  const Step* reader = step_at(field, around);
  const std::string named = "`steps." + step.name + "`";
  if (reader == &step)
    return {"E405", named + " is the step's own output, which is not there before it has ended",
            hint_for_own(sees)};
  if (is_below(field, step.pointer))
    return {"E405",
            named + " is the block around this place, which has an output only after its end",
            "read a step inside it that comes before"};
  if (around.without_output.count(&step) > 0) return without_output(step);
  const Step* block = block_between(step.pointer, field, around);
  const bool is_loop = block != nullptr && std::holds_alternative<ForEach>(block->body) &&
                       !is_below(field, block->pointer);
  if (is_loop && !sees.undo) return inside_loop(step, *block);
  const bool apart = block != nullptr && part_of(step.pointer, *block) != part_of(field, *block);
  if (sees.undo)
    return {"E414",
            "an undo reads " + named + ", which is not certainly complete before its own step",
            "read `self`, the input, or a step that certainly comes before"};
  if (apart)
    return {"E405", named + " is in another part of " + quoted(block->name) + " than this place",
            "move one of them: read the step after the block, or put it before the block"};
  return {"E405", named + " comes later than this place",
          "move " + quoted(step.name) + " before the place that reads it"};
}

}  // namespace backstitch::dsl
