#include "tools.hpp"

#include <backstitch/dsl/check.hpp>
#include <backstitch/engine/explore/explore.hpp>

#include "fault_kind.hpp"
#include "subjects.hpp"

namespace backstitch::test {
namespace {

std::shared_ptr<const dsl::Definition> known_definition(const std::string& name) {
  static const auto known = [] {
    std::map<std::string, std::shared_ptr<const dsl::Definition>> parsed;
    for (const auto& [child, document] : known_children())
      parsed[child] = dsl::parse_definition(document.dump()).definition;
    for (const auto& subject : example_subjects())
      parsed[subject.definition["name"]] =
          dsl::parse_definition(subject.definition.dump()).definition;
    return parsed;
  }();
  const auto found = known.find(name);
  return found == known.end() ? nullptr : found->second;
}

dsl::Parsed parsed_of(const Json& definition) {
  dsl::CheckContext context;
  context.definition = [](const std::string& name, std::int64_t) { return known_definition(name); };
  return dsl::parse_and_check(definition.dump(), context);
}

}  // namespace

Checked check(const Json& definition) {
  Checked checked;
  for (const auto& finding : parsed_of(definition).findings) {
    ++checked.codes[finding.code];
    checked.has_errors = checked.has_errors || finding.severity == dsl::Severity::error;
  }
  return checked;
}

Verified verify(const Json& definition, std::uint64_t states_max) {
  const auto parsed = parsed_of(definition);
  Verified verified;
  if (!parsed.definition) return verified;
  const engine::Program program{parsed.definition, std::make_shared<engine::ServiceMap>()};
  engine::explore::Options options;
  options.states_max = states_max;
  const auto found = engine::explore::explore(program, options);
  verified.complete = found.complete;
  for (const auto& ending : found.endings) verified.endings.insert(to_text(ending.status));
  verified.notes = found.notes;
  verified.has_violations = !found.violations.empty();
  for (const auto& violation : found.violations)
    verified.said[violation.promise].insert(violation.what);
  verified.said["unreached"].insert(found.unreached.begin(), found.unreached.end());
  verified.said["assumed"].insert(found.assumptions.begin(), found.assumptions.end());
  return verified;
}

}  // namespace backstitch::test
