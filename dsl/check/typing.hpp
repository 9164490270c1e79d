#pragma once
/// The type of an expression, and what cannot work in it. What is not known is let pass; it is
/// checked when the expression runs. Private to dsl/check.
#include <optional>
#include <string>
#include <vector>

#include <backstitch/dsl/expression_ast.hpp>

#include "fields.hpp"
#include "surroundings.hpp"
#include "types.hpp"

namespace backstitch::dsl {

/// What names mean at a place; where they are not there, nothing is known.
struct Roots {
  Type self;
  Type response;
  Type failure;
  Type signal;
};

class Typing {
 public:
  Typing(const Check& check, Schemas& schemas, const Surroundings& around)
      : check_(check), schemas_(schemas), around_(around) {}

  Type type_of(const Expression& expression, const std::string& pointer, const Roots& roots);
  /// Whether a path of names and members leads to a member that is known to exist. No findings.
  bool leads_to_member(const Expression& path, const Roots& roots);

 private:
  std::optional<Type> resolved(const Node& path);
  Type of(const Node& node);
  Type name(const Node& node);
  Type member(const Node& node);
  Type index(const Node& node);
  Type read(const Type& object, const std::string& name, const Node& node);
  Type step(const Node& node);
  Type unary(const Node& node);
  Type binary(const Node& node);
  Type arithmetic(const Node& node, const Type& left, const Type& right);
  Type call(const Node& node);
  Type macro(const Node& node);
  Type object(const Node& node);
  Type one_of(const Type& one, const Type& other);
  void fails_for_some(const std::string& use, const Type& type);
  void unchecked_payload(const std::string& name);
  void check_literals(const Node& call);
  void not_missing(const Type& type, const std::string& what);
  void require(const Type& type, Kinds wanted, const std::string& what);
  void error(const char* code, const std::string& message, const std::string& hint);

  const Check& check_;
  Schemas& schemas_;
  const Surroundings& around_;
  std::vector<Variable> variables_;  ///< of the macros around
  const Expression* expression_ = nullptr;
  const std::string* pointer_ = nullptr;
  const Roots* roots_ = nullptr;
};

const Type& saga_type();
const Type& failure_type();
const Type& response_type();
/// Of `steps.x`, once it succeeded.
Type step_type(const Type& output);

}  // namespace backstitch::dsl
