#pragma once
/// What the families of rules share. Private to dsl/check.
#include <functional>
#include <string>
#include <vector>

#include <backstitch/dsl/check.hpp>

namespace backstitch::dsl {

/// The definition under check, what may be asked about its surroundings, and where findings go.
struct Check {
  const Definition& definition;
  const CheckContext& context;
  std::vector<Finding>& findings;

  void error(std::string code, std::string pointer, std::string message,
             std::string hint = {}) const;
  void warning(std::string code, std::string pointer, std::string message,
               std::string hint = {}) const;
  /// The service of that name, `use` followed as far as the surroundings are known; nullptr: not
  /// known.
  const Service* service(const std::string& name) const;
};

/// Where a step stands.
struct Position {
  bool in_parallel = false;
  bool in_for_each = false;
  bool in_try = false;
  bool after_pivot = false;
};

/// The lists of steps directly inside a step.
std::vector<const Steps*> inner_lists(const Step& step);
/// Every step of the tree, outer ones first.
void for_each_step(const Steps& steps, const std::function<void(const Step&)>& use);
void for_each_step(const Definition& definition, const std::function<void(const Step&)>& use);
/// Every request of a step: of the action, its probe, its poll and its compensation.
struct RequestUse {
  const Request* request;
  const std::vector<OutcomeRule>* outcomes;
  const char* role;  ///< action, probe, poll, compensation
  std::string service;
};
std::vector<RequestUse> requests_of(const Step& step);
/// A duration that is an expression, and what else than the input and the steps it may read.
struct DurationUse {
  const Expression* source;
  std::string pointer;
  bool of_answer = false;  ///< `response` is there
  bool of_undo = false;    ///< `self` and `failure` are there
};
std::vector<DurationUse> durations_of(const Step& step);
/// Of the definition itself, its defaults and the services written within it.
std::vector<DurationUse> durations_of(const Definition& definition);
/// Whether a list of steps can come to its end without failing.
bool can_end(const Steps& steps);
bool contains_pivot(const Steps& steps, const Check& check);
/// The kind of a sub-saga step: stated, or derived from the child where that is known.
StepKind kind_of(const Step& step, const Check& check);
bool is_effectful(const Step& step);

void check_structure(const Check& check);
void check_saga_rules(const Check& check);
void check_times(const Check& check);
void check_services(const Check& check);
void check_availability(const Check& check);
void check_types(const Check& check);

}  // namespace backstitch::dsl
