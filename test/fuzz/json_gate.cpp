/// The JSON gate: arbitrary bytes, against what the JSON library itself thinks of them.
#include <algorithm>
#include <array>

#include <backstitch/dsl/json_gate.hpp>

#include "fuzz.hpp"

namespace backstitch::fuzz {
namespace {

constexpr dsl::GateLimits limits{.bytes_max = 4'096, .depth_max = 16};

/// What may stand in a value that was let in.
void require_admissible(const Json& value, std::size_t depth) {
  require(!value.is_binary() && !value.is_discarded(), "JSON has six types");
  require(!value.is_number_unsigned(), "integers are signed and of 64 bits");
  if (value.is_string())
    require(value.get_ref<const std::string&>().find('\0') == std::string::npos, "no U+0000");
  if (!value.is_structured()) return;
  require(depth < limits.depth_max, "nothing is nested deeper than it may be");
  for (const auto& [name, item] : value.items()) {
    require(name.find('\0') == std::string::npos, "no U+0000 in a key");
    require_admissible(item, depth + 1);
  }
}

void require_refused_well(const Error& error, bool library_accepts) {
  static constexpr std::array<std::string_view, 8> reasons{
      "json-syntax",        "json-encoding", "json-too-large",     "json-too-deep",
      "json-duplicate-key", "json-nul",      "json-integer-range", "json-number-range"};
  require_sound(error);
  require(std::find(reasons.begin(), reasons.end(), error.reason) != reasons.end(),
          "a refusal has a known reason", error.reason);
  const bool about_grammar = error.reason == "json-syntax" || error.reason == "json-encoding";
  require(!(library_accepts && about_grammar), "what is JSON is not refused for its grammar",
          error.message);
  require(!error.details.empty() && is_pointer(error.details[0].pointer), "a refusal has a place");
}

}  // namespace

void look_at(std::string_view input) {
  const bool library_accepts = Json::accept(input.begin(), input.end());
  const auto value = dsl::parse_json(input, limits);
  if (!value) return require_refused_well(value.error(), library_accepts);
  require(library_accepts, "what is no JSON is refused");
  require(input.size() <= limits.bytes_max, "nothing is larger than it may be");
  require_admissible(*value, 0);
  require(*value == Json::parse(input.begin(), input.end()), "a value means what it says");
  require_storable(*value);
}

}  // namespace backstitch::fuzz
