#pragma once
/// What the families of rules share. Private to dsl/check.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/dsl/check.hpp>

#include "unread.hpp"

namespace backstitch::dsl {

class Children;

/// The definition under check, what may be asked about its surroundings, and where findings go.
struct Check {
  const Definition& definition;
  const CheckContext& context;
  const Unread& unread;
  const Children& children;
  std::vector<Finding>& findings;

  void error(std::string code, std::string pointer, std::string message, std::string hint) const;
  void warning(std::string code, std::string pointer, std::string message, std::string hint) const;
  void info(std::string code, std::string pointer, std::string message, std::string hint) const;
  /// Nothing more is listed: there is no need to look for hints.
  bool is_full() const;
  /// The service of that name, `use` followed as far as the surroundings are known; nullptr: not
  /// known.
  const Service* service(const std::string& name) const;
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
/// Whether a step, or a list of steps, can come to its end without failing.
bool can_end(const Step& step);
bool can_end(const Steps& steps);
bool is_call(const Step& step);  ///< an action or a sub-saga
/// The kind of a call; of a sub-saga as stated, or derived from the child. Nothing: not known here.
std::optional<StepKind> kind_of(const Step& step, const Check& check);
bool is_pivot(const Step& step, const Check& check);
bool contains_pivot(const Step& step, const Check& check);
bool is_effectful(const Step& step);
bool is_waived(const Step& step);
/// A duration that is written out.
std::optional<Duration> known(const std::optional<DurationField>& field);

/// Warns of reads below the answer's body that fail for some answers, where the step needs them.
void check_body_reads(const Check& check, const Step& step, bool cannot_go_back);
void check_structure(const Check& check);
void check_catches(const Check& check, const Step& step, const Try& block);
void check_children(const Check& check);
void check_saga_rules(const Check& check);
void check_times(const Check& check);
void check_services(const Check& check);
void check_requests(const Check& check);
void check_outcomes(const Check& check);
void check_answers(const Check& check);
void check_reading(const Check& check);

}  // namespace backstitch::dsl
