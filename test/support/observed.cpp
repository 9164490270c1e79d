#include "observed.hpp"

#include <array>
#include <stdexcept>
#include <utility>

namespace backstitch::test {
namespace {

using What = Observed::What;
constexpr std::array<std::pair<What, std::string_view>, 15> words{
    {{What::call, "call"},
     {What::retry, "retry"},
     {What::done, "done"},
     {What::refused, "refused"},
     {What::unknown, "unknown"},
     {What::undo, "undo"},
     {What::undone, "undone"},
     {What::undo_failed, "undo-failed"},
     {What::cancelled, "cancel"},
     {What::deadline, "deadline"},
     {What::suspended, "suspended"},
     {What::resumed, "resumed"},
     {What::undo_left, "undo-left"},
     {What::together, "together"},
     {What::apart, "apart"}}};

std::string_view cut_word(std::string_view& rest) {
  const auto begin = rest.find_first_not_of(' ');
  if (begin == std::string_view::npos) return rest = {};
  rest.remove_prefix(begin);
  const auto word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

Observed one(std::string_view line) {
  std::string_view rest = line;
  const auto first = cut_word(rest);
  Observed seen;
  if (first == "COMPLETED" || first.starts_with("FAILED")) {
    seen.what = What::ended;
    seen.status = first;
    if (first != "COMPLETED") seen.word = cut_word(rest);
  } else {
    bool known = false;
    for (const auto& [what, word] : words) {
      if (word != first) continue;
      seen.what = what;
      known = true;
    }
    if (!known) throw std::invalid_argument("no such thing to see: " + std::string(line));
    seen.path = cut_word(rest);
    if (seen.what == What::suspended || seen.what == What::undo_left) seen.word = cut_word(rest);
    if (seen.what == What::refused) {
      seen.word = cut_word(rest);
      seen.failure_class = cut_word(rest);
    }
  }
  if (rest.find_first_not_of(' ') != std::string_view::npos) seen.output = Json::parse(rest);
  return seen;
}

}  // namespace

std::vector<Observed> observed(std::string_view text) {
  std::vector<Observed> all;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of("|\n"), text.size());
    const auto line = text.substr(0, end);
    if (line.find_first_not_of(' ') != std::string_view::npos) all.push_back(one(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

std::string to_text(const Observed& seen) {
  std::string text = seen.status;
  for (const auto& [what, word] : words) {
    if (what == seen.what) text = word;
  }
  for (const auto& part : {seen.path, seen.word, seen.failure_class}) {
    if (!part.empty()) text += " " + part;
  }
  return seen.output ? text + " " + seen.output->dump() : text;
}

}  // namespace backstitch::test
