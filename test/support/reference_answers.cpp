#include "reference_answers.hpp"

#include <optional>
#include <vector>

#include <backstitch/dsl/expression.hpp>

#include "answer_scope.hpp"

namespace backstitch::test {
namespace {

using Word = std::string;

/// `404`, `"4xx"` or `"400-499"`, or a list of them. Alone: the status itself is written.
struct Named {
  bool covered = false;
  bool alone = false;
};
Named named_in(const Json& written, int status) {
  Named out;
  for (const Json& one : written.is_array() ? written : Json::array({written})) {
    if (one.is_number()) {
      const bool same = one.get<int>() == status;
      out = {out.covered || same, out.alone || same};
      continue;
    }
    const std::string text = one.get<std::string>();
    const bool inside = text.ends_with("xx")
                            ? text[0] - '0' == status / 100
                            : std::stoi(text) <= status && status <= std::stoi(text.substr(4));
    out.covered = out.covered || inside;
  }
  return out;
}

const Json& rules_of(const Json& owner) {
  static const Json none = Json::array();
  const auto found = owner.find("outcomes");
  return found == owner.end() ? none : *found;
}

/// A row of the page's table.
Word by_row(const AskedAnswer& asked, bool reading, bool completes) {
  const int s = asked.status;
  const auto& column = asked.column;
  const bool of_action = column == "action" || column == "callback";
  if (s == 202) return (of_action && completes) || column == "poll" ? "pending" : "success";
  if (s / 100 == 2) return "success";
  if (s == 408 || s == 425 || s == 429) return "transient";
  const bool moved = s == 301 || s == 302 || s == 303;
  const bool refused = s / 100 == 4 || s == 307 || s == 308 ||
                       (moved && (column == "probe" || column == "poll" || reading));
  if (!refused) return "unknown";
  if (column == "poll") return "pending";
  if (column != "probe") return "failure";
  const Json& probe = asked.step["probe"];
  if (!probe.value("sealed", false)) return "failure";
  for (const Json& rule : rules_of(probe))
    if (rule["is"] == "failure") return "unknown";
  return s == 404 || s == 410 ? "failure" : "unknown";
}

struct ByRules {
  Word word;
  bool judges_the_request = false;  ///< a rule names the status alone, or has a condition
  bool from_rule = false;
  bool doubtful = false;  ///< a rule could not be evaluated and would say something else
  bool unread = false;    ///< a rule could not be evaluated
};

class Rules {
 public:
  Rules(const AskedAnswer& asked, Word row) : asked_(asked), row_(std::move(row)) {}

  ByRules read() {
    const Json& step = asked_.step;
    const auto& column = asked_.column;
    const bool brings_the_answer = column != "poll" || asked_.status / 100 == 2;
    if (column == "probe") return of({&step["probe"]}, true);
    if (column == "compensation") return of({&step["compensation"]}, true);
    std::vector<const Json*> own;
    if (column != "action" && step.contains("completion") && step["completion"].contains("poll"))
      own.push_back(&step["completion"]["poll"]);
    if (brings_the_answer) own.push_back(&step);
    return of(own, false, brings_the_answer);
  }

 private:
  ByRules of(const std::vector<const Json*>& owners, bool withholds, bool with_service = true) {
    ByRules out{row_};
    std::vector<Word> perhaps;
    const auto settle = [&] {
      for (const auto& other : perhaps) out.doubtful = out.doubtful || other != out.word;
      out.unread = !perhaps.empty();
      return out;
    };
    for (const Json* owner : owners) {
      for (const Json& rule : rules_of(*owner)) {
        const auto holds = fits(rule);
        if (!holds)
          perhaps.push_back(rule["is"]);
        else if (*holds)
          return take(out, rule, rule["is"]), settle();
      }
    }
    if (!with_service) return settle();
    for (const Json& rule : rules_of(asked_.service)) {
      Word word = rule["is"];
      if (withholds) {
        if (row_ != "success" || word == "success") continue;
        if (word == "pending" && asked_.column == "compensation") continue;
        if (word == "failure") word = "unknown";
      }
      const auto holds = fits(rule);
      if (!holds && withholds && asked_.body.is_null()) continue;
      if (!holds)
        perhaps.push_back(word);
      else if (*holds)
        return take(out, rule, word), settle();
    }
    return settle();
  }

  void take(ByRules& out, const Json& rule, const Word& word) const {
    out.word = word;
    out.from_rule = true;
    out.judges_the_request =
        rule.contains("when") ||
        (rule.contains("status") && named_in(rule["status"], asked_.status).alone);
  }

  /// Nothing: the condition cannot be evaluated.
  std::optional<bool> fits(const Json& rule) const {
    if (rule.contains("transport")) return false;
    if (rule.contains("status") && !named_in(rule["status"], asked_.status).covered) return false;
    if (!rule.contains("when")) return true;
    const std::string text = rule["when"];
    const auto expression = dsl::Expression::compile(text.substr(2, text.size() - 3));
    dsl::Budget budget;
    const auto holds =
        expression->evaluate_condition(AnswerScope(asked_.status, asked_.body), budget);
    return holds ? std::optional<bool>(*holds) : std::nullopt;
  }

  const AskedAnswer& asked_;
  Word row_;
};

}  // namespace

std::string meaning_by_contract(const AskedAnswer& asked) {
  const std::string http = asked.step["action"]["http"];
  const bool reading = http.starts_with("GET") || http.starts_with("HEAD");
  const bool of_action = asked.column != "probe" && asked.column != "compensation";
  const Word row = by_row(asked, reading && of_action, asked.step.contains("completion"));
  const ByRules meant = Rules(asked, row).read();
  const bool waits = asked.column == "poll" || asked.column == "callback";
  if (meant.doubtful) return waits ? "pending" : "unknown";
  if (meant.unread && meant.word == "success" && asked.column == "poll") return "pending";
  // The steps that are judged here have an undo, so that they read only if they say so.
  const bool readonly = asked.step.value("kind", "") == "readonly";
  if (meant.word != "failure" || !of_action || !asked.later_copy || readonly) return meant.word;
  if (asked.service.value("idempotency", "key") != "key") return "unknown";
  if (meant.from_rule && meant.judges_the_request) return "failure";
  return asked.status == 402 || asked.status == 422 ? "failure" : "unknown";
}

}  // namespace backstitch::test
