#pragma once
/// What every drawing of a definition shows, before one decides how it looks. All texts are one
/// line, valid UTF-8 without control characters; each format escapes its own syntax.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <backstitch/dsl/definition.hpp>

namespace backstitch::dsl::graph {

/// Counts from one, in the order of the document. Of a node, or of the fork or join of a block.
using NodeId = std::uint32_t;

enum class Shape { start, completed, undone, failed, call, saga, wait, sleep, value, fail };

struct Node {
  NodeId id = 0;
  Shape shape = Shape::call;
  std::optional<StepKind> kind{};    ///< of a step that calls, where it is known
  std::string name{};                ///< of the step, or what an end is called
  std::vector<std::string> lines{};  ///< what it does
  std::string when{};                ///< its condition; empty: always
  std::string undo{};                ///< what undoes it; empty: nothing to undo
  bool turns_back = false;           ///< a pivot or a `fail`: from here the way back begins
  std::string about{};               ///< for who looks closer; may be empty

  bool is_pivot() const { return kind == StepKind::pivot; }
};

enum class BlockType { parallel, switch_, for_each, try_ };

struct Block;
/// The block is shared so that an item can be copied; it never changes.
using Item = std::variant<Node, std::shared_ptr<const Block>>;

/// A list of steps: the main line, a branch, a case, a body, a catch, a handler.
struct Lane {
  std::string title;
  std::vector<Item> items;
  bool is_catch = false;  ///< entered when the first lane of its `try` has failed and is undone
};

struct Block {
  BlockType type = BlockType::parallel;
  NodeId fork = 0;
  NodeId join = 0;
  std::string name;
  std::vector<std::string> lines;
  std::string when;
  std::string about;
  std::vector<Lane> lanes;
  bool undoable = false;    ///< something inside has an undo
  bool turns_back = false;  ///< the way back comes through or begins inside
};

/// How the saga can end, and in between what its definition lists.
struct Graph {
  std::string title;
  std::string about;  ///< the description
  Node start;
  Lane main;
  Node completed;
  std::optional<Node> undone;  ///< before `on_failure`, if that has steps
  std::optional<Node> failed;  ///< unset: nothing in the definition leads back
  Lane on_failure;
  Lane on_suspended;
};

Graph graph_of(const Definition& definition);

/// The block of an item; nullptr: it is a node.
const Block* block_of(const Item& item);
/// What an item is for the way back.
bool undoable(const Item& item);
bool turns_back(const Item& item);
bool undoable(const Lane& lane);
bool turns_back(const Lane& lane);
/// Whether nothing follows: an unconditional `fail`, or a block of which every way ends in one.
bool ends_flow(const Item& item);
bool ends_flow(const Lane& lane);

/// The words beside the name: what type of step it is, and its kind. Empty for an end.
std::string type_words(const Node& node);
/// `parallel`, `forEach` …
const char* to_text(BlockType type);

enum class EdgeType { forward, undo, caught };
struct Edge {
  NodeId from = 0;
  NodeId to = 0;
  EdgeType type = EdgeType::forward;
  std::string label{};
};

/// Every arrow, in the order of the document: forwards first, then the way back. Blocks are passed
/// through their fork and join, so that the number of arrows is linear.
std::vector<Edge> edges_of(const Graph& graph);

}  // namespace backstitch::dsl::graph
