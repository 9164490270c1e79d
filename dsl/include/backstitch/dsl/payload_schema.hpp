#pragma once
#include <memory>
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/dsl/finding.hpp>

namespace backstitch::dsl {

/// What the patterns of a definition may cost together, in instructions of RE2. A pattern of a
/// thousand characters can make a million of them.
struct PatternBudget {
  std::size_t instructions = 100'000;
};

/// The documented subset of JSON Schema draft-07 for `input` and `wait.schema`. Immutable, cheap to
/// copy, thread-safe. Patterns run on RE2, in linear time.
class PayloadSchema {
 public:
  /// Findings are E501 with pointers below `pointer`; without errors a schema is returned in `out`.
  static std::vector<Finding> compile(const Json& source, const std::string& pointer,
                                      std::shared_ptr<const PayloadSchema>& out,
                                      PatternBudget& budget);
  static std::vector<Finding> compile(const Json& source, const std::string& pointer,
                                      std::shared_ptr<const PayloadSchema>& out);
  ~PayloadSchema();

  /// Every violation with its JSON pointer; empty: valid. At most 50 are listed.
  std::vector<ErrorDetail> validate(const Json& value) const;
  /// `value` with the defaults of absent properties filled in.
  Json with_defaults(const Json& value) const;
  const Json& source() const;

 private:
  PayloadSchema();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::dsl
