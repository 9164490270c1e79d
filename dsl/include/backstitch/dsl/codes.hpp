#pragma once
#include <string_view>

namespace backstitch::dsl {

/// Whether only the engine may give a failure this code: `HTTP_…`, `TRANSPORT_…`, `CHILD_…`, and
/// those that docs/language.md lists. Rules and `fail` steps choose others.
bool is_engine_code(std::string_view code);

}  // namespace backstitch::dsl
