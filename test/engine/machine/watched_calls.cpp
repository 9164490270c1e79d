#include "watched_calls.hpp"

#include <algorithm>
#include <string_view>

namespace backstitch::test {
namespace {

constexpr std::size_t key_chars_max = 128;

bool is_safe(const std::string& key) {
  constexpr std::string_view others = "-_";
  return !key.empty() && key.size() <= key_chars_max &&
         std::all_of(key.begin(), key.end(), [&](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  others.find(c) != std::string_view::npos;
         });
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

bool is_blank(std::string_view segment) {
  constexpr std::string_view space = "%20";
  while (segment.substr(0, space.size()) == space) segment.remove_prefix(space.size());
  return segment.empty();
}

/// A segment that a router would drop, climb, or take for several.
std::string bad_segment_of(const std::string& target) {
  std::string_view path = std::string_view(target).substr(0, target.find('?'));
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::string_view segment = path.substr(0, path.find('/'));
    const std::string text = lower(std::string(segment));
    const bool climbs = text == "." || text == "..";
    const bool splits =
        text.find("%2f") != std::string::npos || text.find("%5c") != std::string::npos;
    if (climbs || splits || is_blank(text)) return "the segment `" + std::string(segment) + "`";
    path.remove_prefix(segment.size());
  }
  return "";
}

}  // namespace

std::string WatchedCalls::look_at_key(const std::string& key, const std::string& owner) {
  if (!is_safe(key)) return owner + " has the key " + key;
  const auto other = owners_.emplace(lower(key), owner).first;
  if (other->second != owner) return owner + " and " + other->second + " share the key " + key;
  const auto before = keys_.emplace(owner, key).first;
  if (before->second != key) return owner + " has the keys " + before->second + " and " + key;
  return "";
}

std::string WatchedCalls::look_at(const engine::CallParticipant& call,
                                  const engine::SagaState& state) {
  using engine::Phase;
  const engine::StepState& step = state.steps.find(call.path)->second;
  const engine::RenderedRequest& request = *engine::call_of(step, call.phase).request;
  const std::string name = call.path + " (" + to_text(call.phase) + ")";
  for (const auto& [header, value] : request.headers) {
    const bool breaks = std::any_of(value.begin(), value.end(),
                                    [](unsigned char c) { return c < 0x20 || c == 0x7F; });
    if (breaks) return name + " has a control character in its header " + header;
  }
  const std::string segment = bad_segment_of(request.target);
  if (!segment.empty()) return name + " goes to " + request.target + ": " + segment;
  const auto action = keys_.find(call.path + " (" + to_text(Phase::forward) + ")");
  const std::string action_key = action == keys_.end() ? "" : action->second;
  switch (call.phase) {
    case Phase::forward:
      return look_at_key(request.key, name);
    case Phase::compensate:
      if (request.compensates != action_key) return name + " does not name the key of its action";
      return look_at_key(request.key, name);
    case Phase::probe:
    case Phase::poll:
      if (!request.key.empty()) return name + " has a key of its own";
      return request.probes == action_key ? "" : name + " does not name the key of its action";
  }
  return "";
}

}  // namespace backstitch::test
