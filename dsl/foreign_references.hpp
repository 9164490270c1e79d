#pragma once
/// References in the template syntax of other tools. This language takes such texts as they are.
#include <string>
#include <string_view>
#include <vector>

namespace backstitch::dsl {

struct ForeignReference {
  std::string written;  ///< `{{ input.cents }}`
  std::string path;     ///< `input.cents`
};

/// Every path of a name and members that another tool would replace: in braces of some kind, or
/// after a `$`. What stands alone in its string (`is_whole`) needs no mark at all.
std::vector<ForeignReference> foreign_references(std::string_view text, bool is_whole);

}  // namespace backstitch::dsl
