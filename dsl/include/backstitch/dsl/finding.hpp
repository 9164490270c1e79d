#pragma once
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>

namespace backstitch::dsl {

enum class Severity { error, warning };

/// A document that is wrong all over is told so many errors, and as many warnings.
inline constexpr std::size_t findings_max = 500;

/// One thing that is wrong with a definition.
struct Finding {
  std::string code;  ///< E… or W…, stable; docs/findings.md lists them
  Severity severity = Severity::error;
  std::string pointer;       ///< JSON pointer (RFC 6901) into the document
  std::uint32_t line = 0;    ///< 1-based; 0: unknown
  std::uint32_t column = 0;  ///< 1-based, in characters; 0: unknown
  std::string message;
  std::string hint;          ///< how to put it right
  std::uint32_t length = 0;  ///< how many characters of the line it is about; 0: unknown
  bool operator==(const Finding&) const = default;
};

/// Where there are too many errors, keeps the first and says so.
void limit(std::vector<Finding>& findings);
bool has_errors(const std::vector<Finding>& findings);
/// The error with those of the findings that are errors as its details.
Error with_errors(Error error, const std::vector<Finding>& findings);
/// {"code","severity","pointer","line","message","hint"}
Json to_json(const Finding& finding);
/// Orders by line, then pointer, then code: as a reader meets them.
void sort(std::vector<Finding>& findings);

}  // namespace backstitch::dsl
