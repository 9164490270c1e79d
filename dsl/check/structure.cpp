/// The shape of the tree: what can never be reached, conditions without a choice, hidden names.
#include <algorithm>
#include <map>

#include <backstitch/base/ascii.hpp>
#include <backstitch/dsl/expression_ast.hpp>

#include "headers.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

/// What differs from saga to saga although it names nothing.
bool calls_uuid(const Node& node) {
  return (node.kind == NodeKind::call && node.text == "uuid") ||
         std::any_of(node.children.begin(), node.children.end(), calls_uuid);
}

bool is_constant(const Expression& expression) {
  return expression.references().empty() && !calls_uuid(expression.root());
}

class Structure {
 public:
  explicit Structure(const Check& check) : check_(check) {}

  void run() {
    for (const auto* steps : {&check_.definition.steps, &check_.definition.on_failure,
                              &check_.definition.on_suspended}) {
      list(*steps);
    }
    for (const auto& [name, service] : check_.definition.services) rules(service.outcomes);
    names();
  }

 private:
  /// Keys hold the names of steps and branches, and participants' key columns often ignore case.
  void names() {
    NamesByCase steps;
    for_each_step(check_.definition, [&](const Step& step) {
      differs(steps, step.name, step.pointer + "/name", "step");
      const auto* block = std::get_if<Parallel>(&step.body);
      if (block == nullptr) return;
      NamesByCase branches;
      for (const auto& branch : block->branches) {
        const std::string at = step.pointer + "/parallel/branches/" + branch.name;
        differs(branches, branch.name, at, "branch");
      }
    });
  }

  using NamesByCase = std::map<std::string, std::string>;  ///< in lower case -> as written first
  void differs(NamesByCase& known, const std::string& name, const std::string& pointer,
               const char* what) {
    const auto [other, is_new] = known.try_emplace(lower_case(name), name);
    if (is_new || other->second == name) return;
    check_.error("E108", pointer,
                 std::string("the ") + what + " `" + name + "` and the " + what + " `" +
                     other->second + "` differ only in case",
                 "rename one: idempotency keys hold the names, and databases often ignore case");
  }

  void list(const Steps& steps) {
    bool ended = false;
    for (const auto& step : steps) {
      if (ended) {
        check_.error("E103", step.pointer,
                     "`" + step.name + "` is never reached: the step before it always fails",
                     "remove it, or give the failing step a condition");
        break;
      }
      one(step);
      ended = !can_end(step);
    }
  }

  void one(const Step& step) {
    condition(step.when, step.pointer + "/when");
    for (const auto& use : requests_of(step)) rules(*use.outcomes);
    if (const auto* undo = std::get_if<Compensation>(&step.undo))
      condition(undo->when, step.pointer + "/compensation/when");
    if (const auto* block = std::get_if<Switch>(&step.body)) {
      for (std::size_t i = 0; i < block->cases.size(); ++i) {
        condition(block->cases[i].when,
                  step.pointer + "/switch/cases/" + std::to_string(i) + "/when");
      }
    }
    if (const auto* block = std::get_if<Try>(&step.body)) {
      for (std::size_t i = 0; i < block->catches.size(); ++i)
        condition(block->catches[i].when,
                  step.pointer + "/try/catch/" + std::to_string(i) + "/when");
      check_catches(check_, step, *block);
    }
    if (const auto* block = std::get_if<ForEach>(&step.body)) {
      loop(step, *block);
    } else {
      for (const auto* inner : inner_lists(step)) list(*inner);
    }
  }

  void rules(const std::vector<OutcomeRule>& rules) {
    for (const auto& rule : rules) condition(rule.when, rule.pointer + "/when");
  }

  void condition(const std::optional<Expression>& when, const std::string& pointer) {
    if (!when || !is_constant(*when)) return;
    check_.error("E106", pointer, "the condition `" + when->source() + "` is always the same",
                 "remove it, or what it guards");
  }

  void loop(const Step& step, const ForEach& block) {
    const std::string at = step.pointer + "/forEach";
    const std::size_t outer = variables_.size();
    bind(block.as, at + "/as");
    bind(block.index_as, at + "/indexAs");
    if (block.key && !reads_item(*block.key, block)) {
      check_.error("E222", at + "/key",
                   "the key `" + block.key->source() + "` is the same for every item",
                   "use something of the item, like ${" + block.as + ".id}");
    }
    const std::int64_t events = least_events(block.steps, true) + 1;
    if (static_cast<std::int64_t>(block.items_max) > saga_events_max / events) {
      check_.warning("W109", at + "/maxItems",
                     "`" + step.name + "` may have " + std::to_string(block.items_max) +
                         " items, and adds at least " + std::to_string(events) +
                         " events for each; a saga has at most " + std::to_string(saga_events_max),
                     "lower maxItems, or give each part of the items a sub-saga of its own");
    }
    list(block.steps);
    variables_.resize(outer);
  }

  void bind(const std::string& name, const std::string& pointer) {
    if (name.empty()) return;
    if (is_reserved_name(name) ||
        std::find(variables_.begin(), variables_.end(), name) != variables_.end()) {
      check_.error("E105", pointer, "the variable `" + name + "` hides another name",
                   "give it a name of its own");
    }
    variables_.push_back(name);
  }

  static bool reads_item(const Expression& key, const ForEach& block) {
    const auto& names = key.references();
    return block.as.empty() || std::any_of(names.begin(), names.end(), [&](const Reference& name) {
             return name.root == block.as ||
                    (!block.index_as.empty() && name.root == block.index_as);
           });
  }

  const Check& check_;
  std::vector<std::string> variables_;
};

}  // namespace

void check_structure(const Check& check) {
  Structure(check).run();
}

}  // namespace backstitch::dsl
