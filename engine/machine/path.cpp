#include "path.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace backstitch::engine {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// What is not a whole escape stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && digit_of(text[i + 1]) >= 0 &&
                        digit_of(text[i + 2]) >= 0;
    out += escape ? static_cast<char>(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return out;
}

/// What is wrong with a segment that a router reads like this.
std::optional<std::string> flaw_of(std::string_view segment) {
  if (segment.empty()) return "is empty: it would address the collection";
  if (segment.find_first_not_of(' ') == std::string_view::npos) return "is blank";
  if (segment == "." || segment == "..")
    return "is `" + std::string(segment) + "`: it leads elsewhere";
  if (segment.find_first_of("/\\") != std::string_view::npos)
    return "holds a `/` or `\\`; `${path(…)}` inserts several segments";
  const bool control = std::any_of(segment.begin(), segment.end(),
                                   [](unsigned char c) { return c < 0x20 || c == 0x7F; });
  if (control) return "holds a control character";
  return std::nullopt;
}

/// Puts a path together and judges its segments.
class PathWriter {
 public:
  /// @return what is wrong
  std::optional<std::string> add(const dsl::TextPart& part) {
    if (!part.inserted) return constant(part.text);
    if (part.segments && !in_query_) return several(part.text);
    insert(part.text);
    return std::nullopt;
  }
  std::optional<std::string> end() { return in_query_ ? std::nullopt : end_segment(); }
  std::string take() { return std::move(path_); }

 private:
  std::optional<std::string> constant(const std::string& text) {
    for (const char c : text) {
      if (!in_query_ && (c == '/' || c == '?')) {
        if (auto flaw = end_segment()) return flaw;
        in_query_ = c == '?';
        begin_ = path_.size() + 1;
      }
      // A request holds ASCII only; what the author encoded stays as it is.
      if (static_cast<unsigned char>(c) < 0x80)
        path_ += c;
      else
        path_ += percent_encoded({&c, 1});
    }
    return std::nullopt;
  }

  std::optional<std::string> several(const std::string& text) {
    std::size_t begin = 0;
    while (true) {
      const std::size_t end = std::min(text.find('/', begin), text.size());
      const std::string one = percent_encoded(std::string_view(text).substr(begin, end - begin));
      if (auto flaw = judge(one)) return flaw;
      path_ += one;
      inserted_ = true;
      if (end == text.size()) return std::nullopt;
      if (auto flaw = constant("/")) return flaw;
      begin = end + 1;
    }
  }

  void insert(const std::string& text) {
    path_ += percent_encoded(text);
    inserted_ = true;
  }

  std::optional<std::string> end_segment() {
    if (!std::exchange(inserted_, false)) return std::nullopt;
    return judge(std::string_view(path_).substr(begin_));
  }

  static std::optional<std::string> judge(std::string_view segment) {
    // Most segments hold no escape and read the same however often they are decoded.
    const bool plain = segment.find('%') == std::string_view::npos;
    const std::string once = plain ? std::string{} : percent_decoded(segment);
    auto flaw = flaw_of(plain ? segment : std::string_view(once));
    if (!flaw && !plain) flaw = flaw_of(percent_decoded(once));
    if (!flaw) return std::nullopt;
    return "the path segment \"" + std::string(segment) + "\" " + *flaw;
  }

  std::string path_;
  std::size_t begin_ = 0;  ///< of the segment being written
  bool inserted_ = false;  ///< a value was inserted into it
  bool in_query_ = false;
};

}  // namespace

std::string percent_encoded(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 0x0FU];
    }
  }
  return out;
}

Result<std::string> render_path(const dsl::Template& source, const dsl::Scope& scope,
                                dsl::Budget& budget) {
  const auto parts = source.render_parts(scope, budget);
  if (!parts) return parts.error();
  PathWriter path;
  std::optional<std::string> flaw;
  for (const auto& part : *parts) {
    if (!flaw) flaw = path.add(part);
  }
  if (!flaw) flaw = path.end();
  if (flaw) return Error{ErrorCode::invalid, "EXPRESSION_FAILED", *flaw};
  return path.take();
}

}  // namespace backstitch::engine
