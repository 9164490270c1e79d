#include "foreign_references.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace backstitch::dsl {
namespace {

constexpr std::size_t text_chars_max = 4'000;  ///< of a text that is searched

/// Longer marks come before those that they begin with.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> brackets{
    {{"{{", "}}"}, {"<%=", "%>"}, {"#{", "}"}, {"%{", "}"}, {"@{", "}"}, {"$(", ")"}, {"{", "}"}}};

bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::size_t end_of_name(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() && (begins_name(text[end]) || (text[end] >= '0' && text[end] <= '9')))
    ++end;
  return end;
}

/// The end of `name.member.member` from `begin` on; `begin` if there is no such path.
std::size_t end_of_path(std::string_view text, std::size_t begin) {
  if (begin >= text.size() || !begins_name(text[begin])) return begin;
  std::size_t end = end_of_name(text, begin);
  bool has_member = false;
  while (end < text.size()) {
    const std::size_t dot = text.substr(end).starts_with("?.") ? 2 : text[end] == '.' ? 1 : 0;
    if (dot == 0 || end + dot >= text.size() || !begins_name(text[end + dot])) break;
    end = end_of_name(text, end + dot);
    has_member = true;
  }
  return has_member ? end : begin;
}

std::size_t skip_spaces(std::string_view text, std::size_t at) {
  const std::size_t found = text.find_first_not_of(" \t\n", at);
  return std::min(found, text.size());
}

/// `$.` and `$` of JSONPath and shells, `.` of Go templates.
std::size_t skip_root_mark(std::string_view text, std::size_t at) {
  if (at < text.size() && text[at] == '$') ++at;
  if (at < text.size() && text[at] == '.') ++at;
  return at;
}

struct Match {
  ForeignReference reference;
  std::size_t end;
};

std::optional<Match> match_brackets(std::string_view text, std::size_t at) {
  // Only the escape `$${` leads to `${` in a text: the author means the characters.
  const bool is_escaped = at > 0 && text[at - 1] == '$' && text[at] == '{';
  for (const auto& [open, close] : brackets) {
    if (is_escaped || !text.substr(at).starts_with(open)) continue;
    const std::size_t begin = skip_root_mark(text, skip_spaces(text, at + open.size()));
    const std::size_t end = end_of_path(text, begin);
    const std::size_t closing = text.find(close, end);
    if (end == begin || closing == std::string_view::npos) return std::nullopt;
    const std::size_t behind = closing + close.size();
    return Match{
        {std::string(text.substr(at, behind - at)), std::string(text.substr(begin, end - begin))},
        behind};
  }
  return std::nullopt;
}

std::optional<Match> match_dollar(std::string_view text, std::size_t at) {
  if (text[at] != '$') return std::nullopt;
  const std::size_t begin = skip_root_mark(text, at);
  const std::size_t end = end_of_path(text, begin);
  if (end == begin) return std::nullopt;
  return Match{
      {std::string(text.substr(at, end - at)), std::string(text.substr(begin, end - begin))}, end};
}

}  // namespace

std::vector<ForeignReference> foreign_references(std::string_view text, bool is_whole) {
  std::vector<ForeignReference> found;
  if (text.size() > text_chars_max) return found;
  const bool is_path = !text.empty() && end_of_path(text, 0) == text.size();
  if (is_whole && is_path) found.push_back({std::string(text), std::string(text)});
  for (std::size_t i = 0; i < text.size();) {
    auto match = match_brackets(text, i);
    if (!match) match = match_dollar(text, i);
    i = match ? match->end : i + 1;
    if (match) found.push_back(std::move(match->reference));
  }
  return found;
}

}  // namespace backstitch::dsl
