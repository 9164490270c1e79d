#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/parse.hpp>

#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t depth_max = 256;
constexpr std::uint32_t none = UINT32_MAX;

/// Part of the text, end excluded.
struct Extent {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

}  // namespace

/// The values of a text in the order in which they begin. Offsets only: a definition has up to a
/// hundred thousand values, and few are asked for.
struct SourceMap::Index {
  struct Value {
    Extent key;    ///< with its quotes; empty: the item of a list
    Extent value;  ///< of an object or list: its first character
    std::uint32_t first = none;
    std::uint32_t next = none;
  };
  std::vector<Value> values;
  std::vector<std::uint32_t> lines;  ///< where each begins
};

namespace {

/// Walks a JSON text without building it. Stops quietly where the text is not JSON: what was seen
/// before is still right.
class Scanner {
 public:
  Scanner(std::string_view text, SourceMap::Index& index) : text_(text), index_(index) {}

  void run() {
    index_.lines.push_back(0);
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '{' || c == '[')
        open(c == '{');
      else if (c == '}' || c == ']')
        close();
      else if (c == '"')
        string();
      else if (c == ',')
        next();
      else if (c == '\n')
        index_.lines.push_back(++at_);
      else if (c == ' ' || c == '\t' || c == '\r' || c == ':')
        ++at_;
      else
        word();
    }
  }

 private:
  struct Level {
    std::uint32_t value;
    std::uint32_t last = none;  ///< the latest child
    bool object = false;
    bool wants_key = false;
    Extent key{};
  };

  std::uint32_t add(Extent value) {
    const auto number = static_cast<std::uint32_t>(index_.values.size());
    if (levels_.empty() && number > 0) return number;  // a second text behind the first
    index_.values.push_back({{}, value, none, none});
    if (levels_.empty()) return number;
    Level& level = levels_.back();
    if (level.object) index_.values.back().key = level.key;
    auto& link =
        level.last == none ? index_.values[level.value].first : index_.values[level.last].next;
    link = number;
    level.last = number;
    return number;
  }

  void open(bool object) {
    // Deeper than any definition.
    if (levels_.size() >= depth_max || (levels_.empty() && !index_.values.empty())) {
      at_ = static_cast<std::uint32_t>(text_.size());
      return;
    }
    const std::uint32_t number = add({at_, at_ + 1});
    levels_.push_back({number, none, object, object});
    ++at_;
  }

  void close() {
    if (!levels_.empty()) levels_.pop_back();
    ++at_;
  }

  void next() {
    if (!levels_.empty()) levels_.back().wants_key = levels_.back().object;
    ++at_;
  }

  void word() {
    const std::uint32_t begin = at_;
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n,:{}[]\"").find(text_[at_]) == std::string_view::npos)
      ++at_;
    add({begin, at_});
  }

  void string() {
    const std::uint32_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + 1, static_cast<std::uint32_t>(text_.size()));
    if (!levels_.empty() && levels_.back().wants_key) {
      levels_.back().wants_key = false;
      levels_.back().key = {begin, at_};
    } else {
      add({begin, at_});
    }
  }

  std::string_view text_;
  SourceMap::Index& index_;
  std::vector<Level> levels_;
  std::uint32_t at_ = 0;
};

std::string unescaped(std::string_view part) {
  std::string out;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const bool escape = part[i] == '~' && i + 1 < part.size();
    out += !escape ? part[i] : part[++i] == '1' ? '/' : '~';
  }
  return out;
}

bool is_key(std::string_view quoted, std::string_view name) {
  if (quoted.size() < 2) return false;
  if (quoted.find('\\') == std::string_view::npos)
    return quoted.substr(1, quoted.size() - 2) == name;
  const auto key = parse_json(quoted);
  return key && key->is_string() && key->get_ref<const std::string&>() == name;
}

std::uint32_t characters(std::string_view text) {
  return static_cast<std::uint32_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); }));
}

}  // namespace

void put(Finding& finding, const Place& place) {
  finding.line = place.line;
  finding.column = place.column;
  finding.length = place.length;
}

const SourceMap::Index& SourceMap::index() const {
  if (!index_) {
    auto scanned = std::make_shared<Index>();
    Scanner(text_, *scanned).run();
    index_ = std::move(scanned);
  }
  return *index_;
}

Place SourceMap::find(const std::string& pointer) const {
  const auto& values = index().values;
  if (values.empty()) return {1, 1, 0};
  std::uint32_t at = 0;
  std::size_t begin = 1;
  while (begin <= pointer.size()) {
    const auto end = std::min(pointer.find('/', begin), pointer.size());
    const std::uint32_t child = child_of(at, std::string_view(pointer).substr(begin, end - begin));
    if (child == none) break;
    at = child;
    begin = end + 1;
  }
  return place_of(at);
}

std::uint32_t SourceMap::child_of(std::uint32_t parent, std::string_view part) const {
  const auto& values = index().values;
  const std::string name = unescaped(part);
  std::uint32_t child = values[parent].first;
  const bool is_list = child != none && values[child].key.end == 0;
  std::size_t skip = 0;
  if (is_list) {
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), skip);
    if (error != std::errc{} || rest != part.data() + part.size()) return none;
    for (; child != none && skip > 0; --skip) child = values[child].next;
    return child;
  }
  const std::string_view text = text_;
  while (child != none) {
    const Extent key = values[child].key;
    if (is_key(text.substr(key.begin, key.end - key.begin), name)) return child;
    child = values[child].next;
  }
  return none;
}

Place SourceMap::place_of(std::uint32_t number) const {
  const auto& [values, lines] = index();
  const auto& value = values[number];
  const std::uint32_t begin = value.key.end == 0 ? value.value.begin : value.key.begin;
  const auto line = std::upper_bound(lines.begin(), lines.end(), begin) - 1;
  const std::uint32_t line_end =
      line + 1 == lines.end() ? static_cast<std::uint32_t>(text_.size()) : *(line + 1) - 1;
  const bool structured =
      value.first != none || text_[value.value.begin] == '{' || text_[value.value.begin] == '[';
  // A key and what it holds, if that is short; a block's key alone.
  std::uint32_t end = structured && value.key.end != 0 ? value.key.end : value.value.end;
  if (end > line_end) end = value.key.end == 0 ? line_end : value.key.end;
  const std::string_view text = text_;
  return {static_cast<std::uint32_t>(line - lines.begin() + 1),
          characters(text.substr(*line, begin - *line)) + 1,
          characters(text.substr(begin, end - begin))};
}

}  // namespace backstitch::dsl
