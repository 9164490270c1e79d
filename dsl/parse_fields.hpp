#pragma once
/// The parts that steps, services and defaults share: retry policies, outcome rules, requests.
#include <map>
#include <string>
#include <vector>

#include "parse_reader.hpp"

namespace backstitch::dsl {

/// What the whole document gives to its parts.
struct DocumentContext {
  std::map<std::string, RetrySpec> retry_policies;
  RetrySpec compensation_retry;
  std::optional<DurationField> compensation_attempt_timeout;
  OnExhausted compensation_on_exhausted = OnExhausted::suspend;
  PatternBudget patterns;
};

/// A policy, or the name of one of `policies`.
RetrySpec read_retry(const Json& value, const std::string& pointer,
                     const std::map<std::string, RetrySpec>& policies, Findings& findings);
std::vector<OutcomeRule> read_outcomes(const Json& value, const std::string& pointer,
                                       Findings& findings);
/// Takes `service`, `http`, `operation`, `query`, `headers` and `body` of `reader`.
Request read_request(Reader& reader, bool needs_service, bool may_have_body);
Probe read_probe(const Json& value, const std::string& pointer, const DocumentContext& context,
                 Findings& findings);
Completion read_completion(const Json& value, const std::string& pointer, Findings& findings);
Undo read_compensation(const Json& value, const std::string& pointer,
                       const DocumentContext& context, Findings& findings);
Service read_service(const Json& value, const std::string& pointer, bool registered,
                     const std::map<std::string, RetrySpec>& policies, Findings& findings);
OnExhausted read_on_exhausted(Reader& reader, OnExhausted otherwise);

}  // namespace backstitch::dsl
