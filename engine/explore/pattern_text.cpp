#include "pattern_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace backstitch::engine::explore {
namespace {

constexpr std::size_t nesting_max = 100;
constexpr std::uint32_t unbounded = UINT32_MAX;
/// Repetitions beyond the fewest that are tried.
constexpr std::array<std::uint32_t, 9> more_repetitions{0, 1, 2, 4, 8, 16, 32, 64, 128};

using Range = std::pair<std::uint32_t, std::uint32_t>;

struct Term {
  enum class Kind { nothing, one_of, sequence, alternatives, repeated };
  Kind kind = Kind::nothing;
  std::vector<Range> characters{};  ///< one_of
  std::vector<Term> terms{};
  std::uint32_t least = 1;  ///< repeated
  std::uint32_t most = 1;
};

struct NotRead {};

void append(std::string& text, std::uint32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | c >> 6);
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | c >> 12);
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | c >> 18);
    text += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    text += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::vector<Range> all_but(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<Range> out;
  std::uint32_t from = 0x20;  // nothing unprintable where there is a choice
  for (const auto& [first, last] : ranges) {
    if (first > from) out.emplace_back(from, first - 1);
    from = std::max(from, last + 1);
  }
  if (from <= 0x7E) out.emplace_back(from, 0x7E);
  out.emplace_back(std::max<std::uint32_t>(from, 0xA1), 0x17F);
  return out;
}

const std::vector<Range> digits{{'0', '9'}};
const std::vector<Range> word{{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}};
const std::vector<Range> space{{' ', ' '}, {'\t', '\n'}, {'\f', '\r'}};

std::vector<Range> posix_class(std::string_view name) {
  if (name == "alpha") return {{'a', 'z'}, {'A', 'Z'}};
  if (name == "digit") return digits;
  if (name == "alnum") return {{'a', 'z'}, {'A', 'Z'}, {'0', '9'}};
  if (name == "upper") return {{'A', 'Z'}};
  if (name == "lower") return {{'a', 'z'}};
  if (name == "word") return word;
  if (name == "space") return space;
  if (name == "blank") return {{' ', ' '}, {'\t', '\t'}};
  if (name == "xdigit") return {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
  if (name == "punct") return {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}};
  if (name == "print") return {{' ', '~'}};
  if (name == "graph") return {{'!', '~'}};
  if (name == "ascii") return {{' ', '~'}};
  throw NotRead{};
}

std::vector<Range> unicode_class(std::string_view name) {
  if (name == "L" || name == "Ll" || name == "Latin") return {{'a', 'z'}};
  if (name == "Lu") return {{'A', 'Z'}};
  if (name == "N" || name == "Nd") return digits;
  if (name == "P" || name == "Po") return {{'!', '!'}};
  if (name == "Z" || name == "Zs") return {{' ', ' '}};
  if (name == "Greek") return {{0x3B1, 0x3C9}};
  if (name == "Cyrillic") return {{0x430, 0x44F}};
  if (name == "Han") return {{0x4E00, 0x4E0F}};
  throw NotRead{};
}

class PatternReader {
 public:
  explicit PatternReader(std::string_view pattern) : rest_(pattern) {}

  Term read() {
    Term term = alternatives(0);
    if (!rest_.empty()) throw NotRead{};
    return term;
  }

 private:
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  char take() {
    if (rest_.empty()) throw NotRead{};
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  std::string_view take_to(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) throw NotRead{};
    const std::string_view text = rest_.substr(0, at);
    rest_.remove_prefix(at + end.size());
    return text;
  }
  /// One character of UTF-8.
  std::uint32_t take_character() {
    const auto first = static_cast<unsigned char>(take());
    if (first < 0x80) return first;
    const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    std::uint32_t c = first & (0x3FU >> more);
    for (int i = 0; i < more; ++i) c = c << 6 | (static_cast<unsigned char>(take()) & 0x3FU);
    return c;
  }

