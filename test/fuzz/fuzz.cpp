#include "fuzz.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>

namespace backstitch::fuzz {
namespace {

std::vector<std::string> parts_of(std::string_view pointer) {
  std::vector<std::string> parts;
  for (const char c : pointer) {
    if (c == '/')
      parts.emplace_back();
    else if (!parts.empty())
      parts.back() += c;
  }
  for (auto& part : parts) {
    for (auto at = part.find('~'); at != std::string::npos; at = part.find('~', at + 1))
      part.replace(at, 2, part[at + 1] == '0' ? "~" : "/");
  }
  return parts;
}

const Json* child_of(const Json& parent, const std::string& name) {
  if (parent.is_object()) {
    const auto found = parent.find(name);
    return found == parent.end() ? nullptr : &*found;
  }
  if (!parent.is_array() || name.empty() || name.size() > 9) return nullptr;
  if (name.find_first_not_of("0123456789") != std::string::npos) return nullptr;
  const std::size_t index = std::stoul(name);
  return index < parent.size() ? &parent[index] : nullptr;
}

void require_sound(const dsl::Finding& finding, std::size_t lines_in_text, const Json* document) {
  const auto& code = finding.code;
  const bool named = code.size() == 4 && (code[0] == 'E' || code[0] == 'W' || code[0] == 'I') &&
                     code.find_first_not_of("0123456789", 1) == std::string::npos;
  require(named, "a finding has a code like E101", code);
  require((code[0] == 'E') == (finding.severity == dsl::Severity::error),
          "E is an error, and nothing else is", code);
  require(!finding.message.empty(), "a finding says something", code);
  require(is_utf8(finding.message), "a finding's message is UTF-8", finding.message);
  require(is_utf8(finding.hint), "a finding's hint is UTF-8", finding.hint);
  require(is_utf8(finding.pointer), "a finding's pointer is UTF-8", finding.pointer);
  require(is_pointer(finding.pointer), "a finding has a JSON pointer", finding.pointer);
  require(document == nullptr || names_a_place(*document, finding.pointer),
          "a finding's pointer names something in the document", finding.pointer);
  require(finding.line >= 1 && finding.line <= lines_in_text, "a finding has a line of the text",
          code + " " + finding.pointer);
  require(finding.column >= 1, "a finding has a column", code + " " + finding.pointer);
}

}  // namespace

void require(bool holds, std::string_view sentence, std::string_view shown) {
  if (holds) return;
  std::fprintf(stderr, "DOES NOT HOLD: %.*s%s%.*s\n", static_cast<int>(sentence.size()),
               sentence.data(), shown.empty() ? "" : ": ", static_cast<int>(shown.size()),
               shown.data());
  std::abort();
}

bool is_utf8(std::string_view text) {
  try {
    return !Json(std::string(text)).dump().empty();
  } catch (const Json::type_error&) {
    return false;
  }
}

bool is_pointer(std::string_view pointer) {
  if (!pointer.empty() && pointer.front() != '/') return false;
  for (auto at = pointer.find('~'); at != std::string_view::npos; at = pointer.find('~', at + 1)) {
    if (at + 1 >= pointer.size() || (pointer[at + 1] != '0' && pointer[at + 1] != '1'))
      return false;
  }
  return true;
}

bool names_a_place(const Json& document, std::string_view pointer) {
  const auto parts = parts_of(pointer);
  const Json* at = &document;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Json* child = child_of(*at, parts[i]);
    if (child == nullptr) return i + 1 == parts.size();
    at = child;
  }
  return true;
}

std::vector<std::string_view> lines(std::string_view text, std::size_t parts) {
  std::vector<std::string_view> out;
  while (out.size() + 1 < parts) {
    const auto end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  out.push_back(text);
  return out;
}

void require_sound(const std::vector<dsl::Finding>& findings, std::string_view text,
                   const Json* document) {
  const auto lines_in_text =
      static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (const auto& finding : findings) require_sound(finding, lines_in_text, document);
}

void require_sound(const Error& error) {
  require(!error.reason.empty() && !error.message.empty(), "an error has a reason and a message");
  require(is_utf8(error.message), "an error's message is UTF-8", error.message);
  for (const auto& detail : error.details) {
    require(is_utf8(detail.message), "a detail's message is UTF-8", detail.message);
    require(is_utf8(detail.pointer), "a detail's pointer is UTF-8", detail.pointer);
  }
}

void require_storable(const Json& value) {
  require(is_utf8(value.dump(-1, ' ', false, Json::error_handler_t::ignore)), "text is UTF-8");
  const std::string text = json_text(value);
  const auto read = dsl::parse_json(text, {.bytes_max = text.size(), .depth_max = 1'000});
  require(read.has_value(), "a value passes the gate", read ? "" : read.error().message);
  require(*read == value, "a value means the same when it is read back", text);
}

}  // namespace backstitch::fuzz
