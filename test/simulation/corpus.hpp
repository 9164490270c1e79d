#pragma once
/// The sagas that simulations run: the examples, and random ones.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <nlohmann/json.hpp>

#include "../support/dice.hpp"

namespace backstitch::simulation {

struct Specimen {
  std::string name;
  Json document;
  Json input;  ///< one that the schema admits
  std::vector<std::string> signals;
  /// As it is registered, with the sub-sagas it needs before it.
  std::vector<std::shared_ptr<const engine::StoredDefinition>> stored;
};

/// Parsed and checked once a process, however many simulations use it; not thread-safe.
class Corpus {
 public:
  Corpus();
  ~Corpus();

  const Specimen& drawn(test::Dice& dice);
  /// By the name of the definition, for those that were drawn: the checker's.
  const std::map<std::string, Json>& documents() const { return documents_; }
  const std::vector<engine::StoredService>& services() const { return services_; }

  static constexpr std::size_t random_ones = 400;

 private:
  struct Workbench;
  void add_example(const std::vector<std::string>& files, const std::string& input);
  /// nullptr: this one did not pass.
  std::unique_ptr<Specimen> made(std::uint64_t number);
  std::unique_ptr<Specimen> family(std::uint64_t number);
  std::unique_ptr<Specimen> registered(std::vector<Json> documents, Json input);

  std::vector<std::unique_ptr<Specimen>> examples_;
  std::map<std::uint64_t, std::unique_ptr<Specimen>> random_;
  std::map<std::string, Json> documents_;
  std::vector<engine::StoredService> services_;
};

}  // namespace backstitch::simulation