  Term alternatives(std::size_t depth) {
    if (depth > nesting_max) throw NotRead{};
    Term either{Term::Kind::alternatives};
    do either.terms.push_back(sequence(depth));
    while (take("|"));
    return either;
  }

  Term sequence(std::size_t depth) {
    Term all{Term::Kind::sequence};
    while (!rest_.empty() && rest_.front() != '|' && rest_.front() != ')')
      all.terms.push_back(repeated(single(depth)));
    return all;
  }

  Term repeated(Term term) {
    for (;;) {
      Term more{Term::Kind::repeated};
      if (take("*")) {
        more.least = 0;
        more.most = unbounded;
      } else if (take("+")) {
        more.most = unbounded;
      } else if (take("?")) {
        more.least = 0;
      } else if (!counted(more)) {
        return term;
      }
      take("?");  // preferring fewer makes no difference here
      more.terms.push_back(std::move(term));
      term = std::move(more);
    }
  }

  /// `{n}`, `{n,}`, `{n,m}`; any other brace is a character.
  bool counted(Term& term) {
    if (!rest_.starts_with("{")) return false;
    std::string_view ahead = rest_.substr(1);
    const auto number = [&]() -> std::optional<std::uint32_t> {
      std::optional<std::uint32_t> value;
      for (; !ahead.empty() && ahead[0] >= '0' && ahead[0] <= '9'; ahead.remove_prefix(1))
        value = std::min<std::uint32_t>(value.value_or(0) * 10 + (ahead[0] - '0'), 10'000);
      return value;
    };
    const auto least = number();
    if (!least) return false;
    term.least = term.most = *least;
    if (ahead.starts_with(",")) {
      ahead.remove_prefix(1);
      term.most = number().value_or(unbounded);
    }
    if (!ahead.starts_with("}")) return false;
    rest_ = ahead.substr(1);
    return true;
  }

  static Term one_of(std::vector<Range> characters) {
    return {Term::Kind::one_of, std::move(characters)};
  }
  static Term character(std::uint32_t c) { return one_of({{c, c}}); }

  Term single(std::size_t depth) {
    if (take("(")) return group(depth);
    if (take("[")) return one_of(bracketed());
    if (take("^") || take("$")) return {};
    if (take(".")) return one_of({{'a', 'z'}, {'0', '9'}});
    if (take("\\")) return escaped();
    return character(take_character());
  }

  Term group(std::size_t depth) {
    if (take("?P<") || take("?<")) {
      take_to(">");
    } else if (take("?")) {
      const std::size_t end = rest_.find_first_of(":)");
      if (end == std::string_view::npos) throw NotRead{};
      const bool flags_alone = rest_[end] == ')';
      rest_.remove_prefix(end + 1);
      if (flags_alone) return {};
    }
    Term inside = alternatives(depth + 1);
    if (!take(")")) throw NotRead{};
    return inside;
  }

  Term escaped() {
    if (take("Q")) {
      Term all{Term::Kind::sequence};
      while (!rest_.empty() && !take("\\E")) all.terms.push_back(character(take_character()));
      return all;
    }
    for (const char* assertion : {"b", "B", "A", "z"}) {
      if (take(assertion)) return {};
    }
    if (auto ranges = escaped_class()) return one_of(std::move(*ranges));
    return character(escaped_character());
  }

  std::optional<std::vector<Range>> escaped_class() {
    if (take("d")) return digits;
    if (take("w")) return word;
    if (take("s")) return space;
    if (take("D")) return all_but(digits);
    if (take("W")) return all_but(word);
    if (take("S")) return all_but(space);
    const bool without = rest_.starts_with("P");
    if (!take("p") && !take("P")) return std::nullopt;
    if (!take("{")) {
      const auto named = unicode_class(rest_.substr(0, 1));
      take();
      return without ? all_but(named) : named;
    }
    const bool negated = take("^") != without;
    const auto named = unicode_class(take_to("}"));
    return negated ? all_but(named) : named;
  }

  std::uint32_t escaped_character() {
    if (take("n")) return '\n';
    if (take("t")) return '\t';
    if (take("r")) return '\r';
    if (take("f")) return '\f';
    if (take("v")) return '\v';
    if (take("a")) return '\a';
    if (!take("x")) return take_character();
    std::string hex;
    if (take("{"))
      hex = take_to("}");
    else
      hex = {take(), take()};
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
    if (error != std::errc{} || end != hex.data() + hex.size()) throw NotRead{};
    return value;
  }

  std::vector<Range> bracketed() {
    const bool negated = take("^");
    std::vector<Range> ranges;
    bool first = true;
    while (first || !take("]")) {
      first = false;
      if (take("[:")) {
        const bool without = take("^");
        const auto named = posix_class(take_to(":]"));
        add(ranges, without ? all_but(named) : named);
        continue;
      }
      std::uint32_t from = 0;
      if (take("\\")) {
        if (auto named = escaped_class()) {
          add(ranges, *named);
          continue;
        }
        from = escaped_character();
      } else {
        from = take_character();
      }
      std::uint32_t to = from;
      if (rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
        take();
        to = take("\\") ? escaped_character() : take_character();
      }
      if (to < from) throw NotRead{};
      ranges.emplace_back(from, to);
    }
    return negated ? all_but(std::move(ranges)) : ranges;
  }

  static void add(std::vector<Range>& ranges, const std::vector<Range>& more) {
    ranges.insert(ranges.end(), more.begin(), more.end());
  }

  std::string_view rest_;
};

/// Builds one text; false: it would be too long, or nothing can stand there.
class Writer {
 public:
  Writer(std::uint32_t more, bool last_alternative, std::size_t first, std::size_t longest)
      : more_(more), last_(last_alternative), bytes_max_(longest * 4), written_(first) {}

