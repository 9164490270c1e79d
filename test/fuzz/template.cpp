/// Templates: JSON with `${ }` inside, compiled and rendered.
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/template.hpp>

#include "scope.hpp"

namespace backstitch::fuzz {
namespace {
void require_refused_well(const Error& error, const Json& source) {
  require_sound(error);
  require(!error.details.empty(), "a compiler's error has its places");
  for (const auto& detail : error.details) {
    require(is_pointer(detail.pointer) && names_a_place(source, detail.pointer),
            "a compiler's error names a string of the template", detail.pointer);
  }
}

void require_rendered_well(const dsl::Template& compiled) {
  dsl::Budget first;
  dsl::Budget second;
  const auto once = compiled.render(FixedScope::instance(), first);
  const auto twice = compiled.render(FixedScope::instance(), second);
  require(once.has_value() == twice.has_value(), "rendering ends the same way twice");
  require(first.steps == second.steps && first.result_bytes == second.result_bytes,
          "rendering spends the same twice");
  if (!once) {
    require_sound(once.error());
    require(once.error().message == twice.error().message, "rendering fails the same way twice");
    require(!compiled.is_constant(), "a constant cannot fail");
    return;
  }
  require(*once == *twice, "rendering gives the same twice");
  require_storable(*once);
}

void as_value(const Json& source) {
  const auto compiled = dsl::Template::compile(source);
  if (!compiled) return require_refused_well(compiled.error(), source);
  require(compiled->source() == source, "a template keeps its source");
  require(compiled->is_constant() == compiled->expressions().empty(),
          "a template is constant exactly if it has no expression");
  for (const auto& one : compiled->expressions())
    require(is_pointer(one.pointer) && names_a_place(source, one.pointer),
            "an expression names its place", one.pointer);
  require_rendered_well(*compiled);
}

void as_text(const std::string& source) {
  const auto compiled = dsl::Template::compile_text(source);
  if (!compiled) return require_refused_well(compiled.error(), source);
  dsl::Budget budget;
  const auto text = compiled->render_text(FixedScope::instance(), budget);
  if (text) require(is_utf8(*text), "a text is UTF-8", *text);
  dsl::Budget other;
  const auto parts = compiled->render_parts(FixedScope::instance(), other);
  require(text.has_value() == parts.has_value(), "parts fail where the text fails");
  std::string joined;
  std::size_t inserted = 0;
  for (const auto& part : parts ? *parts : std::vector<dsl::TextPart>{}) {
    joined += part.text;
    inserted += part.inserted ? 1 : 0;
  }
  if (text) require(joined == *text, "the parts are the text", joined);
  if (text) require(inserted == compiled->expressions().size(), "each expression is a part");
  if (compiled->is_constant()) require(compiled->skeleton() == *text, "a constant is its skeleton");
}

}  // namespace

void look_at(std::string_view input) {
  if (const auto source = dsl::parse_json(input)) {
    as_value(*source);
    if (source->is_string()) as_text(source->get<std::string>());
  } else if (is_utf8(input) && input.find('\0') == std::string_view::npos) {
    as_text(std::string(input));
  }
}

}  // namespace backstitch::fuzz
