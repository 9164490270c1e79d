#pragma once
/// What stand-ins answer when nobody says what: bodies that the definition can work with.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <backstitch/dsl/definition.hpp>

#include "reading.hpp"

namespace backstitch::rehearsal {

using Definitions = std::vector<std::shared_ptr<const dsl::Definition>>;

/// The rules of an action or of an undo, those of its service behind its own.
using Rules = std::vector<const dsl::OutcomeRule*>;

/// Reads a definition and its sub-sagas once and keeps the shape of every answer. Looks at how the
/// answer is used: by the step's output, capture, outcomes, probe and undo, and by whoever reads
/// the output later. Immutable afterwards.
class Answers {
 public:
  using FindService = std::function<const dsl::Service*(const dsl::Service& named)>;
  /// @param find follows `use`; nullptr: nothing is known of that service
  Answers(const Definitions& definitions, FindService find);

  /// `number` makes the texts of different answers differ.
  Json of_action(const std::string& definition, const std::string& step, int number) const;
  Json of_undo(const std::string& definition, const std::string& step, int number) const;
  /// A body for which the rule holds, where its condition can be steered.
  static Json of_rule(const dsl::OutcomeRule& rule, int number);
  Rules rules_of(const dsl::Definition& definition, const std::string& service,
                 const std::vector<dsl::OutcomeRule>& own) const;

 private:
  class Walk;
  struct Sheet {
    std::map<std::string, std::shared_ptr<Shape>> actions;
    std::map<std::string, std::shared_ptr<Shape>> undos;
  };
  std::map<std::string, Sheet> sheets_;
  Definitions definitions_;
  FindService find_;
};

}  // namespace backstitch::rehearsal
