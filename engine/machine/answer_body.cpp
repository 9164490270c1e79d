#include <backstitch/engine/machine/answer_body.hpp>

#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>
#include <utility>

#include <backstitch/base/ascii.hpp>
#include <backstitch/dsl/header_field.hpp>
#include <backstitch/dsl/json_gate.hpp>

#include "limits.hpp"

namespace backstitch::engine {
namespace {

constexpr std::string_view white_space = " \t\r\n";
constexpr std::size_t body_depth_max = 64;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(white_space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

bool is_json_type(std::string_view media_type) {
  return media_type == "application/json" || media_type == "text/json" ||
         media_type.ends_with("+json");
}

bool begins_like_json(std::string_view body) {
  const auto first = body.find_first_not_of(white_space);
  return first != std::string_view::npos && (body[first] == '{' || body[first] == '[');
}

bool is_latin1(std::string_view content_type) {
  std::string_view rest = content_type;
  for (auto next = rest.find(';'); next != std::string_view::npos; next = rest.find(';')) {
    rest.remove_prefix(next + 1);
    const std::string parameter = lower_case(trimmed(rest.substr(0, rest.find(';'))));
    if (!parameter.starts_with("charset=")) continue;
    std::string_view charset = std::string_view(parameter).substr(8);
    if (charset.size() >= 2 && charset.front() == '"' && charset.back() == '"')
      charset = charset.substr(1, charset.size() - 2);
    return charset == "iso-8859-1" || charset == "iso8859-1" || charset == "iso_8859-1" ||
           charset == "latin1" || charset == "latin-1";
  }
  return false;
}

std::string from_latin1(const std::string& bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 8);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0U | byte >> 6U);
      out += static_cast<char>(0x80U | (byte & 0x3FU));
    }
  }
  return out;
}

bool is_utf8(const std::string& bytes) {
  try {
    static_cast<void>(Json(bytes).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

/// A body that is not JSON, as far as it can be kept.
AnswerBody as_text(const std::string& text, std::string reason) {
  if (!is_utf8(text) || text.find('\0') != std::string::npos)
    return {nullptr, reason + "; it is not decodable as text either"};
  if (text.size() > answer_text_bytes_max) return {nullptr, reason + "; its text exceeds 64 KiB"};
  return {text, std::move(reason)};
}

/// Without a word of the body, which may hold what a history must not show.
std::string reason_of(const Error& error) {
  static constexpr std::pair<std::string_view, const char*> reasons[] = {
      {"json-integer-range", "a number outside the domain"},
      {"json-number-range", "a number outside the domain"},
      {"json-encoding", "not JSON: it is not UTF-8"},
      {"json-too-deep", "not JSON: nested deeper than 64"},
      {"json-duplicate-key", "not JSON: a key is duplicated"},
      {"json-nul", "not JSON: it holds the character U+0000"},
  };
  for (const auto& [reason, text] : reasons) {
    if (error.reason == reason) return text;
  }
  const auto [line, column] = dsl::line_and_column(error);
  return "not JSON: a syntax error at line " + std::to_string(line) + ", column " +
         std::to_string(column);
}

/// Compressed bytes are never JSON; JSON under a wrong label is still read.
AnswerBody encoded_body(std::string_view encoding, std::optional<Json> json) {
  if (json) return {std::move(*json), {}};
  const bool token = std::all_of(encoding.begin(), encoding.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == ',' || c == ' ';
  });
  return {nullptr, "not decodable: Content-Encoding is " +
                       (token ? std::string(encoding) : std::string("not a valid name")) +
                       ", where identity was asked for"};
}

}  // namespace

std::string quoted_beginning(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_blank = byte <= ' ' || byte == 0x7F;
    if (is_blank && (out.empty() || out.back() == ' ')) continue;
    out += is_blank ? ' ' : c;
    if (out.size() > answer_quoted_bytes_max) break;
  }
  out = cut_text(std::move(out), answer_quoted_bytes_max);
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

AnswerBody read_body(std::string_view content_type, std::string_view content_encoding,
                     const std::string& bytes) {
  if (trimmed(bytes).empty()) return {};
  const std::string converted =
      is_latin1(content_type) && !is_utf8(bytes) ? from_latin1(bytes) : std::string{};
  const std::string& body = converted.empty() ? bytes : converted;
  const std::string media_type = dsl::media_type_of(content_type);
  const std::string encoding = lower_case(trimmed(content_encoding));
  const bool encoded = !encoding.empty() && encoding != "identity";
  std::optional<Json> json;
  std::string reason = "not JSON: the media type is another one";
  if (is_json_type(media_type) || (media_type.empty() && begins_like_json(body))) {
    auto parsed = dsl::parse_json(
        body, {.bytes_max = std::numeric_limits<std::size_t>::max(), .depth_max = body_depth_max});
    if (parsed)
      json = std::move(*parsed);
    else
      reason = reason_of(parsed.error());
  } else if (media_type.empty()) {
    reason = "not JSON: it has no media type";
  }
  if (encoded) return encoded_body(encoding, std::move(json));
  if (json) return {std::move(*json), {}};
  return as_text(body, std::move(reason));
}

AnswerBody admitted_body(Json value, std::string unreadable) {
  auto taken = dsl::admit(std::move(value), {.bytes_max = std::numeric_limits<std::size_t>::max(),
                                             .depth_max = body_depth_max});
  if (taken) return {std::move(*taken), std::move(unreadable)};
  return {nullptr, reason_of(taken.error())};
}

AnswerBody oversized_body(std::size_t bytes_max) {
  return {nullptr, "larger than maxResponseBytes, which is " + std::to_string(bytes_max)};
}

}  // namespace backstitch::engine
