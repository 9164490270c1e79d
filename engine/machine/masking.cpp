#include <backstitch/base/json_text.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/machine/masking.hpp>

#include <algorithm>

#include <nlohmann/json.hpp>

namespace backstitch::engine {
namespace {

constexpr std::size_t searched_chars_min = 4;
const std::string mask = "***";

void replace_all(std::string& text, const std::string& wanted) {
  for (auto at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at)) {
    text.replace(at, wanted.size(), mask);
    at += mask.size();
  }
}

}  // namespace

Masking::Masking(const dsl::Definition& definition, const Json& input) {
  if (!definition.input) return;
  for (const Json& part : definition.input->sensitive(input)) collect(part);
  // The longer first, or a part of one would leave the rest of it to be read.
  std::sort(texts_.begin(), texts_.end(),
            [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

void Masking::collect(const Json& part) {
  if (part.is_structured()) {
    for (const Json& inner : part) collect(inner);
    return;
  }
  if (!part.is_string() && !part.is_number()) return;
  const std::string escaped = json_text(part);
  const std::string text = part.is_string() ? part.get<std::string>() : escaped;
  if (text.size() < searched_chars_min) return;
  texts_.push_back(text);
  if (part.is_number()) return numbers_.push_back(part);
  // As it stands in a request's body, which is JSON in a text.
  const std::string inner = escaped.substr(1, escaped.size() - 2);
  if (inner != text) texts_.push_back(inner);
}

EventRecord Masking::masked(const dsl::Definition& definition, EventRecord event) const {
  if (event.data.empty() || !definition.input) return event;
  Json data = dsl::stored_json(event.data);
  if (const auto input = data.find("input"); event.type == "SagaStarted" && input != data.end())
    *input = definition.input->masked(*input);
  apply(data);
  event.data = json_text(data);
  return event;
}

void Masking::apply(Json& shown) const {
  if (texts_.empty()) return;
  if (shown.is_structured()) {
    for (Json& inner : shown) apply(inner);
  } else if (shown.is_string()) {
    for (const auto& text : texts_) replace_all(shown.get_ref<std::string&>(), text);
  } else if (std::find(numbers_.begin(), numbers_.end(), shown) != numbers_.end()) {
    shown = mask;
  }
}

}  // namespace backstitch::engine
