#include "text_search.hpp"

#include <algorithm>

namespace backstitch::engine {

TextSearch::TextSearch(std::vector<std::string> texts) {
  for (const auto& text : texts) add(text);
  link();
}

void TextSearch::add(std::string_view text) {
  Node node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    Node child = child_of(node, byte);
    if (child == 0) {
      child = static_cast<Node>(states_.size());
      State state;
      state.byte = byte;
      state.next_sibling = states_[node].first_child;
      states_.push_back(state);
      states_[node].first_child = child;
    }
    node = child;
  }
  states_[node].longest = static_cast<std::uint32_t>(text.size());
}

/// By growing length, so that what an end links to is linked already.
void TextSearch::link() {
  std::vector<Node> waiting{0};
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const Node node = waiting[i];
    for (Node child = states_[node].first_child; child != 0; child = states_[child].next_sibling) {
      State& state = states_[child];
      if (node != 0) state.fail = next(states_[node].fail, state.byte);
      state.longest = std::max(state.longest, states_[state.fail].longest);
      waiting.push_back(child);
    }
  }
}

TextSearch::Node TextSearch::child_of(Node node, unsigned char byte) const {
  Node child = states_[node].first_child;
  while (child != 0 && states_[child].byte != byte) child = states_[child].next_sibling;
  return child;
}

TextSearch::Node TextSearch::next(Node node, unsigned char byte) const {
  while (true) {
    const Node child = child_of(node, byte);
    if (child != 0 || node == 0) return child;
    node = states_[node].fail;
  }
}

/// Of the texts that end at a place the longest covers all others. A later one may begin before
/// what was found: then both are one stretch.
std::vector<TextSearch::Stretch> TextSearch::covered(const std::string& text) const {
  std::vector<Stretch> found;
  Node node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    node = next(node, static_cast<unsigned char>(text[i]));
    const std::size_t length = states_[node].longest;
    if (length == 0) continue;
    Stretch stretch{i + 1 - length, i + 1};
    while (!found.empty() && found.back().end > stretch.begin) {
      stretch.begin = std::min(stretch.begin, found.back().begin);
      found.pop_back();
    }
    found.push_back(stretch);
  }
  return found;
}

std::string TextSearch::masked(const std::string& text, std::string_view mask) const {
  const auto stretches = covered(text);
  if (stretches.empty()) return text;
  std::string out;
  std::size_t done = 0;
  for (const auto& stretch : stretches) {
    out.append(text, done, stretch.begin - done);
    out += mask;
    done = stretch.end;
  }
  return out.append(text, done, std::string::npos);
}

}  // namespace backstitch::engine
