#pragma once
/// What an expression names: does it exist, is it there at this place. Private to dsl/check.
#include <string>

#include <backstitch/dsl/expression_ast.hpp>

#include "fields.hpp"
#include "surroundings.hpp"

namespace backstitch::dsl {

class Names {
 public:
  Names(const Check& check, Surroundings& around) : check_(check), around_(around) {}
  void look(const Expression& expression, const std::string& pointer, const Sees& sees);

 private:
  struct Looking {
    const Expression& expression;
    const std::string& pointer;
    const Sees& sees;
  };
  /// What is around a node.
  struct Context {
    const Node* parent = nullptr;
    bool succeeded = false;  ///< only looked at where self.outcome is 'succeeded'
  };

  void node(const Node& node, const Context& context, const Looking& at);
  void children(const Node& node, const Context& context, const Looking& at);
  void step(const Node& node, const Context& context, const Looking& at);
  void root(const Node& node, const Context& context, const Looking& at);
  void warn_of_chance(const Node* parent, const Looking& at);
  std::string hint_for_unknown(const std::string& name);
  void self(const Node* member, const Context& context, const Looking& at);
  void error(const char* code, const Looking& at, const std::string& message,
             const std::string& hint);

  const Check& check_;
  Surroundings& around_;
};

}  // namespace backstitch::dsl
