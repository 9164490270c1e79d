#include "unread.hpp"

#include <algorithm>
#include <array>

#include <backstitch/dsl/nearest.hpp>

#include "walk.hpp"

namespace backstitch::dsl {
namespace {

/// Rules that go by where the pivot is.
constexpr std::array<std::string_view, 13> by_position{"E202", "E203", "E205", "E206", "E213",
                                                       "E214", "E215", "E216", "E218", "W231",
                                                       "W232", "W234", "W236"};
/// Rules about what nobody uses: the use may stand in what was not read.
constexpr std::array<std::string_view, 2> by_use{"W301", "W423"};

template <class Codes>
bool is_among(const Codes& codes, std::string_view code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

}  // namespace

Unread::Unread(const Definition& draft, const std::vector<Finding>& parsed) {
  if (parsed.empty()) return;
  for_each_step(draft, [&](const Step& step) { steps_.insert(step.pointer); });
  for (const auto& finding : parsed) {
    pointers_.insert(finding.pointer);
    const auto slash = finding.pointer.rfind('/');
    const std::string_view parent = std::string_view(finding.pointer).substr(0, slash);
    const bool of_step = slash != std::string::npos && is_step(parent);
    const std::string member = of_step ? finding.pointer.substr(slash + 1) : "";
    const bool decides = of_step && !nearest(member, {"kind", "compensation"}).empty();
    // A step that does nothing known may have been the pivot.
    kinds_ = kinds_ || decides || (finding.code == "E101" && is_step(finding.pointer));
  }
}

bool Unread::is_step(std::string_view pointer) const {
  return steps_.find(pointer) != steps_.end();
}

std::string_view Unread::step_of(std::string_view pointer) const {
  while (!pointer.empty() && !is_step(pointer)) pointer = pointer.substr(0, pointer.rfind('/'));
  return pointer;
}

bool Unread::below(const std::string& pointer) const {
  if (!any()) return false;
  const std::string_view owner = step_of(pointer);
  for (auto at = pointers_.lower_bound(pointer); at != pointers_.end() && at->starts_with(pointer);
       ++at) {
    const bool inside = at->size() == pointer.size() || (*at)[pointer.size()] == '/';
    if (inside && step_of(*at) == owner) return true;
  }
  return false;
}

bool Unread::hides(const std::string& code, const std::string& pointer) const {
  if (!any()) return false;
  if (is_among(by_use, code)) return true;
  if (kinds_ && is_among(by_position, code)) return true;
  if (code == "E302" && pointers_.count("/services") > 0) return true;
  return below(pointer);
}

}  // namespace backstitch::dsl
