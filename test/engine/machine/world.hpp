#pragma once
/// What is around one saga: participants that do a thing once a key and remember what they undid,
/// sub-sagas, people who send signals. Whatever the saga asks for is checked on the spot against
/// the promises: nothing is done after its undo (I5), nothing is undone twice over or out of the
/// mirror order (I4), nothing is undone once the pivot is done (I9).
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "play.hpp"

namespace backstitch::test {

/// Which steps have to be undone before which, read from the definition and two paths.
class MirrorOrder {
 public:
  explicit MirrorOrder(const dsl::Definition& definition) { number(definition.document["steps"]); }

  /// Whether `later` has to be undone before `earlier` is: they stand in one list, in this order.
  /// Steps of two branches, and of two iterations, have no order.
  bool before(const std::string& earlier, const std::string& later) const {
    std::string_view a = earlier;
    std::string_view b = later;
    while (!a.empty() && !b.empty()) {
      const auto one = take(a);
      const auto other = take(b);
      if (one == other) continue;
      const auto left = order_.find(name_of(one));
      const auto right = order_.find(name_of(other));
      if (left == order_.end() || right == order_.end()) return false;
      return left->second < right->second;
    }
    return false;
  }

 private:
  static std::string_view take(std::string_view& rest) {
    const auto slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
    return segment;
  }
  static std::string name_of(std::string_view segment) {
    return std::string(segment.substr(0, segment.find('[')));
  }
  /// In the order of the document; branches are no steps.
  void number(const Json& part) {
    if (!part.is_structured()) return;
    if (part.is_object() && part.contains("name") && part["name"].is_string())
      order_.emplace(part["name"].get<std::string>(), order_.size());
    for (const auto& inner : part) number(inner);
  }

  std::map<std::string, std::size_t> order_;
};

struct World {
  std::set<std::string> done;    ///< effects that exist
  std::set<std::string> undone;  ///< keys that were closed by an undo
  std::map<std::string, int> asked;
  std::map<std::string, engine::SagaStatus> children;
  bool pivot_done = false;
  bool crashed = false;  ///< from then on a request may have been meant and never left

  void act(const std::string& path, bool pivot) {
    const bool closed = undone.count(path) > 0;
    CHECK_MESSAGE(!closed, path << " is asked for after its undo");
    done.insert(path);
    pivot_done = pivot_done || pivot;
  }
  void undo(const std::string& path, const MirrorOrder& order) {
    CHECK_MESSAGE(!pivot_done, path << " is undone after the pivot");
    CHECK_MESSAGE((asked[path] > 0 || crashed), path << " is undone and was never asked for");
    for (const auto& other : done) {
      const bool out_of_order = order.before(path, other);
      CHECK_MESSAGE(!out_of_order, path << " is undone before " << other);
    }
    done.erase(path);
    undone.insert(path);
  }
};

/// The last name in a path: `loop[3]/hold` -> `hold`.
inline std::string last_name(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace backstitch::test
