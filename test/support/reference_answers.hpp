#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// One answer, and the call it answers, as docs/participant-contract.md speaks of them.
struct AskedAnswer {
  std::string column;       ///< action, callback, poll, probe, compensation
  bool later_copy = false;  ///< after an attempt of unknown outcome
  const Json& step;         ///< of the definition
  const Json& service;      ///< of the definition
  int status = 0;
  Json body;
};

/// What the answer means by the page: `success`, `failure`, `transient`, `unknown` or `pending`.
/// Written from the documentation, and shares no code with the machine but the evaluation of
/// expressions.
std::string meaning_by_contract(const AskedAnswer& asked);

}  // namespace backstitch::test
