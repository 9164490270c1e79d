#pragma once
#include <string>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/machine/event.hpp>

namespace backstitch::engine {

/// Hides what an input schema marks "x-sensitive" from whoever looks at a saga: in the input, and
/// wherever the value went from there - requests, outputs, messages. Immutable, thread-safe.
/// Values of fewer than four characters are hidden in the input only: found elsewhere, they would
/// hide everything.
class Masking {
 public:
  Masking(const dsl::Definition& definition, const Json& input);
  /// The stored form of an event as it may be shown.
  EventRecord masked(const dsl::Definition& definition, EventRecord event) const;
  /// Replaces every occurrence in the texts and numbers of `shown`.
  void apply(Json& shown) const;

 private:
  void collect(const Json& part);

  std::vector<std::string> texts_;
  std::vector<Json> numbers_;
};

}  // namespace backstitch::engine
