#include "model.hpp"

namespace backstitch::dsl::graph {
namespace {

NodeId entry_of(const Item& item) {
  const auto* block = block_of(item);
  return block != nullptr ? block->fork : std::get<Node>(item).id;
}

NodeId exit_of(const Item& item) {
  const auto* block = block_of(item);
  return block != nullptr ? block->join : std::get<Node>(item).id;
}

class Edges {
 public:
  /// The lane's arrows from `from` to `to` (0: from or to nowhere); `first` is the type of the one
  /// that enters it.
  void forward(const Lane& lane, NodeId from, NodeId to, EdgeType first = EdgeType::forward) {
    NodeId at = from;
    bool goes_on = true;
    std::string label = lane.items.empty() ? lane.title : "";
    for (const auto& item : lane.items) {
      if (goes_on && at != 0) edges.push_back({at, entry_of(item), first, ""});
      first = EdgeType::forward;
      if (const auto* block = block_of(item)) inside(*block);
      at = exit_of(item);
      goes_on = !ends_flow(item);
    }
    if (goes_on && at != 0 && to != 0) edges.push_back({at, to, first, std::move(label)});
  }

  /// The arrows of the way back through `lane`, last step first. `sources` come from below it.
  /// @return what leaves it at its top
  std::vector<Edge> back(const Lane& lane, std::vector<Edge> sources) {
    for (auto item = lane.items.rbegin(); item != lane.items.rend(); ++item) {
      const auto* block = block_of(*item);
      if (block == nullptr) {
        const Node& node = std::get<Node>(*item);
        if (!node.undo.empty()) reach(node.id, sources);
        if (!node.undo.empty() || node.turns_back)
          sources.push_back({node.id, 0, EdgeType::undo, node.turns_back ? "on failure" : ""});
      } else if (block->turns_back) {
        back_through(*block, sources);
      }
    }
    return sources;
  }

  void reach(NodeId to, std::vector<Edge>& sources) {
    for (auto& source : sources) {
      source.to = to;
      edges.push_back(std::move(source));
    }
    sources.clear();
  }

  std::vector<Edge> edges;

 private:
  void inside(const Block& block) {
    for (const auto& lane : block.lanes) {
      forward(lane, block.fork, block.join, lane.is_catch ? EdgeType::caught : EdgeType::forward);
    }
  }

  void back_through(const Block& block, std::vector<Edge>& sources) {
    const bool entered = block.undoable && !sources.empty();
    if (entered) reach(block.join, sources);
    for (auto lane = block.lanes.rbegin(); lane != block.lanes.rend(); ++lane) {
      std::vector<Edge> from_below;
      if (entered && undoable(*lane)) from_below.push_back({block.join, 0, EdgeType::undo, ""});
      auto leaving = back(*lane, std::move(from_below));
      reach(block.fork, leaving);
    }
    sources.push_back({block.fork, 0, EdgeType::undo, ""});
  }
};

}  // namespace

std::vector<Edge> edges_of(const Graph& graph) {
  Edges out;
  out.forward(graph.main, graph.start.id, graph.completed.id);
  if (graph.failed) {
    auto leaving = out.back(graph.main, {});
    out.reach(graph.undone ? graph.undone->id : graph.failed->id, leaving);
    if (graph.undone) out.forward(graph.on_failure, graph.undone->id, graph.failed->id);
  }
  // Nothing leads there: the engine enters it when an operator is needed.
  out.forward(graph.on_suspended, 0, 0);
  return std::move(out.edges);
}

}  // namespace backstitch::dsl::graph
