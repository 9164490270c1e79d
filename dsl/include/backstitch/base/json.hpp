#pragma once
/// The JSON type of every layer. Include <nlohmann/json.hpp> only where a value is touched.
#include <nlohmann/json_fwd.hpp>

namespace backstitch {
using Json = nlohmann::json;
}  // namespace backstitch
