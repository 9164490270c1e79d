#include "saga_choice.hpp"
#include "member_text.hpp"

#include <set>

#include <backstitch/base/saga_id.hpp>

#include "usage.hpp"

namespace backstitch::app {
namespace {

constexpr std::size_t candidates_shown = 5;
constexpr std::size_t holders_max = 500;

void add_saga(CLI::App& command, SagaChoice& choice, const char* id, const char* definition) {
  command.add_option("ID", choice.id, id);
  command.add_option("--business-key", choice.business_key,
                     "The newest saga with this business key, instead of ID");
  command.add_option("--definition", choice.definition, definition);
}

Error not_found(const std::string& message) {
  return {ErrorCode::not_found, "saga-not-found", message};
}

/// At most candidates_shown of them, one a line.
std::string list_of(const Json& sagas) {
  std::string text;
  for (std::size_t i = 0; i < sagas.size() && i < candidates_shown; ++i) {
    text += "\n  " + text_of(sagas[i], "id") + "  " + text_of(sagas[i], "definition") + "  " +
            text_of(sagas[i], "status");
  }
  return sagas.size() > candidates_shown ? text + "\n  …" : text;
}

Result<std::string> find_by_prefix(client::Client& client, const std::string& prefix) {
  const auto page =
      client.sagas({{"idPrefix", prefix}, {"limit", std::to_string(candidates_shown + 1)}});
  if (!page) {
    if (page.error().reason != "query-invalid") return page.error();
    return invalid_option("`" + prefix +
                          "` is not a saga id or its beginning; give a UUID like "
                          "019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17, or at least its first 8 "
                          "characters.");
  }
  const Json& sagas = (*page)["sagas"];
  if (sagas.empty()) return not_found("There is no saga whose id begins with `" + prefix + "`.");
  if (sagas.size() == 1) return sagas[0].value("id", "");
  return invalid_option("Several sagas have an id that begins with `" + prefix +
                        "`; give more characters:" + list_of(sagas));
}

client::Query holders_of(const SagaChoice& choice, std::size_t limit) {
  client::Query query{{"businessKey", choice.business_key}, {"limit", std::to_string(limit)}};
  if (!choice.definition.empty()) query.emplace_back("definition", choice.definition);
  return query;
}

Error no_holder(const SagaChoice& choice) {
  return not_found("There is no saga" +
                   (choice.definition.empty() ? "" : " of `" + choice.definition + "`") +
                   " with the business key `" + choice.business_key + "`.");
}

/// A business key belongs to a definition: of several definitions none is guessed.
Result<std::string> find_holder(client::Client& client, const SagaChoice& choice) {
  const auto page = client.sagas(holders_of(choice, holders_max));
  if (!page) return page.error();
  const Json& sagas = (*page)["sagas"];
  if (sagas.empty()) return no_holder(choice);
  std::set<std::string> definitions;
  Json newest = Json::array();
  for (const auto& saga : sagas) {
    if (definitions.insert(text_of(saga, "definition")).second) newest.push_back(saga);
  }
  if (newest.size() == 1) return newest[0].value("id", "");
  return invalid_option("Sagas of several definitions have the business key `" +
                        choice.business_key + "`; add --definition:" + list_of(newest));
}

}  // namespace

void add_saga_to_read(CLI::App& command, SagaChoice& choice) {
  add_saga(command, choice, "The saga: its id, or at least the first 8 characters of it",
           "Definition of the saga with that business key");
}

void add_saga_to_change(CLI::App& command, SagaChoice& choice) {
  add_saga(command, choice, "The saga: its whole id",
           "Definition of the saga with that business key; required with it");
}

void settle_positionals(SagaChoice& choice, std::string* next) {
  if (choice.business_key.empty()) {
    if (choice.id.empty()) throw_usage("no saga is named: give ID or --business-key");
    if (!choice.definition.empty()) throw_usage("--definition is for --business-key");
    return;
  }
  const bool both = next == nullptr ? !choice.id.empty() : !next->empty();
  if (both) throw_usage("a saga is named by ID or by --business-key, not by both");
  if (next != nullptr) *next = std::exchange(choice.id, {});
}

Result<std::string> find_to_read(client::Client& client, const SagaChoice& choice) {
  if (!choice.business_key.empty()) return find_holder(client, choice);
  if (SagaId::parse(choice.id)) return choice.id;
  return find_by_prefix(client, choice.id);
}

Result<std::string> find_to_change(client::Client& client, const SagaChoice& choice) {
  if (choice.business_key.empty()) {
    if (SagaId::parse(choice.id)) return choice.id;
    return invalid_option("`" + choice.id +
                          "` is not the whole id of a saga. A command that changes a saga takes "
                          "the whole id, or --business-key with --definition; `backstitch show` "
                          "also takes the beginning of an id and prints the whole.");
  }
  if (choice.definition.empty()) {
    return invalid_option("--business-key needs --definition in a command that changes a saga.");
  }
  const auto page = client.sagas(holders_of(choice, 1));
  if (!page) return page.error();
  const Json& sagas = (*page)["sagas"];
  if (sagas.empty()) return no_holder(choice);
  return sagas[0].value("id", "");
}

}  // namespace backstitch::app
