#pragma once
/// What the parser could not read. A finding that only follows from that would confuse: who
/// misspells `compensation` is not to be told that there is none. Private to dsl/check.
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/finding.hpp>

namespace backstitch::dsl {

class Unread {
 public:
  Unread(const Definition& draft, const std::vector<Finding>& parsed);

  bool any() const { return !pointers_.empty(); }
  /// Whether something at or below `pointer` was not read, inner steps aside.
  bool below(const std::string& pointer) const;
  /// Whether a finding would follow from what was not read.
  bool hides(const std::string& code, const std::string& pointer) const;

 private:
  bool is_step(std::string_view pointer) const;
  std::string_view step_of(std::string_view pointer) const;

  std::set<std::string, std::less<>> steps_;
  std::set<std::string, std::less<>> pointers_;
  bool kinds_ = false;  ///< the kind of some step is not known
};

}  // namespace backstitch::dsl
