#pragma once
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::test {

/// A definition without a fault, with inputs that its schema admits.
struct Subject {
  std::string name;
  Json definition;
  std::vector<Json> inputs;
  bool is_example = false;
};

/// The sagas of examples/, read from the folder that the build names.
std::vector<Subject> example_subjects();
/// Generated from the number alone, with nothing that plays never reach. Every fourth has a
/// sub-saga.
Subject generated_subject(std::uint64_t number);

}  // namespace backstitch::test
