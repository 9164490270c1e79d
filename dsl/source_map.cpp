#include <string>
#include <vector>

#include <backstitch/dsl/parse.hpp>

#include "json_pointer.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::size_t depth_max = 256;

/// Walks a JSON text without building it. Stops quietly where the text is not JSON: what was seen
/// before is still right.
class Scanner {
 public:
  Scanner(std::string_view text, std::unordered_map<std::string, Place>& places)
      : text_(text), places_(places) {}

  void run() {
    places_.emplace("", Place{1, 1});
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '{' || c == '[')
        open(c);
      else if (c == '}' || c == ']')
        close();
      else if (c == '"')
        string();
      else if (c == ',')
        next();
      else if (c == '\n')
        newline();
      else
        other();
    }
  }

 private:
  struct Level {
    std::string pointer;
    bool object = false;
    bool wants_key = false;
    std::size_t index = 0;
    std::string key;
  };

  Place here() const { return {line_, static_cast<std::uint32_t>(at_ - line_begin_ + 1)}; }

  std::string child() const {
    if (levels_.empty()) return "";
    const Level& level = levels_.back();
    return level.pointer + "/" + (level.object ? level.key : std::to_string(level.index));
  }

  /// The first character of an array's item.
  void note_item() {
    if (!levels_.empty() && !levels_.back().object) places_.emplace(child(), here());
  }

  void open(char c) {
    note_item();
    // Deeper than any definition: its pointers alone would fill the memory.
    if (levels_.size() >= depth_max) {
      at_ = text_.size();
      return;
    }
    Level level;
    level.pointer = child();
    level.object = level.wants_key = c == '{';
    levels_.push_back(std::move(level));
    ++at_;
  }

  void close() {
    if (!levels_.empty()) levels_.pop_back();
    ++at_;
  }

  void next() {
    if (!levels_.empty()) {
      levels_.back().wants_key = levels_.back().object;
      ++levels_.back().index;
    }
    ++at_;
  }

  void newline() {
    ++at_;
    ++line_;
    line_begin_ = at_;
  }

  void other() {
    const char c = text_[at_];
    if (c != ' ' && c != '\t' && c != '\r' && c != ':') note_item();
    ++at_;
  }

  void string() {
    const Place place = here();
    std::string raw;
    ++at_;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\') raw += text_[at_++];
      if (at_ < text_.size()) raw += text_[at_++];
    }
    ++at_;
    if (levels_.empty()) return;
    Level& level = levels_.back();
    if (!level.object) {
      places_.emplace(child(), place);
    } else if (level.wants_key) {
      level.wants_key = false;
      // Keys with JSON escapes keep them: such keys are no names of ours.
      level.key = escaped_pointer(raw);
      places_.emplace(child(), place);
    }
  }

  std::string_view text_;
  std::unordered_map<std::string, Place>& places_;
  std::vector<Level> levels_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace

Place SourceMap::find(const std::string& pointer) const {
  if (!scanned_) Scanner(text_, places_).run();
  scanned_ = true;
  std::string at = pointer;
  while (true) {
    if (const auto found = places_.find(at); found != places_.end()) return found->second;
    const auto slash = at.rfind('/');
    if (slash == std::string::npos) return {};
    at.resize(slash);
  }
}

}  // namespace backstitch::dsl
