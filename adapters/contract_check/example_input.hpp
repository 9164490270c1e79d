#pragma once
#include <string>

#include <backstitch/base/json.hpp>

namespace backstitch::contract_check {

/// A value that the schema probably takes; texts of no particular form are new for every `run`.
/// Patterns are not understood: then the input has to be given.
Json example_of(const Json& schema, const std::string& name, const std::string& run);

/// `input` with `${run}` in its texts replaced.
Json for_run(Json input, const std::string& run);

}  // namespace backstitch::contract_check
