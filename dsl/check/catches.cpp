/// Catches that are never reached: nothing is left for them, or nothing of theirs can happen.
#include <algorithm>
#include <array>
#include <set>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::array<const char*, 4> classes{"failure", "transient", "unknown", "timeout"};

/// What can fail inside a `try`.
class Raised {
 public:
  explicit Raised(const Check& check) : check_(check) {}

  void look(const Steps& steps) {
    for_each_step(steps, [&](const Step& step) { one(step); });
  }

  bool has_code(const std::string& code) const {
    const bool answer = code.starts_with("HTTP_") || code.starts_with("TRANSPORT_");
    return any_ || codes_.count(code) > 0 || (calls_ && answer);
  }
  bool has_class(const std::string& name) const { return any_ || classes_.count(name) > 0; }

 private:
  void one(const Step& step) {
    classes_.insert("failure");
    codes_.insert({"EXPRESSION_FAILED", "LIMIT_EXCEEDED"});
    if (const auto* fail = std::get_if<Fail>(&step.body)) codes_.insert(fail->code);
    if (const auto* wait = std::get_if<Wait>(&step.body);
        wait != nullptr && wait->on_timeout == OnTimeout::fail) {
      codes_.insert("WAIT_TIMEOUT");
      classes_.insert("timeout");
    }
    // What a child fails with is the child's business, and so is what a function answers.
    any_ = any_ || std::holds_alternative<SubSaga>(step.body);
    const auto* action = std::get_if<Action>(&step.body);
    if (action == nullptr) return;
    any_ = any_ || !action->request.path;
    calls_ = true;
    classes_.insert({"transient", "unknown"});
    codes_.insert({"RETRIES_EXHAUSTED", "OUTCOME_UNKNOWN"});
    if (step.timeout || check_.definition.default_step_timeout) {
      codes_.insert("STEP_TIMEOUT");
      classes_.insert("timeout");
    }
    for (const auto& use : requests_of(step)) answers(use);
  }

  void answers(const RequestUse& use) {
    if (std::string_view(use.role) == "compensation") return;
    rules(*use.outcomes);
    const Service* service = check_.service(use.service);
    if (service == nullptr)
      any_ = true;
    else
      rules(service->outcomes);
  }

  void rules(const std::vector<OutcomeRule>& rules) {
    for (const auto& rule : rules) {
      if (rule.is != OutcomeClass::success && rule.is != OutcomeClass::pending)
        codes_.insert(rule.code);
    }
  }

  const Check& check_;
  std::set<std::string> codes_;
  std::set<std::string> classes_;
  bool calls_ = false;
  bool any_ = false;
};

/// The catches so far, and what they leave.
class Sieve {
 public:
  /// Whether nothing of what `one` catches is left.
  bool has_all_of(const Catch& one) const {
    const std::vector<std::string> any_code{""};  // one that no catch lists
    const std::vector<std::string> any_class(classes.begin(), classes.end());
    for (const auto& code : one.codes.empty() ? any_code : one.codes) {
      for (const auto& name : one.classes.empty() ? any_class : one.classes) {
        if (!has(code, name)) return false;
      }
    }
    return true;
  }

  void add(const Catch& one) {
    if (one.when) return;
    before_.push_back(
        {{one.codes.begin(), one.codes.end()}, {one.classes.begin(), one.classes.end()}});
  }

 private:
  struct Names {
    std::set<std::string> codes;
    std::set<std::string> classes;
  };
  bool has(const std::string& code, const std::string& name) const {
    return std::any_of(before_.begin(), before_.end(), [&](const Names& one) {
      return (one.codes.empty() || one.codes.count(code) > 0) &&
             (one.classes.empty() || one.classes.count(name) > 0);
    });
  }
  std::vector<Names> before_;
};

}  // namespace

void check_catches(const Check& check, const Step& step, const Try& block) {
  Raised raised(check);
  raised.look(block.steps);
  Sieve sieve;
  for (std::size_t i = 0; i < block.catches.size(); ++i) {
    const Catch& one = block.catches[i];
    const std::string at = step.pointer + "/try/catch/" + std::to_string(i);
    const bool covered = sieve.has_all_of(one);
    sieve.add(one);
    if (covered) {
      check.error("E104", at, "the catch is never reached: those before it catch all of it",
                  "put it before them, or remove it");
      continue;
    }
    // The codes of a rule that was not read are not known.
    if (check.unread.any()) continue;
    const auto has_code = [&](const auto& code) { return raised.has_code(code); };
    const auto has_class = [&](const auto& name) { return raised.has_class(name); };
    if (!one.codes.empty() && std::none_of(one.codes.begin(), one.codes.end(), has_code)) {
      check.error("E104", at + "/codes", "none of the codes of the catch can be raised inside",
                  "cancellation and the saga's timeout are never caught; other codes come from "
                  "outcome rules and `fail` steps");
    } else if (!one.classes.empty() &&
               std::none_of(one.classes.begin(), one.classes.end(), has_class)) {
      check.error("E104", at + "/classes", "no failure of these classes can be raised inside",
                  "cancellation is never caught; only calls are transient or unknown");
    }
  }
}

}  // namespace backstitch::dsl
