#include "arms.hpp"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/expression_ast.hpp>

namespace backstitch::engine::explore {
namespace {

using dsl::Node;
using dsl::NodeKind;
using dsl::Operator;

bool reads_something(const Node& node) {
  return node.kind == NodeKind::name ||
         std::any_of(node.children.begin(), node.children.end(), reads_something);
}

/// Enough to tell one expression from another; read by people where it is an assumption.
std::string text_of(const Node& node);

std::string list_of(const std::vector<Node>& nodes, std::size_t from) {
  std::string text;
  for (std::size_t i = from; i < nodes.size(); ++i)
    text += (i == from ? "" : ", ") + text_of(nodes[i]);
  return text;
}

const char* symbol_of(Operator op) {
  switch (op) {
    case Operator::coalesce:
      return "??";
    case Operator::logical_or:
      return "||";
    case Operator::logical_and:
      return "&&";
    case Operator::equal:
      return "==";
    case Operator::not_equal:
      return "!=";
    case Operator::less:
      return "<";
    case Operator::less_equal:
      return "<=";
    case Operator::greater:
      return ">";
    case Operator::greater_equal:
      return ">=";
    case Operator::in:
      return "in";
    case Operator::add:
      return "+";
    case Operator::subtract:
    case Operator::negate:
      return "-";
    case Operator::multiply:
      return "*";
    case Operator::divide:
      return "/";
    case Operator::remainder:
      return "%";
    case Operator::logical_not:
      return "!";
    case Operator::none:
      break;
  }
  return "";
}

std::string operand(const Node& node) {
  const bool compound = node.kind == NodeKind::binary || node.kind == NodeKind::conditional;
  return compound ? "(" + text_of(node) + ")" : text_of(node);
}

std::string text_of(const Node& node) {
  switch (node.kind) {
    case NodeKind::literal:
      return json_text(node.literal);
    case NodeKind::omit:
      return "omit";
    case NodeKind::name:
      return node.text;
    case NodeKind::member:
      return operand(node.children[0]) + (node.optional ? "?." : ".") + node.text;
    case NodeKind::index:
      return operand(node.children[0]) + (node.optional ? "?[" : "[") + text_of(node.children[1]) +
             "]";
    case NodeKind::unary:
      return symbol_of(node.op) + operand(node.children[0]);
    case NodeKind::binary:
      return operand(node.children[0]) + " " + symbol_of(node.op) + " " + operand(node.children[1]);
    case NodeKind::conditional:
      return operand(node.children[0]) + " ? " + operand(node.children[1]) + " : " +
             operand(node.children[2]);
    case NodeKind::call:
      return node.text + "(" + list_of(node.children, 0) + ")";
    case NodeKind::macro:
      return operand(node.children[0]) + "." + node.text + "(" + node.variable + ", " +
             text_of(node.children[1]) + ")";
    case NodeKind::array:
      return "[" + list_of(node.children, 0) + "]";
    case NodeKind::object: {
      std::string text;
      for (std::size_t i = 0; i < node.children.size(); ++i)
        text += (i == 0 ? "" : ", ") + node.keys[i] + ": " + text_of(node.children[i]);
      return "{" + text + "}";
    }
  }
  return {};
}

}  // namespace

/// `a >= b`, `b <= a` and `!(a < b)` ask the same; so do `a != b` and `!(a == b)`.
const Arms::Asked& Arms::asked(const Node& condition) {
  const auto [found, added] = asked_.try_emplace(&condition);
  Asked& asked = found->second;
  if (!added) return asked;
  asked.text = text_of(condition);
  if (condition.kind != NodeKind::binary) return asked;
  std::string left = operand(condition.children[0]);
  std::string right = operand(condition.children[1]);
  const Operator op = condition.op;
  asked.negated =
      op == Operator::less_equal || op == Operator::greater_equal || op == Operator::not_equal;
  if (op == Operator::equal || op == Operator::not_equal) {
    if (right < left) left.swap(right);
    asked.text = left + " == " + right;
  } else if (op == Operator::greater || op == Operator::less_equal) {
    asked.text = left + " > " + right;
  } else if (op == Operator::less || op == Operator::greater_equal) {
    asked.text = right + " > " + left;
  }
  return asked;
}

bool Arms::decide(const Node& condition, bool holds, const std::function<Json()>& read) {
  coverage_.decide(condition, holds, read);
  if (free_.count(&condition) == 0) return holds;
  const Asked& asked = this->asked(condition);
  const bool by_data = holds != asked.negated;
  const auto [found, added] = numbers_.try_emplace(asked.text + '\n' + json_text(read()),
                                                   static_cast<std::uint32_t>(questions_.size()));
  const std::uint32_t question = found->second;
  if (added) questions_.push_back({text_of(condition), holds});
  auto& arms = decided_.arms;
  const auto known = std::lower_bound(arms.begin(), arms.end(), std::pair(question, false));
  if (known != arms.end() && known->first == question) return known->second != asked.negated;
  const bool flipped = std::find(flips_.begin(), flips_.end(), question) != flips_.end();
  decided_.assumed = decided_.assumed || flipped;
  arms.insert(known, {question, by_data != flipped});
  met_.push_back(question);
  return (by_data != flipped) != asked.negated;
}

void Arms::play(std::uint16_t script) {
  flips_ = scripts_[script];
  met_.clear();
}

std::optional<std::uint16_t> Arms::script_of(const Flips& flips) {
  const auto known = script_numbers_.find(flips);
  if (known != script_numbers_.end()) return known->second;
  if (scripts_.size() > UINT16_MAX) return std::nullopt;
  const auto number = static_cast<std::uint16_t>(scripts_.size());
  scripts_.push_back(flips);
  script_numbers_.emplace(flips, number);
  return number;
}

std::string Arms::told(std::uint32_t question) const {
  const Question& asked = questions_[question];
  return "assuming that " + asked.text + (asked.holds ? " is false" : " is true");
}

std::vector<std::string> Coverage::assumptions(const FreeConditions& free) const {
  std::set<std::string> texts;
  for (const auto& [condition, seen] : seen_) {
    if (free.count(condition) > 0 && seen != (on_false | on_true))
      texts.insert(text_of(*condition) +
                   (seen == on_false ? " was never true" : " was never false"));
  }
  return {texts.begin(), texts.end()};
}

FreeConditions Coverage::one_sided() const {
  FreeConditions out;
  for (const auto& [condition, seen] : seen_) {
    if (seen != (on_false | on_true) && reads_something(*condition)) out.insert(condition);
  }
  return out;
}

}  // namespace backstitch::engine::explore
