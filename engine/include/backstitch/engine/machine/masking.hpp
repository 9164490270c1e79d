#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <backstitch/dsl/definition.hpp>
#include <backstitch/dsl/taint.hpp>
#include <backstitch/engine/machine/event.hpp>
#include <backstitch/engine/machine/state.hpp>

namespace backstitch::engine {

class TextSearch;

/// Views of sagas that have sensitive values and more data than this are made off the reactors.
inline constexpr std::size_t masked_at_once_max = 64 * 1024;

/// Hides what is marked "x-sensitive" from whoever looks at a saga. What the engine renders is
/// hidden by where it comes from (dsl/taint.hpp): a field whose template reads what is sensitive is
/// `***`, whatever became of the value. What participants answer is searched for the values
/// themselves, of four characters and more: shorter ones would hide everything. Where these come to
/// more than 256 KiB, whatever would be searched is hidden instead.
/// The only one for all who show a saga: history, views, plans, rehearsals. Immutable, thread-safe.
class Masking {
 public:
  /// @param state  of the saga as it is: what came to be sensitive in it is searched for
  Masking(const dsl::Definition& definition, const SagaState& state);

  /// The stored form of an event as it may be shown.
  EventRecord masked(EventRecord event) const;
  /// A saga as view() gives it.
  void mask_view(Json& view) const;
  /// Method and target, as it may be shown.
  std::string target(const StepPath& path, Phase phase, const std::string& target) const;
  /// The whole URL, or `***` if anything of its path or query is sensitive.
  std::string url(const StepPath& path, Phase phase, const std::string& base_url,
                  const std::string& target) const;
  /// Replaces every occurrence of a sensitive value in the texts and numbers of `shown`.
  void search(Json& shown) const;

 private:
  const dsl::StepTaint& step(const std::string& path) const;
  void collect(const Json& part, const dsl::Taint& taint);
  void collect_all(const Json& part);
  void add_needle(std::string text);
  void mask_event(const std::string& type, const StepPath& path, Json& data) const;
  void mask_request(Json& request, const dsl::RequestTaint& taint) const;
  void mask_failure(Json& failure, const StepPath& path) const;
  void mask_suspension(Json& suspension, const StepPath& path) const;
  std::string searched(const std::string& text) const;

  std::shared_ptr<const dsl::TaintMap> taints_;  ///< null: nothing is sensitive
  /// What is searched for: the texts, and the numbers as they are written.
  std::vector<std::string> needles_;
  std::size_t needle_bytes_ = 0;
  std::unordered_set<std::string> numbers_;
  std::shared_ptr<const TextSearch> search_;  ///< null: there is no text to search for
};

/// Whether anything in the saga is sensitive. What is cut before it is searched could show a part
/// of it: of such a saga no beginning of an answer is kept.
bool has_sensitive_values(const dsl::Definition& definition, const std::vector<std::string>& given);
/// What may be known of the definition alone, and beside it of what the parent has marked.
/// @return null: nothing is sensitive
std::shared_ptr<const dsl::TaintMap> taints_of(const dsl::Definition& definition,
                                               const std::vector<std::string>& given);
/// @param given  what the parent has marked
/// @return the error as its sender may see it: of an expression it quotes what was read, and keys
/// may be made of what is sensitive. decide() returns no other.
Error without_values(Error error, const dsl::Definition& definition,
                     const std::vector<std::string>& given = {});
/// What a parent marks of the child that this step starts: JSON pointers into {input, businessKey}.
std::vector<std::string> sensitive_of_child(const dsl::Definition& parent,
                                            const std::vector<std::string>& given,
                                            const std::string& step);
/// For the store's views: JSON text, {"input": [pointer, …], "output", "failure", "labels",
/// "businessKey", "steps": {name: {"output", "failure"}}}; empty: nothing is sensitive.
std::string stored_taints(const dsl::Definition& definition, const std::vector<std::string>& given);
/// A saga of a list, {labels, businessKey, failure}, by its stored_taints. Its values are not at
/// hand to search for, so what its failure says is hidden whole, but for code, class and step.
void mask_listed(Json& saga, const std::string& stored_taints);

}  // namespace backstitch::engine
