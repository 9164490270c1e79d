#pragma once
/// What expressions and templates say about the values they read.
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <backstitch/dsl/expression_ast.hpp>
#include <backstitch/dsl/template.hpp>

#include "shape.hpp"

namespace backstitch::rehearsal {

/// Reads the expressions of one place in a definition. Copied where names are added.
class Reading {
 public:
  /// The output of a step by its name.
  using StepOutputs = std::function<Places(const std::string& step)>;
  explicit Reading(StepOutputs outputs) : outputs_(std::move(outputs)) {}

  Reading with(const std::string& name, Places places) const;

  /// What the expression denotes, as far as it comes from answers; what it does with them is noted
  /// on the way.
  Places read(const dsl::Node& node) const;
  Places read(const dsl::Template& source) const;
  void read(const std::optional<dsl::Template>& source) const;
  /// A condition. Given `truth`, what it reads is chosen so that it holds, or does not.
  void condition(const dsl::Expression& source, std::optional<bool> truth = std::nullopt) const;

 private:
  Places member(const dsl::Node& node) const;
  Places index(const dsl::Node& node) const;
  Places binary(const dsl::Node& node) const;
  Places call(const dsl::Node& node) const;
  Places macro(const dsl::Node& node) const;
  void compare(const dsl::Node& node) const;
  void wish(const dsl::Node& node, bool truth) const;
  void wish_comparison(const dsl::Node& node, bool truth) const;

  StepOutputs outputs_;
  std::map<std::string, Places> names_;
};

}  // namespace backstitch::rehearsal
