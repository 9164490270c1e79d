#include <backstitch/dsl/check.hpp>

namespace backstitch::dsl {

std::vector<Finding> check_definition(const Definition&, const SourceMap&, const CheckContext&) { return {}; }

Parsed parse_and_check(std::string_view text, const CheckContext& context, const DefinitionLimits& limits) {
  Parsed parsed = parse_definition(text, limits);
  if (!parsed.definition) return parsed;
  for (auto& finding : check_definition(*parsed.definition, parsed.places, context)) {
    parsed.findings.push_back(std::move(finding));
  }
  sort(parsed.findings);
  if (has_errors(parsed.findings)) parsed.definition.reset();
  return parsed;
}

}  // namespace backstitch::dsl
