// Text from elsewhere, as a terminal may have it.
#include <string>

#include <doctest/doctest.h>

#include "foreign_text.hpp"

using namespace backstitch::app;

TEST_CASE("every control character is written out") {
  const std::pair<std::string, std::string> cases[] = {
      {"plain text, ümläut, 😀", "plain text, ümläut, 😀"},
      {"\x1b]0;title\x07", R"(\u001b]0;title\u0007)"},
      {"a\r\nb\tc", R"(a\u000d\u000ab\u0009c)"},
      {std::string("a\0b", 3), R"(a\u0000b)"},
      {"\x7f", R"(\u007f)"},
      {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0"},
      {"\u202a\u202b\u202c\u202d\u202e", R"(\u202a\u202b\u202c\u202d\u202e)"},
      {"\u2066\u2067\u2068\u2069", R"(\u2066\u2067\u2068\u2069)"},
      {"\u200e\u200f\u061c\u2028\u2029", R"(\u200e\u200f\u061c\u2028\u2029)"},
      {"\u2027\u202f\u2065\u206a", "\u2027\u202f\u2065\u206a"}};
  for (const auto& [text, shown] : cases) {
    CAPTURE(shown);
    CHECK(visible(text) == shown);
    CHECK(visible(visible(text)) == shown);
  }
}

TEST_CASE("line breaks and tabs of the layout stay, and no other control") {
  CHECK(visible("a\n\tb\r\x0b\x0c", Layout::kept) == "a\n\tb\\u000d\\u000b\\u000c");
}

TEST_CASE("bytes that are not UTF-8 are written out one by one") {
  const std::pair<std::string, std::string> cases[] = {
      {"\xff\xfe", R"(\xff\xfe)"},
      {"\x80", R"(\x80)"},
      {"\xc3", R"(\xc3)"},
      {"\xc3(", R"(\xc3()"},
      {"\xe2\x82", R"(\xe2\x82)"},
      {"\xc0\x9b", R"(\xc0\x9b)"},                  // overlong
      {"\xe0\x82\x9b", R"(\xe0\x82\x9b)"},          // overlong C1
      {"\xed\xa0\x80", R"(\xed\xa0\x80)"},          // a surrogate
      {"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},  // beyond Unicode
      {"\xf0\x9f\x98", R"(\xf0\x9f\x98)"}};
  for (const auto& [text, shown] : cases) {
    CAPTURE(shown);
    CHECK(visible(text) == shown);
  }
}

TEST_CASE("a text is cut between code points, and only if it is too long") {
  CHECK(shortened("äöü", 3) == "äöü");
  CHECK(shortened("äöüßäöüß", 8) == "äöüßäöüß");
  CHECK(shortened("äöüßäöüßä", 8) == "äöüßä...");
  CHECK(shortened("", 8).empty());
  CHECK(shortened(std::string(9, '\xff'), 8) == std::string(5, '\xff') + "...");
  CHECK(code_points("äö😀\xff") == 4);
}
