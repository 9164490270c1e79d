#pragma once
/// Keys that other tools have, and what this language calls them.
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::dsl {

/// What to write instead of an unknown key; empty: the key is not known from elsewhere.
/// @param known  the keys that the object may have
std::string hint_for_foreign_key(std::string_view key, const std::vector<std::string>& known);

}  // namespace backstitch::dsl
