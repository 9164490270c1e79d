#include <backstitch/dsl/check.hpp>

#include "walk.hpp"

namespace backstitch::dsl {

std::vector<Finding> check_definition(const Definition& definition, const SourceMap& places,
                                      const CheckContext& context) {
  std::vector<Finding> findings;
  const Check check{definition, context, findings};
  check_structure(check);
  check_saga_rules(check);
  check_times(check);
  check_services(check);
  check_availability(check);
  check_types(check);
  for (auto& finding : findings) {
    const Place place = places.find(finding.pointer);
    finding.line = place.line;
    finding.column = place.column;
  }
  sort(findings);
  return findings;
}

Parsed parse_and_check(std::string_view text, const CheckContext& context,
                       const DefinitionLimits& limits) {
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
