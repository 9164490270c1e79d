#pragma once
/// What is known of a value before anything runs: from literals, payload schemas, the shapes that
/// the definition itself makes, and the signatures of functions. Private to dsl/check.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/dsl/payload_schema.hpp>

namespace backstitch::dsl {

using Kinds = std::uint8_t;
enum : Kinds {
  null_kind = 1,
  boolean_kind = 2,
  number_kind = 4,
  string_kind = 8,
  array_kind = 16,
  object_kind = 32,
  any_kind = 63
};
inline constexpr Kinds text_kinds = boolean_kind | number_kind | string_kind;

/// Of a JSON Schema type or function signature: `string|array`; empty: any.
Kinds kinds_of_names(std::string_view names);
Kinds kind_of(const Json& value);
/// `number or string`.
std::string to_text(Kinds kinds);

/// Whose promise a type is: it decides which finding a missing member is. What a `failure` brought
/// is nobody's promise: a use must suit each of its kinds (E416).
/// The payload of a `signal` was promised by no schema.
enum class Origin : std::uint8_t { other, input, child, failure, signal };

struct Shape;

/// Cheap to copy. The default is: nothing is known.
struct Type {
  Kinds kinds = any_kind;
  Origin origin = Origin::other;
  bool missing = false;          ///< perhaps null, because it was read with `?.` and was not there
  bool sensitive = false;        ///< is, or holds, what is marked x-sensitive
  bool empty_text = false;       ///< is made of what may be an empty text, and may be one, too
  bool any_text = false;         ///< may be a text that no schema confines
  const Json* schema = nullptr;  ///< of a payload
  std::shared_ptr<const Shape> shape;  ///< of what the definition makes; never beside a schema

  bool is_known() const { return kinds != any_kind; }
  bool may_be(Kinds wanted) const { return (kinds & wanted) != 0; }
  /// Whether a use that takes these kinds is right for the type.
  bool suits(Kinds wanted) const {
    return origin == Origin::failure ? (kinds & ~wanted) == 0 : may_be(wanted);
  }
};
inline Type of_kinds(Kinds kinds) {
  Type type;
  type.kinds = kinds;
  return type;
}

/// An object with these members and no others, or a list of such items.
struct Shape {
  std::map<std::string, Type> members;
  std::optional<Type> items;
};
Type object_of(std::map<std::string, Type> members, Origin origin = Origin::other);
Type array_of(const Type& item);

/// What is asked of payload schemas again and again. One for a check: every schema is walked once.
class Schemas {
 public:
  Type type_of(const Json* schema, Origin origin);
  bool requires_member(const Json& schema, const std::string& name);
  /// To validate with; nullptr: it is none.
  const PayloadSchema* compiled(const Json& schema);
  /// Whether it may be an empty text, as far as that is promised.
  bool may_be_empty_text(const Type& type);
  /// Whether its schema admits a text that is neither a duration nor a time.
  bool may_be_any_text(const Type& type);

 private:
  bool holds_sensitive(const Json& schema);
  std::map<const Json*, bool> sensitive_;
  std::map<const Json*, std::set<std::string_view>> required_;
  std::map<const Json*, std::shared_ptr<const PayloadSchema>> compiled_;
};

/// A member of an object, as far as it is known.
struct Member {
  enum class Is { known, open, absent };
  Is is = Is::open;
  bool optional = false;  ///< of a payload, and may be left out
  Type type;
};
Member member_of(Schemas& schemas, const Type& object, const std::string& name);
/// Those that can be named.
std::vector<std::string> member_names(const Type& object);
Type items_of(Schemas& schemas, const Type& list);
/// Of a value that is one or the other.
Type either(const Type& one, const Type& other);

/// A keyword of a schema; nullptr: it has none of that name.
const Json* keyword(const Json* schema, const char* name);

}  // namespace backstitch::dsl
