// What HTTP allows in a header, and who may write which.
#include <string>

#include <doctest/doctest.h>

#include <backstitch/dsl/header_field.hpp>

namespace backstitch::test {
namespace {

using dsl::HeaderField;
using dsl::HeaderOwner;

TEST_CASE("a header field holds a token and a field value, whatever bytes it is made of") {
  for (int byte = 0; byte < 256; ++byte) {
    CAPTURE(byte);
    const std::string text = std::string("a") + static_cast<char>(byte) + "b";
    const bool is_visible = byte > 0x20 && byte < 0x7F;
    const bool is_delimiter =
        std::string("\"(),/:;<=>?@[\\]{}").find(static_cast<char>(byte)) != std::string::npos;
    CHECK(dsl::is_token(text) == (is_visible && !is_delimiter));
    CHECK(dsl::is_field_value(text) == (byte == '\t' || byte == ' ' || is_visible || byte >= 0x80));
    CHECK(HeaderField::of(text, "v").has_value() == dsl::is_token(text));
    CHECK(HeaderField::of("n", text).has_value() == dsl::is_field_value(text));
  }
  CHECK_FALSE(dsl::is_token(""));
  CHECK(dsl::is_field_value(""));
  for (const char* padded : {" a", "a ", "\ta", "a\t", " "})
    CHECK_FALSE(dsl::is_field_value(padded));
}

TEST_CASE("every text becomes a field value that keeps what HTTP can carry") {
  CHECK(dsl::as_field_value(" a\r\nb\t c\x7f ") == "a  b\t c");
  CHECK(dsl::as_field_value(std::string("\0\x1b[31mä", 8)) == "[31mä");
  CHECK(dsl::as_field_value("\r\n").empty());
}

TEST_CASE("headers that a participant may take for one are the same") {
  CHECK(dsl::is_same_header("X-Key", "x_kEY"));
  CHECK_FALSE(dsl::is_same_header("X-Key", "X-Keys"));
  CHECK_FALSE(dsl::is_same_header("X-Key", ""));
}

TEST_CASE("headers of HTTP and of the engine are no author's, however they are written") {
  for (const char* name : {"Host", "content-length", "Content_Length", "TRANSFER-ENCODING",
                           "Connection", "Keep-Alive", "Upgrade", "TE", "Trailer", "Expect"}) {
    CAPTURE(name);
    CHECK(dsl::owner_of_header(name) == HeaderOwner::http);
    CHECK_FALSE(dsl::is_authors_header(name));
  }
  for (const char* name : {"Idempotency-Key", "IDEMPOTENCY_KEY", "Saga-Id", "saga_phase",
                           "Saga-Later", "Authorization", "traceparent", "Accept-Encoding"}) {
    CAPTURE(name);
    CHECK(dsl::owner_of_header(name) == HeaderOwner::engine);
    CHECK_FALSE(dsl::is_authors_header(name));
  }
  for (const char* name : {"X-Key", "Sagas", "saga", "Hosts", "Accept", "Content-Type"})
    CHECK(dsl::is_authors_header(name));
}

}  // namespace
}  // namespace backstitch::test
