#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/dsl/finding.hpp>

#include "message.hpp"

namespace backstitch::rest {

/// The one place that knows which HTTP status an error has.
int status_of(const Error& error);

/// An RFC 9457 problem document; `code` is Error::reason. Overloaded and unavailable carry
/// Retry-After.
Reply problem(const Error& error);
/// The same with an explicit status, for errors of the HTTP layer itself.
Reply problem(int status, std::string_view code, std::string_view message);
/// Adds `findings`, and `findingsMissing` if the bounds of an answer leave some out.
void add_findings(Json& body, const std::vector<dsl::Finding>& findings);
/// 422 with the findings of what was refused: a `definition` or a `service`.
Reply findings_problem(const std::string& refused, const std::vector<dsl::Finding>& findings);

}  // namespace backstitch::rest
