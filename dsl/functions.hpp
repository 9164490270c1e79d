#pragma once
/// The function library: one entry a function, with what the checker needs and what it does.
#include <optional>
#include <string>
#include <vector>

#include <backstitch/dsl/expression_ast.hpp>

#include "evaluation.hpp"

namespace backstitch::dsl {

/// What a function gets: its place for errors, and its arguments.
struct Arguments {
  Evaluation& evaluation;
  const Node& node;
  const std::vector<Operand>& values;

  std::size_t size() const { return values.size(); }
  const Json& operator[](std::size_t i) const { return values[i].get(); }
  [[noreturn]] void fail(const std::string& message) const {
    dsl::fail(node, "`" + node.text + "` " + message);
  }
  const std::string& text(std::size_t i) const;
  std::int64_t integer(std::size_t i) const;
  const Json& array(std::size_t i) const;
  const Json& object(std::size_t i) const;
  const Json& number(std::size_t i) const;
};

struct Function {
  FunctionInfo info;
  Json (*call)(const Arguments&);
};

std::vector<Function> number_functions();
std::vector<Function> list_functions();
std::vector<Function> text_functions();
std::vector<Function> time_and_hash_functions();

/// Why a call whose arguments are all literals fails, whatever the saga; nothing: it does not.
std::optional<std::string> failure_of_call(const Node& call);

/// Length and cutting count code points, as a reader does.
std::size_t code_points(std::string_view text);

}  // namespace backstitch::dsl
