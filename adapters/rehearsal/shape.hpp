#pragma once
/// What is known of a value before there is one: gathered from the expressions that read it.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::rehearsal {

enum class Kind { any, text, number, boolean, array, object, duration, time };

struct Shape;
/// What an expression may denote: more than one where it chooses.
using Places = std::vector<std::shared_ptr<Shape>>;

/// A part of an answer, or of something made from answers. What is asked of a part of an output is
/// thereby asked of the part of the answer that it comes from, because both are the same object.
struct Shape {
  std::string name;  ///< of the member; what a text made for it begins with
  Kind kind = Kind::any;
  bool in_text = false;  ///< a part of a text: a scalar, whichever
  std::map<std::string, Places> members;
  Places elements;
  std::optional<Json> value;  ///< what it has to be
  std::vector<Json> unlike;   ///< what it is compared with: it is none of these

  /// The member of that name, made if nobody has asked for it.
  Places member(const std::string& called);
  /// What the list holds, the same for each of its items.
  Places items();
};

std::shared_ptr<Shape> make_shape(std::string name = {}, Kind kind = Kind::any);
Places members_of(const Places& places, const std::string& name);
Places items_of(const Places& places);
/// The first that asks decides; later ones that want something else are not heard.
void want(const Places& places, Kind kind);
void want_value(const Places& places, const Json& value);
void want_other(const Places& places, const Json& value);
/// The kind and the bounds that a payload schema asks for.
void want_schema(const Places& places, const Json& schema);
void add(Places& to, const Places& more);

/// The simplest value of that shape: 100, false, a list of one, a text that ends in `number`.
Json example(const Shape& shape, const std::string& number);

}  // namespace backstitch::rehearsal
