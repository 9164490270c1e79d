#include <backstitch/dsl/check.hpp>

#include <algorithm>

#include "children.hpp"
#include "walk.hpp"

namespace backstitch::dsl {
namespace {

/// A policy that several steps name is looked at once for each of them.
void keep_one_of_each(std::vector<Finding>& sorted) {
  const auto same = [](const Finding& a, const Finding& b) {
    return a.pointer == b.pointer && a.code == b.code && a.message == b.message;
  };
  std::vector<Finding> kept;
  for (auto& finding : sorted) {
    const bool again = std::any_of(kept.rbegin(), kept.rend(),
                                   [&](const Finding& before) { return same(before, finding); });
    if (!again) kept.push_back(std::move(finding));
  }
  sorted = std::move(kept);
}

void arrange(std::vector<Finding>& findings, const SourceMap& places) {
  for (auto& finding : findings) put(finding, places.find(finding.pointer));
  sort(findings);
  keep_one_of_each(findings);
}

void check_registered(const Check& check) {
  if (!check.context.registered_hash) return;
  const Definition& definition = check.definition;
  const std::string hash = check.context.registered_hash(definition.name, definition.version);
  if (hash.empty() || hash == definition.hash) return;
  check.error("E004", "/version",
              "version " + std::to_string(definition.version) + " of `" + definition.name +
                  "` is registered with other content",
              "a registered version never changes: raise `version`");
}

}  // namespace

std::vector<Finding> check_definition(const Definition& definition, const SourceMap& places,
                                      const CheckContext& context,
                                      const std::vector<Finding>& parsed) {
  std::vector<Finding> findings;
  const Unread unread(definition, parsed);
  const Children children(context);
  const Check check{definition, context, unread, children, findings};
  check_registered(check);
  check_structure(check);
  check_children(check);
  check_saga_rules(check);
  check_times(check);
  check_services(check);
  check_requests(check);
  check_outcomes(check);
  check_answers(check);
  check_reading(check);
  arrange(findings, places);
  return findings;
}

std::vector<Finding> check_service(const ParsedService& parsed, const std::string& name,
                                   const CheckContext& context) {
  // It is judged as the service of a definition in which nothing else is written.
  Definition around;
  around.services.emplace(name, *parsed.service);
  std::vector<Finding> findings;
  const Unread unread(around, {});
  const Children children(context);
  const Check check{around, context, unread, children, findings};
  check_structure(check);
  check_services(check);
  check_outcomes(check);
  check_answers(check);
  check_reading(check);
  arrange(findings, parsed.places);
  return findings;
}

Parsed parse_and_check(std::string_view text, const CheckContext& context,
                       const DefinitionLimits& limits) {
  Parsed parsed = parse_definition(text, limits);
  const bool too_large = std::any_of(parsed.findings.begin(), parsed.findings.end(),
                                     [](const Finding& finding) { return finding.code == "E001"; });
  if (!parsed.draft || too_large) return parsed;
  auto found = check_definition(*parsed.draft, parsed.places, context, parsed.findings);
  parsed.findings.insert(parsed.findings.end(), std::make_move_iterator(found.begin()),
                         std::make_move_iterator(found.end()));
  sort(parsed.findings);
  limit(parsed.findings);
  if (has_errors(parsed.findings)) parsed.definition.reset();
  return parsed;
}

}  // namespace backstitch::dsl
