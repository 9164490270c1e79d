#pragma once
/// Reads every expression of a definition for what it expects of its data.
#include <map>
#include <set>
#include <string>

#include <backstitch/dsl/definition.hpp>

#include "shape.hpp"

namespace backstitch::engine::explore {

/// What is read of the data that comes from outside, by the step it comes to.
struct Readings {
  Shape input;
  std::map<std::string, Shape> answers;  ///< bodies of what a step's participant answers
  std::map<std::string, Shape> probed;   ///< bodies of what its probe is answered
  std::map<std::string, Shape> headers;  ///< of the answers to the requests of a step
  std::map<std::string, Shape> followed;  ///< bodies of answers that follow: polls, callbacks
  std::map<std::string, Shape> undone;   ///< bodies of what its undo is answered
  std::map<std::string, Shape> signals;  ///< payloads
  std::map<std::string, Shape> children;  ///< outputs
  std::set<std::string> codes;            ///< of failures, where something depends on them
  bool failure_read = false;              ///< `failure` at all, beside the codes of catches
  bool details_read = false;              ///< `failure.details` or `failure.message` somewhere
};

Readings read(const dsl::Definition& definition);

}  // namespace backstitch::engine::explore
