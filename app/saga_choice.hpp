#pragma once
#include <string>

#include "global.hpp"

namespace backstitch::app {

/// How the command line names a saga.
struct SagaChoice {
  std::string id;  ///< of a command that only reads: or the beginning of one
  std::string business_key;
  std::string definition;
};

/// For commands that read: the positional ID, --business-key and --definition.
void add_saga_to_read(CLI::App& command, SagaChoice& choice);
/// For commands that change something: the same, but only the whole id is accepted, and a business
/// key only with its definition.
void add_saga_to_change(CLI::App& command, SagaChoice& choice);
/// To be called while the command line is parsed: a business key takes the place of the id, so that
/// the first positional is `next`, if the command has one. Ends the parsing if the saga is named in
/// no way or in two.
/// @param next the positional after ID; null: there is none
void settle_positionals(SagaChoice& choice, std::string* next);

/// The id of the saga that is meant. @return invalid/option-invalid if it is not clear which one;
/// not_found/saga-not-found
Result<std::string> find_to_read(client::Client& client, const SagaChoice& choice);
/// @return the same; never a saga that the caller has not named as a whole
Result<std::string> find_to_change(client::Client& client, const SagaChoice& choice);

}  // namespace backstitch::app
