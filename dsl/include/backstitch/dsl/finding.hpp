#pragma once
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>

namespace backstitch::dsl {

enum class Severity { error, warning };

/// One thing that is wrong with a definition.
struct Finding {
  std::string code;  ///< E… or W…, stable; docs/findings.md lists them
  Severity severity = Severity::error;
  std::string pointer;       ///< JSON pointer (RFC 6901) into the document
  std::uint32_t line = 0;    ///< 1-based; 0: unknown
  std::uint32_t column = 0;  ///< 1-based; 0: unknown
  std::string message;
  std::string hint;  ///< how to put it right; may be empty
  bool operator==(const Finding&) const = default;
};

bool has_errors(const std::vector<Finding>& findings);
/// {"code","severity","pointer","line","message","hint"}
Json to_json(const Finding& finding);
/// Orders by line, then pointer, then code: as a reader meets them.
void sort(std::vector<Finding>& findings);

}  // namespace backstitch::dsl
