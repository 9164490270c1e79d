/// Payload schemas: the first line is a schema, what follows is a value.
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/payload_schema.hpp>
#include <backstitch/dsl/taint.hpp>

#include "fuzz.hpp"

namespace backstitch::fuzz {
namespace {

constexpr std::size_t errors_max = 50;
const std::string base = "/input";

std::shared_ptr<const dsl::PayloadSchema> compiled(const Json& source) {
  std::shared_ptr<const dsl::PayloadSchema> schema;
  const auto findings = dsl::PayloadSchema::compile(source, base, schema);
  require((schema == nullptr) == dsl::has_errors(findings),
          "a schema is refused exactly if it has an error");
  for (const auto& finding : findings) {
    require(finding.code == "E501", "a schema's finding is E501", finding.code);
    require(is_utf8(finding.message), "a finding's message is UTF-8", finding.message);
    require(finding.pointer.starts_with(base), "a finding's place is in the schema",
            finding.pointer);
    require(names_a_place(source, finding.pointer.substr(base.size())),
            "a finding names something in the schema", finding.pointer);
  }
  return schema;
}

void require_errors_sound(const std::vector<ErrorDetail>& errors, const Json& value) {
  require(errors.size() <= errors_max, "at most 50 violations are listed");
  for (const auto& error : errors) {
    require(is_pointer(error.pointer) && names_a_place(value, error.pointer),
            "a violation names its place", error.pointer);
    require(is_utf8(error.message), "a violation's message is UTF-8", error.message);
  }
}

void look_at_value(const dsl::PayloadSchema& schema, const Json& value) {
  const auto errors = schema.validate(value);
  require_errors_sound(errors, value);
  require(schema.validate(value) == errors, "the same value has the same violations");

  const Json filled = schema.with_defaults(value);
  require_storable(filled);
  require(schema.with_defaults(filled) == filled, "defaults are filled in once");
  require_errors_sound(schema.validate(filled), filled);

  const dsl::Taint marked = dsl::taint_of(schema);
  const Json masked = dsl::masked(value, marked);
  require_storable(masked);
  require(marked.any() || masked == value, "what is not marked is shown");
  require(dsl::masked(masked, marked) == masked, "what is masked stays so");
}

}  // namespace

void look_at(std::string_view input) {
  const auto parts = lines(input, 2);
  const auto source = dsl::parse_json(parts[0]);
  if (!source) return;
  const auto schema = compiled(*source);
  if (!schema) return;
  require(schema->source() == *source, "a schema keeps its source");
  if (const auto value = dsl::parse_json(parts[1])) look_at_value(*schema, *value);
}

}  // namespace backstitch::fuzz
