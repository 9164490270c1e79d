/// Answers whose body is not what a step hopes for: empty, an HTML page, another shape.
#include <algorithm>
#include <vector>

#include <backstitch/dsl/expression_ast.hpp>

#include "fields.hpp"

namespace backstitch::dsl {
namespace {

bool is_body(const Node& node) {
  return node.kind == NodeKind::member && node.text == "body" &&
         node.children[0].kind == NodeKind::name && !node.children[0].macro_variable &&
         node.children[0].text == "response";
}

bool mentions_response(const Node& node) {
  if (node.kind == NodeKind::name && node.text == "response") return true;
  return std::any_of(node.children.begin(), node.children.end(), mentions_response);
}

/// The first read of a member of the body, at any depth, that fails where the member is not.
/// A condition on the response is taken as a guard of its two arms.
const Node* unguarded_read(const Node& node) {
  const bool guard = node.kind == NodeKind::conditional && mentions_response(node.children[0]);
  const std::size_t looked_at = guard ? 1 : node.children.size();
  for (std::size_t i = 0; i < looked_at; ++i) {
    if (const auto* found = unguarded_read(node.children[i])) return found;
  }
  if (node.optional || (node.kind != NodeKind::member && node.kind != NodeKind::index))
    return nullptr;
  const Node* base = &node.children[0];
  while (!is_body(*base) && (base->kind == NodeKind::member || base->kind == NodeKind::index))
    base = &base->children[0];
  return is_body(*base) ? &node : nullptr;
}

bool reads_own_answer(const Node& node) {
  const bool self = node.kind == NodeKind::member && node.children[0].kind == NodeKind::name &&
                    node.children[0].text == "self" &&
                    (node.text == "output" || node.text == "captured");
  return self || std::any_of(node.children.begin(), node.children.end(), reads_own_answer);
}

/// The expressions of a field.
std::vector<const Expression*> expressions_of(const Field& field) {
  if (const auto* expression = std::get_if<const Expression*>(&field.source)) return {*expression};
  std::vector<const Expression*> all;
  for (const auto& one : std::get<const Template*>(field.source)->expressions())
    all.push_back(&one.expression);
  return all;
}

/// As it stands in the definition; a node ends where the next begins.
std::string text_of(const Node& node, const Expression& expression) {
  const std::string text = expression.source().substr(node.begin, node.end - node.begin);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

bool undo_needs_answer(const std::vector<Field>& fields) {
  return std::any_of(fields.begin(), fields.end(), [](const Field& field) {
    const auto all = expressions_of(field);
    return field.sees.undo && std::any_of(all.begin(), all.end(), [](const Expression* one) {
             return reads_own_answer(one->root());
           });
  });
}

}  // namespace

void check_body_reads(const Check& check, const Step& step, bool cannot_go_back) {
  if (!std::holds_alternative<Action>(step.body)) return;
  const auto fields = fields_of(step, {}, check);
  if (!cannot_go_back && !undo_needs_answer(fields)) return;
  for (const auto& field : fields) {
    if (field.pointer != step.pointer + "/output" && field.pointer != step.pointer + "/capture")
      continue;
    for (const auto* expression : expressions_of(field)) {
      const Node* found = unguarded_read(expression->root());
      if (found == nullptr) continue;
      check.warning("W425", field.pointer,
                    "`" + text_of(*found, *expression) +
                        "` fails when the answer's body is empty or has another shape, and `" +
                        step.name +
                        (cannot_go_back ? "` cannot be taken back" : "` needs it for its undo"),
                    "read it with `?.`, and give a default with `??` where null is not one");
      break;
    }
  }
}

}  // namespace backstitch::dsl
