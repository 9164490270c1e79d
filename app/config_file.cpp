#include "config_file.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

namespace backstitch::app {
namespace {

bool is_bare(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

/// The characters that may follow a backslash in a string, and what each pair stands for.
char unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '"':
    case '\\':
      return c;
    default:
      return '\0';
  }
}

/// Walks the text once. Each function leaves the position after what it has read, or sets `wrong_`.
class ConfigReader {
 public:
  explicit ConfigReader(std::string_view text) : text_(text) {}

  Result<std::vector<ConfigEntry>> read() {
    std::vector<ConfigEntry> entries;
    while (skip_to_content(), !at_end() && !wrong_) read_entry(entries);
    if (wrong_) return std::move(*wrong_);
    return entries;
  }

 private:
  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }

  void fail(const std::string& message) {
    if (!wrong_) {
      wrong_ = Error{ErrorCode::invalid, "config-invalid",
                     "line " + std::to_string(line_) + ": " + message};
    }
  }

  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }
  /// Over blanks, line breaks and comments.
  void skip_to_content() {
    for (; !at_end(); ++at_) {
      if (peek() == '#') at_ = std::min(text_.find('\n', at_), text_.size());
      if (peek() == '\n') ++line_;
      if (at_end() || std::isspace(static_cast<unsigned char>(peek())) == 0) return;
    }
  }

  void read_entry(std::vector<ConfigEntry>& entries) {
    if (peek() == '[') return fail("a table is not expected; write each option as `key = value`");
    ConfigEntry entry{line_, read_bare(), {}, false};
    if (entry.key.empty()) return fail("a key is expected, like `listen = \"127.0.0.1:7420\"`");
    const auto same = std::find_if(entries.begin(), entries.end(), [&](const ConfigEntry& earlier) {
      return earlier.key == entry.key;
    });
    if (same != entries.end()) {
      return fail("`" + entry.key + "` is already set in line " + std::to_string(same->line) +
                  "; write several values as an array, [\"A\", \"B\"]");
    }
    skip_blanks();
    if (peek() != '=') return fail("`=` is expected after `" + entry.key + "`");
    ++at_;
    skip_blanks();
    read_values(entry);
    if (!wrong_) expect_end_of_line(entry.key);
    entries.push_back(std::move(entry));
  }

  std::string read_bare() {
    const std::size_t begin = at_;
    while (is_bare(peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  void read_values(ConfigEntry& entry) {
    entry.is_array = peek() == '[';
    if (!entry.is_array) return read_value(entry);
    ++at_;
    for (;;) {
      skip_to_content();
      if (peek() == ']') break;
      read_value(entry);
      skip_to_content();
      if (wrong_ || peek() == ']') break;
      if (peek() != ',') return fail("`,` or `]` is expected in the array of `" + entry.key + "`");
      ++at_;
    }
    ++at_;
  }

  void read_value(ConfigEntry& entry) {
    if (peek() == '"' || peek() == '\'') return read_string(entry);
    const std::string word = read_bare();
    const std::string_view digits = std::string_view(word).substr(word.starts_with('-') ? 1 : 0);
    const bool is_integer =
        !digits.empty() && std::all_of(digits.begin(), digits.end(),
                                       [](unsigned char c) { return std::isdigit(c) != 0; });
    if (word == "true" || word == "false")
      return entry.values.push_back({ConfigType::boolean, word});
    if (is_integer) return entry.values.push_back({ConfigType::integer, word});
    fail("the value of `" + entry.key +
         "` is not valid; write a string in quotes, an integer, true, false or an array");
  }

  /// In single quotes as it stands; in double quotes with escapes.
  void read_string(ConfigEntry& entry) {
    const char quote = peek();
    std::string value;
    for (++at_; peek() != quote; ++at_) {
      if (at_end() || peek() == '\n')
        return fail("the string of `" + entry.key + "` does not end in its line");
      char c = peek();
      if (quote == '"' && c == '\\') {
        ++at_;
        c = unescaped(peek());
        if (c == '\0') {
          return fail("an escape in the string of `" + entry.key +
                      "` is not one of \\\" \\\\ \\n \\t \\r; single quotes need none");
        }
      }
      value += c;
    }
    ++at_;
    entry.values.push_back({ConfigType::string, std::move(value)});
  }

  void expect_end_of_line(const std::string& key) {
    skip_blanks();
    if (peek() == '\r') ++at_;
    if (!at_end() && peek() != '\n' && peek() != '#')
      fail("the end of the line is expected after the value of `" + key + "`");
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::optional<Error> wrong_;
};

}  // namespace

Result<std::vector<ConfigEntry>> parse_config(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  return ConfigReader(text).read();
}

}  // namespace backstitch::app
