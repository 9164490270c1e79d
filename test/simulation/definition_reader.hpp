#pragma once
/// A definition as the checker reads it: from its JSON, without the engine's parser.
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace backstitch::simulation {

/// What stands around a step, from the outside in: each a place in a list.
struct Level {
  enum class Block { list, parallel, switch_, for_each, try_ };
  Block block = Block::list;  ///< what the list is a part of; `list`: the main line or a handler
  const nlohmann::json* body = nullptr;  ///< of the block: its `parallel`, `forEach`, …
  std::size_t arm = 0;                   ///< branch, case, or body (0) and catches (1, …)
  std::size_t index = 0;                 ///< in the list
};

struct StepSheet {
  const nlohmann::json* step = nullptr;
  std::vector<Level> levels;
  bool handler = false;
  bool child_can_be_undone = false;  ///< of a sub-saga: something in it

  bool has(const char* member) const { return step->contains(member); }
  /// An undo that is a request, or a sub-saga that undoes itself.
  bool can_be_undone() const;
  bool undo_is_conditional() const;
  bool is_pivot() const { return step->value("kind", std::string{}) == "pivot"; }
  bool is_readonly() const;
};

/// A definition's steps by name: names are unique in it.
class DefinitionReader {
 public:
  using Documents = std::map<std::string, nlohmann::json>;
  /// `documents` by name: those of its sub-sagas.
  DefinitionReader(const nlohmann::json& document, const Documents& documents);
  /// The step that a path of the log ends with; nullptr: there is none.
  const StepSheet* step(const std::string& path) const;
  bool goes_back() const { return goes_back_; }  ///< it recovers backward

  enum class Order { none, first_is_earlier, second_is_earlier };
  /// Which of two steps, as paths of the log, stands before the other, so that it has to be undone
  /// after it.
  Order order(const std::string& first, const std::string& second) const;

 private:
  void read(const nlohmann::json& steps, const std::vector<Level>& around, bool handler);
  void read_list(const nlohmann::json& steps, std::vector<Level> around, Level::Block block,
                 const nlohmann::json& body, std::size_t arm, bool handler);

  std::map<std::string, StepSheet> steps_;
  bool goes_back_ = true;
};

/// The iterations that a path stands in, from the outside in: `a[7]/b/c[2]/d` is 7, 2.
std::vector<std::size_t> iterations_of(const std::string& path);

}  // namespace backstitch::simulation
