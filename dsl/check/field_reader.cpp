#include <algorithm>

#include "../excerpt.hpp"
#include "../foreign_references.hpp"
#include "reading.hpp"

namespace backstitch::dsl {
namespace {

bool calls_path(const Node& node) {
  return is_path_call(node) || std::any_of(node.children.begin(), node.children.end(), calls_path);
}

bool is_output(const Node& node) {
  return node.kind == NodeKind::member && node.text == "output";
}

Kinds kinds_wanted(Wants wants) {
  switch (wants) {
    case Wants::condition:
      return boolean_kind;
    case Wants::duration:
      return string_kind;
    case Wants::list:
      return array_kind;
    case Wants::key:
      return text_kinds;
    case Wants::value:
    case Wants::time:
    case Wants::path:
    case Wants::parameter:
    case Wants::body:
      break;
  }
  return any_kind;
}

}  // namespace

Type FieldReader::read(const Field& field, const Roots& roots) {
  if (const auto* source = std::get_if<const Expression*>(&field.source)) {
    Type type = expression(**source, field.pointer, field, roots);
    wanted(type, field);
    return type;
  }
  const Template& source = *std::get<const Template*>(field.source);
  std::vector<Type> parts;
  Type type = type_of(source, Origin::other, [&](const TemplateExpression& one) {
    parts.push_back(part(one, field, roots));
    return parts.back();
  });
  if (field.wants == Wants::path) segments(source, parts, field.pointer);
  plain_texts(source, field.pointer, roots);
  const bool is_one_value = parts.size() == 1 && source.skeleton() == "\x01";
  if (field.wants == Wants::time && is_one_value) unconfined(parts.front(), field);
  return type;
}

/// A reference in the syntax of another tool is a text here, and is sent as it is.
void FieldReader::plain_texts(const Template& source, const std::string& pointer,
                              const Roots& roots) {
  for (const auto& text : source.constant_texts()) {
    for (const auto& reference : foreign_references(text.text, text.is_whole)) {
      const auto path = Expression::compile(reference.path);
      if (!path || !typing_.leads_to_member(*path, roots)) continue;
      check_.warning("W426", pointer + text.pointer,
                     "`" + excerpt(reference.written, 80) +
                         "` is a plain text, not a reference to `" + excerpt(reference.path, 80) +
                         "`",
                     "write `${" + excerpt(reference.path, 80) + "}`");
    }
  }
}

/// A segment of nothing but an empty text addresses the collection.
void FieldReader::segments(const Template& path, const std::vector<Type>& parts,
                           const std::string& pointer) {
  const std::string skeleton = path.skeleton();
  const std::string_view text = std::string_view(skeleton).substr(0, skeleton.find('?'));
  std::size_t next = 0;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const std::string_view segment = text.substr(begin, end - begin);
    bool may_be_empty = !segment.empty();
    std::size_t source = next;
    for (const char c : segment) {
      const bool inserted = c == '\x01' && next < parts.size();
      may_be_empty = may_be_empty && inserted && schemas_.may_be_empty_text(parts[next]);
      if (inserted) ++next;
    }
    if (may_be_empty) {
      check_.warning("W424", pointer,
                     "`" + path.expressions()[source].expression.source() +
                         "` may be an empty text, and the path would then address the collection",
                     "give its schema \"minLength\": 1");
    }
    begin = end + 1;
  }
}

Type FieldReader::expression(const Expression& source, const std::string& pointer,
                             const Field& field, const Roots& roots) {
  names_.look(source, pointer, field.sees);
  const bool whole = field.wants == Wants::path && is_path_call(source.root());
  const auto& inside = source.root();
  const bool elsewhere =
      whole ? std::any_of(inside.children.begin(), inside.children.end(), calls_path)
            : calls_path(inside);
  if (elsewhere) {
    check_.error(
        "E410", pointer,
        "`path()` inserts segments of a path, and this is not the whole of a `${ }` of one",
        "write ${path(…)} in \"http\"");
  }
  return typing_.type_of(source, pointer, roots);
}

Type FieldReader::part(const TemplateExpression& part, const Field& field, const Roots& roots) {
  const std::string pointer = field.pointer + part.pointer;
  Type type = expression(part.expression, pointer, field, roots);
  const Kinds texts = part.interpolated ? Kinds{text_kinds} : Kinds{text_kinds | null_kind};
  const bool becomes_text = part.interpolated || field.wants == Wants::parameter;
  const auto fails_for_some = [&](const std::string& use) {
    check_.error("E416", pointer,
                 use + ", and this part of `failure` may be " + to_text(type.kinds) + ", in `" +
                     part.expression.source() + "`",
                 "send it in the body, or write json(…)");
  };
  if (becomes_text && type.may_be(texts) && !type.suits(texts))
    fails_for_some("a part of a text is a string, number or boolean");
  else if (field.wants == Wants::path && type.origin == Origin::failure)
    fails_for_some("a segment of a path holds no `/` and is not empty");
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
    const bool for_some = type.origin == Origin::failure && type.may_be(kinds_wanted(field.wants));
    check_.error(for_some ? "E416" : "E412", field.pointer, what + ", not " + to_text(type.kinds),
                 hint);
  };
  switch (field.wants) {
    case Wants::condition:
      if (!type.suits(boolean_kind))
        refuse("a condition is true or false", "compare it with something");
      return;
    case Wants::duration:
      if (!type.suits(string_kind))
        refuse("a duration is a text like \"10s\"", "write string(…) + 's'");
      return unconfined(type, field);
    case Wants::list:
      if (!type.suits(array_kind)) return refuse("`forEach` goes over an array", "name an array");
      if (type.missing)
        check_.error(type.origin == Origin::input ? "E409" : "E406", field.pointer,
                     "`forEach` goes over what may be missing", "write `?? []` for its absence");
      return;
    case Wants::key:
      if (!type.suits(text_kinds))
        refuse("a key is a string or a number", "use a member that tells the items apart");
      return;
    case Wants::value:
    case Wants::time:
    case Wants::path:
    case Wants::parameter:
    case Wants::body:
      return;
  }
}

/// A duration or a time from a text that may be anything.
void FieldReader::unconfined(const Type& type, const Field& field) {
  if (!schemas_.may_be_any_text(type)) return;
  const bool is_time = field.wants == Wants::time;
  check_.warning("W427", field.pointer,
                 std::string(is_time ? "a time" : "a duration") +
                     " is read from an input that may be any text, and other texts fail the step",
                 is_time ? "give its schema \"format\": \"date-time\""
                         : "give its schema \"pattern\": \"^([0-9]+(d|h|m|s|ms))+$\"");
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
