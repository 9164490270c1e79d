#include "reading.hpp"

namespace backstitch::dsl {
namespace {

bool is_output(const Node& node) {
  return node.kind == NodeKind::member && node.text == "output";
}

}  // namespace

Type FieldReader::read(const Field& field, const Roots& roots) {
  if (const auto* source = std::get_if<const Expression*>(&field.source)) {
    Type type = expression(**source, field.pointer, field, roots);
    wanted(type, field);
    return type;
  }
  return type_of(*std::get<const Template*>(field.source), Origin::other,
                 [&](const TemplateExpression& one) { return part(one, field, roots); });
}

Type FieldReader::expression(const Expression& source, const std::string& pointer,
                             const Field& field, const Roots& roots) {
  names_.look(source, pointer, field.sees);
  return typing_.type_of(source, pointer, roots);
}

Type FieldReader::part(const TemplateExpression& part, const Field& field, const Roots& roots) {
  const std::string pointer = field.pointer + part.pointer;
  Type type = expression(part.expression, pointer, field, roots);
  const Kinds texts = part.interpolated ? Kinds{text_kinds} : Kinds{text_kinds | null_kind};
  const bool becomes_text = part.interpolated || field.wants == Wants::parameter;
  if (becomes_text && !type.may_be(texts)) {
    check_.error("E413", pointer,
                 "a part of a text is a string, number or boolean, not " + to_text(type.kinds) +
                     ", in `" + part.expression.source() + "`",
                 "use json(), join() or one of its members");
  }
  if (field.exposes != nullptr && type.sensitive) {
    check_.warning("W422", pointer,
                   "sensitive input goes into " + std::string(field.exposes) +
                       ", where it is stored and logged",
                   "send it in the body, or leave it out");
  }
  if (field.wants == Wants::body) sent_whole(part, pointer);
  return type;
}

void FieldReader::wanted(const Type& type, const Field& field) {
  const auto refuse = [&](const std::string& what, const std::string& hint) {
    check_.error("E412", field.pointer, what + ", not " + to_text(type.kinds), hint);
  };
  switch (field.wants) {
    case Wants::condition:
      if (!type.may_be(boolean_kind))
        refuse("a condition is true or false", "compare it with something");
      return;
    case Wants::duration:
      if (!type.may_be(string_kind))
        refuse("a duration is a text like \"10s\"", "write string(…) + 's'");
      return;
    case Wants::list:
      if (!type.may_be(array_kind)) return refuse("`forEach` goes over an array", "name an array");
      if (type.missing)
        check_.error(type.origin == Origin::input ? "E409" : "E406", field.pointer,
                     "`forEach` goes over what may be missing", "write `?? []` for its absence");
      return;
    case Wants::key:
      if (!type.may_be(text_kinds))
        refuse("a key is a string or a number", "use a member that tells the items apart");
      return;
    case Wants::value:
    case Wants::parameter:
    case Wants::body:
      return;
  }
}

/// What is added to the input, or to an answer, later on would be sent too.
void FieldReader::sent_whole(const TemplateExpression& part, const std::string& pointer) {
  const Node& root = part.expression.root();
  bool whole = root.kind == NodeKind::name && !root.macro_variable && root.text == "input";
  if (is_output(root) && root.children[0].kind == NodeKind::member) {
    const std::size_t number = around_.number_of(root.children[0].text);
    const bool raw = number != Surroundings::nowhere && around_.is_raw[number];
    whole = part.pointer.empty() || raw;
  } else if (is_output(root) && root.children[0].text == "self") {
    whole = true;
  }
  if (!whole || part.interpolated) return;
  check_.warning("W421", pointer,
                 "the whole of `" + part.expression.source() + "` is sent to a participant",
                 "name the members it needs: what is added later would be sent too");
}

}  // namespace backstitch::dsl
