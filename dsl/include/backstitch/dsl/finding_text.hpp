#pragma once
#include <functional>
#include <string>
#include <string_view>

#include <backstitch/dsl/finding.hpp>

namespace backstitch::dsl {

/// What may have a colour of its own.
enum class Ink { error, warning, margin, caret, hint };
using Paint = std::function<std::string(Ink, std::string_view)>;

/// The document as it was read.
struct SourceText {
  std::string_view file;
  std::string_view text;
};

/// A finding as a compiler would print it: place and message, the line with a caret under what it
/// is about, the pointer, and how to put it right. In the line tabs become spaces, control
/// characters and bytes that are no UTF-8 are replaced, and what is long is cut around the caret;
/// elsewhere control characters are escaped as in JSON.
std::string to_text(const Finding& finding, const SourceText& source, const Paint& paint);

/// `2 errors, 1 warning in order.json`, `more than 500 errors in order.json`, or `order.json: no
/// findings`.
std::string summary(const std::vector<Finding>& findings, std::string_view file);

}  // namespace backstitch::dsl
