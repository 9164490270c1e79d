#include <backstitch/dsl/header_field.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <backstitch/base/ascii.hpp>

namespace backstitch::dsl {
namespace {

constexpr std::array<std::string_view, 12> of_http{"host",
                                                   "content-length",
                                                   "transfer-encoding",
                                                   "content-encoding",
                                                   "connection",
                                                   "keep-alive",
                                                   "proxy-connection",
                                                   "upgrade",
                                                   "te",
                                                   "trailer",
                                                   "expect",
                                                   "http2-settings"};
constexpr std::array<std::string_view, 6> of_engine{"authorization",   "proxy-authorization",
                                                    "idempotency-key", "accept-encoding",
                                                    "traceparent",     "tracestate"};
/// Saga-Id, Saga-Step and whatever joins them.
constexpr std::string_view engine_prefix = "saga-";
constexpr std::array<std::string_view, 4> shared{"accept", "user-agent", "content-type",
                                                 "cache-control"};

char folded(char c) {
  return c == '_' ? '-' : lower_case(c);
}

template <class Names>
bool is_among(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view known) { return is_same_header(known, name); });
}

/// By byte: 1 for what a token may hold.
constexpr std::array<bool, 256> token_bytes = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/// For every header of every call, so looked up.
constexpr auto field_bytes = [] {
  std::array<bool, 256> is{};
  for (std::size_t byte = 0; byte < is.size(); ++byte)
    is.at(byte) = (byte >= 0x20 && byte != 0x7F) || byte == '\t';
  return is;
}();

bool is_field_byte(char c) {
  return field_bytes[static_cast<unsigned char>(c)];
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return token_bytes[static_cast<unsigned char>(c)];
  });
}

bool is_field_value(std::string_view text) {
  if (text.empty()) return true;
  return !is_blank(text.front()) && !is_blank(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_field_byte(c); });
}

std::string as_field_value(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return !is_field_byte(c); }, ' ');
  while (!text.empty() && is_blank(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), is_blank));
  return text;
}

bool is_same_header(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return folded(x) == folded(y); });
}

std::string media_type_of(std::string_view content_type) {
  constexpr std::string_view white_space = " \t\r\n";
  std::string_view type = content_type.substr(0, content_type.find(';'));
  type.remove_prefix(std::min(type.find_first_not_of(white_space), type.size()));
  type = type.substr(0, type.find_last_not_of(white_space) + 1);
  return lower_case(type);
}

HeaderOwner owner_of_header(std::string_view name) {
  if (is_among(of_http, name)) return HeaderOwner::http;
  if (is_among(of_engine, name) ||
      is_same_header(name.substr(0, engine_prefix.size()), engine_prefix))
    return HeaderOwner::engine;
  return is_among(shared, name) ? HeaderOwner::shared : HeaderOwner::author;
}

bool is_authors_header(std::string_view name) {
  const HeaderOwner owner = owner_of_header(name);
  return owner == HeaderOwner::author || owner == HeaderOwner::shared;
}

std::optional<HeaderField> HeaderField::of(std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_field_value(value)) return std::nullopt;
  return HeaderField(name, value);
}

}  // namespace backstitch::dsl
