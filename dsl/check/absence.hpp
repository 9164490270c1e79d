#pragma once
/// Why the output of a step can never be there at a place, and what to do instead. Private to
/// dsl/check.
#include <string>

#include "fields.hpp"
#include "surroundings.hpp"

namespace backstitch::dsl {

struct Absence {
  const char* code;
  std::string message;
  std::string hint;
};

/// @param step  that has never succeeded at the place of the field
Absence absence_of(const Step& step, const std::string& field, const Sees& sees,
                   const Surroundings& around);

}  // namespace backstitch::dsl
