#include "names.hpp"

#include <algorithm>

#include <backstitch/dsl/nearest.hpp>

#include "../excerpt.hpp"
#include "absence.hpp"

namespace backstitch::dsl {
namespace {

bool is_name(const Node& node, std::string_view name) {
  return node.kind == NodeKind::name && !node.macro_variable && node.text == name;
}

bool is_self(const Node& node, std::string_view member) {
  return node.kind == NodeKind::member && node.text == member && is_name(node.children[0], "self");
}

bool reads_member(const Node& node) {
  return node.kind == NodeKind::member || node.kind == NodeKind::index;
}

bool is_null(const Node& node) {
  return node.kind == NodeKind::literal && node.literal.is_null();
}

/// Whether `node` being `truth` means that the step succeeded: `self.outcome == 'succeeded'`,
/// `self.output != null`, `self.captured != null` and what is put together from such.
bool means_success(const Node& node, bool truth) {
  if (node.kind == NodeKind::unary && node.op == Operator::logical_not)
    return means_success(node.children[0], !truth);
  if (node.kind != NodeKind::binary) return false;
  const Node& left = node.children[0];
  const Node& right = node.children[1];
  if (node.op == (truth ? Operator::logical_and : Operator::logical_or))
    return means_success(left, truth) || means_success(right, truth);
  if (node.op == (truth ? Operator::logical_or : Operator::logical_and))
    return means_success(left, truth) && means_success(right, truth);
  if (node.op != Operator::equal && node.op != Operator::not_equal) return false;
  const bool same = (node.op == Operator::equal) == truth;
  for (const auto& [one, other] : {std::pair{&left, &right}, std::pair{&right, &left}}) {
    const bool of_success = is_self(*one, "output") || is_self(*one, "captured");
    if (of_success && is_null(*other)) return !same;
    if (!is_self(*one, "outcome") || other->kind != NodeKind::literal) continue;
    return other->literal == (same ? "succeeded" : "unknown");
  }
  return false;
}

/// Where null is as good as a value.
bool takes_null(const Node& node, const Node* parent) {
  if (parent == nullptr) return false;
  if (reads_member(*parent)) return parent->optional;
  if (parent->kind != NodeKind::binary) return false;
  const bool compared = parent->op == Operator::equal || parent->op == Operator::not_equal;
  return compared || (parent->op == Operator::coalesce && &parent->children[0] == &node);
}

}  // namespace

void Names::look(const Expression& expression, const std::string& pointer, const Sees& sees) {
  node(expression.root(), {}, {expression, pointer, sees});
}

void Names::error(const char* code, const Looking& at, const std::string& message,
                  const std::string& hint) {
  check_.error(code, at.pointer, message + " in `" + excerpt(at.expression.source(), 80) + "`",
               hint);
}

void Names::node(const Node& node, const Context& context, const Looking& at) {
  if (node.kind == NodeKind::member && is_name(node.children[0], "steps"))
    return step(node, context, at);
  if (node.kind == NodeKind::member && is_name(node.children[0], "self"))
    return self(&node, context, at);
  if (node.kind == NodeKind::name && !node.macro_variable) return root(node, context, at);
  if (node.kind == NodeKind::macro && around_.variable(node.variable) != nullptr) {
    error("E105", at, "the variable `" + node.variable + "` hides the one of the loop",
          "give it a name of its own");
  }
  children(node, context, at);
}

void Names::children(const Node& node, const Context& context, const Looking& at) {
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    Context inside{&node, context.succeeded};
    const bool guarded =
        i > 0 && (node.kind == NodeKind::conditional || node.op == Operator::logical_and ||
                  node.op == Operator::logical_or);
    // The second way of a `? :`, and what follows `||`, are taken where the condition is false.
    const bool truth =
        node.kind == NodeKind::conditional ? i == 1 : node.op != Operator::logical_or;
    if (guarded && means_success(node.children[0], truth)) inside.succeeded = true;
    this->node(node.children[i], inside, at);
  }
}

