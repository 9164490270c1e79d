#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/base/result.hpp>

namespace backstitch::app {

enum class ConfigType { string, integer, boolean };

struct ConfigValue {
  ConfigType type = ConfigType::string;
  std::string text;
  bool operator==(const ConfigValue&) const = default;
};

/// One option of a configuration file: `key = value`, where an array gives several values.
struct ConfigEntry {
  std::size_t line = 0;  ///< where the key stands; the first line is 1
  std::string key;
  std::vector<ConfigValue> values;
  bool is_array = false;
};

/// Reads the part of TOML that options need: keys without tables; strings, integers, `true` and
/// `false`, and arrays of them, which may span lines; comments. Every key may occur once. A byte
/// order mark at the beginning is skipped.
/// @return invalid/config-invalid; the message names the line, never a value, which may be a secret
Result<std::vector<ConfigEntry>> parse_config(std::string_view text);

}  // namespace backstitch::app
