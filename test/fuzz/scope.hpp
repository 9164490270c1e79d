#pragma once
#include <backstitch/dsl/expression.hpp>

#include "fuzz.hpp"

namespace backstitch::fuzz {

/// What expressions under test may read: every root name, steps that succeeded and one that did
/// not.
class FixedScope : public dsl::Scope {
 public:
  static const FixedScope& instance();
  const Json* find(std::string_view name) const override;
  const Json* step(std::string_view name) const override;
  const Json* step_output(std::string_view name) const override;

 private:
  FixedScope();
  Json roots_;
  Json steps_;
};

}  // namespace backstitch::fuzz