void Names::step(const Node& node, const Context& context, const Looking& at) {
  const std::string& name = node.text;
  const std::size_t number = around_.number_of(name);
  if (number == Surroundings::nowhere) {
    if (check_.is_full()) return;
    return error("E404", at, "there is no step `" + name + "`",
                 did_you_mean(name, around_.names, "name a step of this definition"));
  }
  around_.is_read[number] = true;
  const auto level = around_.reach.of(number);
  if (level == Reach::Level::never) {
    if (check_.is_full()) return;
    const Absence absence = absence_of(*around_.declared[number], at.pointer, at.sees, around_);
    return error(absence.code, at, absence.message + ",", absence.hint);
  }
  if (level == Reach::Level::certain) return;
  if (at.sees.undo) {
    return error(
        "E414", at,
        "an undo reads `steps." + name + "`, which is not certainly complete before its own step,",
        "read `self`, the input, or a step that certainly comes before");
  }
  // `steps.x` alone is null until x succeeded; only a member of it must not be read blindly.
  const Node* parent = context.parent;
  if (parent != nullptr && reads_member(*parent) && !parent->optional) {
    error("E406", at, "`steps." + name + "` may be missing here",
          "write `steps." + name + "?.output` and `??` for its absence");
  }
}

void Names::root(const Node& node, const Context& context, const Looking& at) {
  const std::string& name = node.text;
  if (name == "saga" && at.sees.effect) warn_of_chance(context.parent, at);
  if (name == "input" || name == "saga" || around_.variable(name) != nullptr) return;
  if (name == "steps")
    return error("E403", at, "`steps` is read as a whole", "name a step: steps.x.output");
  if (name == "self") return self(nullptr, context, at);
  const std::pair<const char*, bool> places[] = {
      {"response", at.sees.response}, {"failure", at.sees.failure}, {"signal", at.sees.signal}};
  for (const auto& [known, there] : places) {
    if (name != known) continue;
    if (there) return;
    return error("E410", at, "`" + name + "` is not available in this field",
                 name == "response"  ? "it is there in output, capture and outcomes"
                 : name == "failure" ? "it is there in undos, catches and handlers"
                                     : "it is there in the `accept` of a wait");
  }
  if (around_.unnamed_variable || check_.is_full()) return;
  error("E401", at, "unknown name `" + name + "`", hint_for_unknown(name));
}

/// A start that is repeated after its log was lost is another saga, whose calls have the same keys.
void Names::warn_of_chance(const Node* parent, const Looking& at) {
  if (parent == nullptr || parent->kind != NodeKind::member) return;
  if (parent->text != "id" && parent->text != "startedAt") return;
  check_.warning("W429", at.pointer,
                 "`saga." + parent->text +
                     "` is another one when the start is repeated after a failover or a restore, "
                     "and the participant takes the request for another one",
                 parent->text == "id" ? "write `saga.root`, or what the business knows it by"
                                      : "read the time from the input");
}

std::string Names::hint_for_unknown(const std::string& name) {
  const std::size_t number = around_.number_of(name);
  if (number != Surroundings::nowhere) {
    around_.is_read[number] = true;
    return "write `steps." + name + ".output`";
  }
  const auto& input = check_.definition.input;
  const Json* members = input ? keyword(&input->source(), "properties") : nullptr;
  if (members != nullptr && keyword(members, name.c_str()) != nullptr)
    return "write `input." + name + "`";
  std::vector<std::string> names = built_in_names();
  for (const auto& variable : around_.variables) names.push_back(variable.name);
  return did_you_mean(name, names,
                      "the names are input, steps, saga and the variables of the loops around");
}

/// @param member the node that reads a member of it; nullptr: it is read as a whole
void Names::self(const Node* member, const Context& context, const Looking& at) {
  if (!at.sees.self) {
    return error("E410", at, "`self` is not available in this field",
                 "it is there in an action, its probe, output and undo");
  }
  const std::string name = member == nullptr ? "" : member->text;
  if (name == "callbackUrl" && !at.sees.request) {
    return error("E410", at, "`self.callbackUrl` is only there in a request",
                 "who has it can answer for the participant; read `response` instead");
  }
  if (name == "callbackUrl" && !at.sees.callback_url) {
    return error("E312", at, "`self.callbackUrl` without a completion",
                 "add \"completion\": { \"callback\": true, \"timeout\": … }");
  }
  const bool of_undo = name == "outcome" || name == "output" || name == "captured";
  if (of_undo && !at.sees.undo) {
    return error("E410", at, "`self." + name + "` is only there in a compensation",
                 "in an output read `response`");
  }
  const bool may_be_null = name == "output" || name == "captured";
  if (!may_be_null || !at.sees.outcome_unknown || context.succeeded ||
      takes_null(*member, context.parent))
    return;
  error("E411", at,
        "the undo reads `self." + name + "`, which is missing when the outcome is unknown",
        "address the undo by `self.key`, or give the step a probe with \"sealed\": true");
}

}  // namespace backstitch::dsl
