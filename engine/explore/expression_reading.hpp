#pragma once
/// What the expressions of a definition expect of their data.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/dsl/expression.hpp>
#include <backstitch/dsl/expression_ast.hpp>
#include <backstitch/dsl/template.hpp>

#include "shape.hpp"

namespace backstitch::engine::explore {

/// What an expression gives, as far as it comes from outside: all the shapes it may be a value of,
/// and the members of what the definition builds itself.
struct Origin {
  std::vector<Shape*> shapes;
  std::vector<Shape*> from;     ///< what a calculated value depends on
  std::vector<Shape*> counted;  ///< what it is the length of
  std::map<std::string, Origin> members;
  std::shared_ptr<Origin> items;

  void add(const Origin& other) {
    shapes.insert(shapes.end(), other.shapes.begin(), other.shapes.end());
    from.insert(from.end(), other.from.begin(), other.from.end());
    counted.insert(counted.end(), other.counted.begin(), other.counted.end());
    for (const auto& [name, member] : other.members) members[name].add(member);
    if (!other.items) return;
    if (!items) items = std::make_shared<Origin>();
    items->add(*other.items);
  }
  void mark(bool Shape::*what) const {
    for (auto* shape : shapes) shape->*what = true;
  }
  bool is_data() const { return !shapes.empty() || !from.empty(); }

  static Origin of(std::vector<Shape*> shapes) {
    Origin origin;
    origin.shapes = std::move(shapes);
    return origin;
  }
  /// Something calculated from these.
  static Origin calculated(const std::vector<Origin>& operands) {
    Origin origin;
    for (const auto& one : operands) {
      origin.from.insert(origin.from.end(), one.shapes.begin(), one.shapes.end());
      origin.from.insert(origin.from.end(), one.from.begin(), one.from.end());
    }
    return origin;
  }
};

/// Reads expressions and marks what they ask of the shapes they come to. What names stand for
/// changes as the definition is walked.
class ExpressionReader {
 public:
  std::map<std::string, Origin> names;
  std::map<std::string, Origin> outputs;  ///< of steps
  bool failure_read = false;

  Origin expression(const dsl::Expression& source) { return node(source.root()); }
  /// The origin of a template: its objects and arrays as they are built, expressions in place.
  Origin value(const dsl::Template& source);
  /// What is read of a list's items.
  static Origin items_of(const Origin& base, bool Shape::*how);

 private:
  Origin node(const dsl::Node& node);
  Origin member(const dsl::Node& node);
  Origin index(const dsl::Node& node);
  Origin binary(const dsl::Node& node);
  Origin call(const dsl::Node& node);
  Origin macro(const dsl::Node& node);
};

}  // namespace backstitch::engine::explore
