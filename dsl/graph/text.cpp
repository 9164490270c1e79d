#include "text.hpp"

namespace backstitch::dsl::graph {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";
constexpr std::string_view ellipsis = "\xE2\x80\xA6";
constexpr char32_t bad = 0xFFFD;

/// Control characters, non-characters (XML 1.0 refuses both) and marks that turn the direction of
/// the text that follows.
bool is_no_text(char32_t c) {
  if (c >= 0xD800 && c <= 0xDFFF) return true;
  if ((c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE || c > 0x10FFFF) return true;
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

bool is_space(char32_t c) {
  return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029;
}

/// A line is best broken after a word or a segment, else between the parts of a name.
constexpr std::string_view breaks[] = {" /,&}", ".)-:"};

/// How much of `text` is one line of at most `most` bytes.
std::size_t end_of_line(std::string_view text, std::size_t most) {
  for (const auto separators : breaks) {
    const std::size_t last = text.substr(0, most).find_last_of(separators);
    if (last != std::string_view::npos && last >= most / 2) return last + 1;
  }
  return most;
}

/// The bytes of the first `chars` code points.
std::size_t bytes_of(std::string_view text, std::size_t chars) {
  std::string_view rest = text;
  while (chars > 0 && !rest.empty()) {
    take_code_point(rest);
    --chars;
  }
  return text.size() - rest.size();
}

}  // namespace

char32_t take_code_point(std::string_view& rest) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const unsigned first = byte(0);
  const std::size_t size = first < 0x80                    ? 1
                           : first >= 0xC2 && first < 0xE0 ? 2
                           : first >= 0xE0 && first < 0xF0 ? 3
                           : first >= 0xF0 && first < 0xF5 ? 4
                                                           : 0;
  char32_t c = size <= 1 ? first : first & (0xFFU >> (size + 1));
  bool good = size > 0 && size <= rest.size();
  for (std::size_t i = 1; good && i < size; ++i) {
    good = (byte(i) & 0xC0) == 0x80;
    c = (c << 6) | (byte(i) & 0x3F);
  }
  good = good && !(size == 3 && c < 0x800) && !(size == 4 && c < 0x10000);
  rest.remove_prefix(good ? size : 1);
  return good ? c : bad;
}

std::size_t code_points(std::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) take_code_point(text);
  return count;
}

std::string plain(std::string_view text) {
  std::string out;
  bool space = false;
  while (!text.empty()) {
    const std::string_view before = text;
    const char32_t c = take_code_point(text);
    if (is_space(c)) {
      space = true;
      continue;
    }
    if (space && !out.empty()) out += ' ';
    space = false;
    out += c == bad || is_no_text(c) ? replacement : before.substr(0, before.size() - text.size());
  }
  return out;
}

std::string shortened(std::string_view text, std::size_t chars) {
  if (code_points(text) <= chars) return std::string(text);
  return std::string(text.substr(0, bytes_of(text, chars - 1))).append(ellipsis);
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width, std::size_t max_lines) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() + 1 < max_lines && code_points(text) > width) {
    const std::size_t end = end_of_line(text, bytes_of(text, width));
    lines.push_back(plain(text.substr(0, end)));
    text.remove_prefix(end);
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  }
  if (!text.empty()) lines.push_back(shortened(text, width));
  return lines;
}

}  // namespace backstitch::dsl::graph
