#pragma once
/// Every place of a step that holds expressions, and what may be named there. Private to dsl/check.
#include <string>
#include <variant>
#include <vector>

#include "walk.hpp"

namespace backstitch::dsl {

/// What a field may name besides `input`, `saga`, `steps` and loop variables.
struct Sees {
  bool self = false;
  bool response = false;
  bool failure = false;
  bool signal = false;
  bool callback_url = false;     ///< the step is completed by a callback
  bool request = false;          ///< what the field gives is sent to a participant
  bool effect = false;           ///< the request changes something
  bool undo = false;             ///< self has outcome, output and captured
  bool outcome_unknown = false;  ///< in an undo: self.output may be null
};

enum class Wants {
  value,
  condition,
  duration,
  time,
  list,
  key,        ///< of an item: becomes a text
  path,       ///< of a request: becomes a text of segments
  parameter,  ///< of a query or a header: becomes a text, null leaves it out
  body        ///< is sent to a participant
};

struct Field {
  std::variant<const Template*, const Expression*> source;
  std::string pointer;
  Sees sees;
  Wants wants = Wants::value;
  const char* exposes = nullptr;  ///< where everybody can read it: `a label`, `a path`
};

/// Of a step, as far as they are read before any step inside it. @param around what the lists
/// around the step let it see
std::vector<Field> fields_of(const Step& step, const Sees& around, const Check& check);
/// Of the definition itself, its defaults and the services written within it.
std::vector<Field> fields_of(const Definition& definition);

}  // namespace backstitch::dsl
