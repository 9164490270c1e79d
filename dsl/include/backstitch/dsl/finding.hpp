#pragma once
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>

namespace backstitch::dsl {

/// An error refuses the definition; a warning is likely to be a mistake; an info is worth knowing
/// and changes no exit code.
enum class Severity { error, warning, info };
const char* to_text(Severity severity);

/// A document that is wrong all over is told so many errors, and as many of each other severity.
inline constexpr std::size_t findings_max = 500;
/// The findings of one answer have at most so much JSON text.
inline constexpr std::size_t findings_bytes_max = 256 * 1024;

/// One thing that is wrong with a definition.
struct Finding {
  std::string code;  ///< E…, W… or I…, stable; docs/findings.md lists them
  Severity severity = Severity::error;
  std::string pointer;       ///< JSON pointer (RFC 6901) into the document
  std::uint32_t line = 0;    ///< 1-based; 0: unknown
  std::uint32_t column = 0;  ///< 1-based, in characters; 0: unknown
  std::string message;
  std::string hint;          ///< how to put it right
  std::uint32_t length = 0;  ///< how many characters of the line it is about; 0: unknown
  bool operator==(const Finding&) const = default;
};

/// The longest message and hint, and the longest pointer, in bytes: a document that is wrong all
/// over is not told its own text again with each finding.
inline constexpr std::size_t finding_text_bytes_max = 1'000;
inline constexpr std::size_t finding_pointer_bytes_max = 1'000;

/// Every finding is added here: a text that is too long is cut, a pointer that is too long becomes
/// that of the nearest object or array around.
void add_finding(std::vector<Finding>& findings, Finding finding);
/// The same bounds for what is wrong with a value.
ErrorDetail bounded(ErrorDetail detail);
/// Where there are too many errors, keeps the first and says so with the last.
void limit(std::vector<Finding>& findings);
/// Whether limit() has left errors out.
bool is_limited(const std::vector<Finding>& findings);
bool has_errors(const std::vector<Finding>& findings);
/// The error with those of the findings that are errors as its details.
Error with_errors(Error error, const std::vector<Finding>& findings);
/// {"code","severity","pointer","line","message","hint"}
Json to_json(const Finding& finding);
/// The findings of one answer, in their order: at most `findings_max` of them and
/// `findings_bytes_max` of text, errors first, then warnings.
struct ShownFindings {
  std::vector<Finding> list;
  std::size_t missing = 0;  ///< how many the list leaves out
};
ShownFindings shown(const std::vector<Finding>& findings);
Json json_list(const std::vector<Finding>& findings);
/// Orders by line, then pointer, then code: as a reader meets them.
void sort(std::vector<Finding>& findings);

}  // namespace backstitch::dsl