  bool write(const Term& term) {
    switch (term.kind) {
      case Term::Kind::nothing:
        return true;
      case Term::Kind::one_of:
        return one_of(term.characters);
      case Term::Kind::sequence:
        return std::all_of(term.terms.begin(), term.terms.end(),
                           [&](const Term& one) { return write(one); });
      case Term::Kind::alternatives:
        return write(last_ ? term.terms.back() : term.terms.front());
      case Term::Kind::repeated: {
        const std::uint64_t wanted = std::uint64_t{term.least} + more_;
        const std::uint64_t times = std::min<std::uint64_t>(wanted, term.most);
        for (std::uint64_t i = 0; i < times; ++i) {
          const std::size_t before = text.size();
          if (!write(term.terms[0])) return false;
          if (text.size() == before) break;  // however often: nothing
        }
        return true;
      }
    }
    return false;
  }

  std::string text;

 private:
  bool one_of(const std::vector<Range>& characters) {
    if (characters.empty() || text.size() >= bytes_max_) return false;
    const Range& range = last_ ? characters.back() : characters.front();
    // Neighbours differ, so that what is repeated can be told apart.
    const std::uint32_t span = range.second - range.first + 1;
    append(text, range.first + static_cast<std::uint32_t>(written_++ % std::min(span, 26U)));
    return true;
  }

  std::uint32_t more_;
  bool last_;
  std::size_t bytes_max_;
  std::size_t written_;  ///< which character of a range comes next
};

}  // namespace

std::vector<std::string> texts_of_pattern(std::string_view pattern, std::size_t longest) {
  std::vector<std::string> texts;
  try {
    const Term term = PatternReader(pattern).read();
    for (const std::uint32_t more : more_repetitions) {
      for (const auto& [last, first] :
           {std::pair(false, 0U), {true, 0U}, {false, 1U}, {false, 2U}}) {
        Writer writer(more, last, first, longest);
        if (!writer.write(term)) continue;
        if (std::find(texts.begin(), texts.end(), writer.text) == texts.end())
          texts.push_back(std::move(writer.text));
      }
    }
  } catch (const NotRead&) {
    return {};
  }
  return texts;
}

}  // namespace backstitch::engine::explore
