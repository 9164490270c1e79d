#pragma once
/// What a definition's expressions need of data whose schema nobody publishes: a participant's
/// answer, a child's output, a signal. Found by reading (reading.hpp), made into a few values that
/// stand for all others as far as the definition can tell them apart.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::engine::explore {

struct Shape {
  bool may_miss = false;    ///< read with `?.`: the author reckons with its absence
  bool null = false;        ///< compared with null
  bool number = false;      ///< calculated with
  bool boolean = false;     ///< a condition by itself
  bool text = false;        ///< put into a text, or given to a function of texts
  bool list = false;        ///< a macro, an index or `in` goes over it
  bool looped = false;      ///< a forEach goes over it
  bool object = false;      ///< has members that are read
  bool ordered = false;     ///< compared with `<` and the like
  bool divisor = false;     ///< divided by
  bool time = false;        ///< `sleep.until`
  bool duration = false;    ///< a duration field
  std::set<Json> compared;  ///< constants it is compared with
  /// Constants that what is calculated from it is compared with.
  std::set<Json> hints;
  bool with_other = false;        ///< compared with other data
  std::set<std::size_t> lengths;  ///< its length is compared with these
  std::map<std::string, Shape> members;
  std::shared_ptr<Shape> items;

  Shape& member(const std::string& name);
  Shape& item();
};

/// Values that stand for all: the first is the plain one. Every constant it is compared with and
/// one that is none of them, absent where it may be, both truths of a condition, lists of none, one
/// and two items where something is done for each.
/// @param schema  what is published of it (JSON Schema subset), null: nothing. Values that it does
///                not admit are left out, unless none is left
/// @param most    the product of the members' choices is cut there; `cut` tells
std::vector<Json> representatives(const Shape& shape, const Json& schema, const std::string& name,
                                  std::size_t most, bool& cut);

}  // namespace backstitch::engine::explore
