#pragma once
/// Header fields of requests: what HTTP allows them to hold (RFC 9110, 5), and who writes which.
/// One rule for the checker, for what templates render, for answers, and for the request's writer.
#include <optional>
#include <string>
#include <string_view>

namespace backstitch::dsl {

/// The name of a header (RFC 9110, 5.1 and 5.6.2).
bool is_token(std::string_view text);
/// RFC 9110, 5.5: visible characters and bytes above 0x7F, with spaces and tabs only between them.
/// No other control character. An empty value is one.
bool is_field_value(std::string_view text);
/// The nearest field value: a space in the place of each other control character, no spaces around.
std::string as_field_value(std::string text);
/// Whether both names reach a participant as one header. Letters compare without case, and `_` as
/// `-`: CGI and WSGI give both the same name.
bool is_same_header(std::string_view a, std::string_view b);
/// `type/subtype` of a Content-Type, in lower case, without parameters (RFC 9110, 8.3.1).
std::string media_type_of(std::string_view content_type);

/// Who may write a header of a request.
enum class HeaderOwner {
  http,    ///< framing and the connection: the engine's HTTP client alone
  engine,  ///< identity, keys, tracing and credentials: the engine alone
  shared,  ///< the engine, unless the service or the request states it
  author   ///< the service or the request
};
HeaderOwner owner_of_header(std::string_view name);
/// Whether a service or a request may state this header.
bool is_authors_header(std::string_view name);

/// A name and a value that cannot be anything else. Views: what they were made of outlives them.
class HeaderField {
 public:
  /// @return nothing if the name is not a token or the value not a field value
  static std::optional<HeaderField> of(std::string_view name, std::string_view value);
  std::string_view name() const { return name_; }
  std::string_view value() const { return value_; }

 private:
  HeaderField(std::string_view name, std::string_view value) : name_(name), value_(value) {}
  std::string_view name_;
  std::string_view value_;
};

}  // namespace backstitch::dsl
