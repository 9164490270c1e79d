/// The shape of the tree: what can never be reached, hidden names, loops of sub-sagas.
#include <algorithm>
#include <map>
#include <set>

#include <backstitch/dsl/expression_ast.hpp>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t saga_nesting_max = 8;

class Structure {
 public:
  explicit Structure(const Check& check) : check_(check) {}

  void run() {
    for (const auto* steps : {&check_.definition.steps, &check_.definition.on_failure,
                              &check_.definition.on_suspended}) {
      list(*steps);
    }
    sub_sagas();
  }

 private:
  void list(const Steps& steps) {
    bool ended = false;
    for (const auto& step : steps) {
      if (ended) {
        check_.error("E103", step.pointer,
                     "`" + step.name + "` is never reached: what stands before it always fails",
                     "remove it, or give the failing step a condition");
        break;
      }
      one(step);
      ended = !can_end({step});
    }
  }

  void one(const Step& step) {
    constant_condition(step.when, step.pointer + "/when");
    if (const auto* block = std::get_if<Switch>(&step.body)) {
      for (std::size_t i = 0; i < block->cases.size(); ++i) {
        constant_condition(block->cases[i].when,
                           step.pointer + "/switch/cases/" + std::to_string(i) + "/when");
      }
    }
    if (const auto* block = std::get_if<Try>(&step.body)) catches(step, *block);
    if (const auto* block = std::get_if<ForEach>(&step.body)) {
      loop(step, *block);
    } else {
      for (const auto* inner : inner_lists(step)) list(*inner);
    }
  }

  void constant_condition(const std::optional<Expression>& when, const std::string& pointer) {
    if (!when || !when->references().empty()) return;
    check_.error("E106", pointer, "the condition `" + when->source() + "` is always the same",
                 "remove it, or the step");
  }

  void catches(const Step& step, const Try& block) {
    std::set<std::string> caught;
    bool everything = false;
    const std::set<std::string> raised = codes_raised(block.steps);
    for (std::size_t i = 0; i < block.catches.size(); ++i) {
      const Catch& one = block.catches[i];
      const std::string at = step.pointer + "/try/catch/" + std::to_string(i);
      const bool conditioned = one.when.has_value() || !one.classes.empty();
      const bool seen = !one.codes.empty() &&
                        std::all_of(one.codes.begin(), one.codes.end(),
                                    [&](const auto& code) { return caught.count(code) > 0; });
      const bool impossible =
          !one.codes.empty() &&
          std::none_of(one.codes.begin(), one.codes.end(), [&](const auto& code) {
            return raised.count(code) > 0 || raised.count("*") > 0 || is_engine_code(code);
          });
      if (everything || seen)
        check_.error("E104", at, "the catch is never reached: an earlier one catches all of it");
      else if (impossible)
        check_.error("E104", at, "none of the codes of the catch can be raised inside");
      if (!conditioned) caught.insert(one.codes.begin(), one.codes.end());
      everything = everything || (!conditioned && one.codes.empty());
    }
  }

  static bool is_engine_code(const std::string& code) {
    static const std::set<std::string> codes{"RETRIES_EXHAUSTED", "STEP_TIMEOUT",  "WAIT_TIMEOUT",
                                             "EXPRESSION_FAILED", "INPUT_INVALID", "LIMIT_EXCEEDED",
                                             "OUTCOME_UNKNOWN"};
    return code.starts_with("HTTP_") || code.starts_with("TRANSPORT_") || codes.count(code) > 0;
  }

  /// `*`: a child's codes are not known here.
  std::set<std::string> codes_raised(const Steps& steps) const {
    std::set<std::string> codes;
    for_each_step(steps, [&](const Step& step) {
      if (const auto* fail = std::get_if<Fail>(&step.body)) codes.insert(fail->code);
      if (std::holds_alternative<SubSaga>(step.body)) codes.insert("*");
      for (const auto& use : requests_of(step)) {
        for (const auto& rule : *use.outcomes) codes.insert(rule.code);
        const Service* service = check_.service(use.service);
        if (service == nullptr)
          codes.insert("*");
        else
          for (const auto& rule : service->outcomes) codes.insert(rule.code);
      }
    });
    return codes;
  }

  void loop(const Step& step, const ForEach& block) {
    const auto bind = [&](const std::string& name, const char* member) {
      if (name.empty()) return;
      const auto& built_in = built_in_names();
      const bool hides = std::find(built_in.begin(), built_in.end(), name) != built_in.end() ||
                         std::find(variables_.begin(), variables_.end(), name) != variables_.end();
      if (hides)
        check_.error("E105", step.pointer + "/forEach/" + member,
                     "the variable `" + name + "` hides another name");
    };
    bind(block.as, "as");
    variables_.push_back(block.as);
    bind(block.index_as, "indexAs");
    variables_.push_back(block.index_as);
    if (block.key && block.key->references().empty()) {
      check_.error("E222", step.pointer + "/forEach/key",
                   "the key `" + block.key->source() + "` is the same for every item",
                   "use something of the item, like ${" + block.as + ".id}");
    }
    list(block.steps);
    variables_.resize(variables_.size() - 2);
  }

  void sub_sagas() {
    if (!check_.context.definition) return;
    std::vector<std::string> path{check_.definition.name};
    follow(check_.definition, path);
  }

  /// Depth first over the children; a name that stands on the path already is a loop. A child that
  /// was seen at the same depth or deeper has nothing new to say: without that, children that share
  /// children would be walked once for each way to them.
  void follow(const Definition& definition, std::vector<std::string>& path) {
    for_each_step(definition, [&](const Step& step) {
      const auto* saga = std::get_if<SubSaga>(&step.body);
      if (saga == nullptr) return;
      const std::string at = path.size() == 1 ? step.pointer + "/saga/name" : first_pointer_;
      if (path.size() == 1) first_pointer_ = at;
      if (std::find(path.begin(), path.end(), saga->name) != path.end()) {
        std::string chain;
        for (const auto& name : path) chain += name + " → ";
        return check_.error("E107", at, "sub-sagas go round in a circle: " + chain + saga->name);
      }
      if (path.size() > saga_nesting_max)
        return check_.error("E107", at, "sub-sagas are nested deeper than 8");
      const auto child = check_.context.definition(saga->name, saga->version.value_or(0));
      if (!child) return;
      std::size_t& deepest = seen_[{saga->name, saga->version.value_or(0)}];
      if (deepest >= path.size()) return;
      deepest = path.size();
      path.push_back(saga->name);
      follow(*child, path);
      path.pop_back();
    });
  }

  const Check& check_;
  std::vector<std::string> variables_;
  std::string first_pointer_;
  std::map<std::pair<std::string, std::int64_t>, std::size_t> seen_;  ///< how deep, from 1
};

}  // namespace

void check_structure(const Check& check) {
  Structure(check).run();
}

}  // namespace backstitch::dsl
