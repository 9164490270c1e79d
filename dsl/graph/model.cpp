#include "model.hpp"

#include <algorithm>

#include <backstitch/base/match.hpp>

#include "text.hpp"
#include "words.hpp"

namespace backstitch::dsl::graph {
namespace {

std::vector<std::string> plain_lines(const std::vector<std::string>& lines) {
  std::vector<std::string> out;
  for (const auto& line : lines) {
    if (auto text = plain(line); !text.empty()) out.push_back(std::move(text));
  }
  return out;
}

Shape shape_of(const StepBody& body) {
  return std::visit(
      Match{[](const Action&) { return Shape::call; }, [](const SubSaga&) { return Shape::saga; },
            [](const Wait&) { return Shape::wait; }, [](const Sleep&) { return Shape::sleep; },
            [](const Value&) { return Shape::value; }, [](const Fail&) { return Shape::fail; },
            // Blocks are no nodes; the builder never asks.
            [](const Parallel&) { return Shape::call; }, [](const Switch&) { return Shape::call; },
            [](const ForEach&) { return Shape::call; }, [](const Try&) { return Shape::call; }},
      body);
}

/// Walks the steps once and remembers whether the pivot has been passed: after it nothing is
/// undone, whatever a definition that was not checked says.
class Builder {
 public:
  explicit Builder(const Definition& definition) : definition_(definition) {}

  Graph build() {
    Graph graph;
    graph.title = plain(definition_.name) + ", version " + std::to_string(definition_.version);
    graph.about = plain(definition_.description);
    graph.start = end_node(Shape::start, "start");
    forward_only_ = definition_.recovery == Recovery::forward;
    graph.main = lane("", definition_.steps);
    graph.completed = end_node(Shape::completed, "COMPLETED");
    forward_only_ = true;
    const bool handled = !definition_.on_failure.empty();
    if (handled || dsl::graph::turns_back(graph.main)) {
      if (handled) graph.undone = end_node(Shape::undone, "undone");
      graph.on_failure = lane("onFailure", definition_.on_failure);
      graph.failed = end_node(Shape::failed, "FAILED");
    }
    graph.on_suspended = lane("onSuspended", definition_.on_suspended);
    return graph;
  }

 private:
  Node end_node(Shape shape, std::string name) {
    Node node;
    node.id = ++last_id_;
    node.shape = shape;
    node.name = std::move(name);
    return node;
  }

  Lane lane(std::string title, const Steps& steps) {
    Lane out;
    out.title = plain(title);
    for (const auto& step : steps) out.items.push_back(item(step));
    return out;
  }

  Item item(const Step& step) {
    return std::visit(Match{[&](const Action&) -> Item { return node(step); },
                            [&](const SubSaga&) -> Item { return node(step); },
                            [&](const Wait&) -> Item { return node(step); },
                            [&](const Sleep&) -> Item { return node(step); },
                            [&](const Value&) -> Item { return node(step); },
                            [&](const Fail&) -> Item { return node(step); },
                            [&](const Parallel& body) -> Item {
                              Block block = begin(step, BlockType::parallel);
                              for (const auto& one : body.branches) add(block, one.name, one.steps);
                              return end(std::move(block));
                            },
                            [&](const Switch& body) -> Item { return switch_block(step, body); },
                            [&](const ForEach& body) -> Item {
                              Block block = begin(step, BlockType::for_each);
                              add(block, "", body.steps);
                              return end(std::move(block));
                            },
                            [&](const Try& body) -> Item {
                              Block block = begin(step, BlockType::try_);
                              add(block, "try", body.steps);
                              for (const auto& one : body.catches) {
                                add(block, catch_words(one), one.steps);
                                block.lanes.back().is_catch = true;
                              }
                              return end(std::move(block));
                            }},
                      step.body);
  }

  Item switch_block(const Step& step, const Switch& body) {
    Block block = begin(step, BlockType::switch_);
    const bool before = forward_only_;
    bool passed = before;
    const auto arm = [&](const std::string& title, const Steps& steps) {
      forward_only_ = before;
      add(block, title, steps);
      passed = passed || forward_only_;
    };
    for (const auto& one : body.cases)
      arm("when " + (one.when ? one.when->source() : std::string()), one.steps);
    if (body.otherwise) arm("otherwise", body.otherwise->steps);
    forward_only_ = passed;
    return end(std::move(block));
  }

  Block begin(const Step& step, BlockType type) {
    Block block;
    block.type = type;
    block.fork = ++last_id_;
    block.name = plain(step.name);
    block.lines = plain_lines(body_words(step));
    if (step.when) block.when = plain(step.when->source());
    block.about = plain(about_words(step));
    return block;
  }

  void add(Block& block, const std::string& title, const Steps& steps) {
    block.lanes.push_back(lane(title, steps));
    const Lane& added = block.lanes.back();
    block.undoable = block.undoable || dsl::graph::undoable(added);
    block.turns_back = block.turns_back || dsl::graph::turns_back(added);
  }

  Item end(Block block) {
    block.join = ++last_id_;
    return std::make_shared<const Block>(std::move(block));
  }

  Node node(const Step& step) {
    Node out;
    out.id = ++last_id_;
    out.shape = shape_of(step.body);
    out.name = plain(step.name);
    out.lines = plain_lines(body_words(step));
    if (step.when) out.when = plain(step.when->source());
    out.about = plain(about_words(step));
    const bool calls = out.shape == Shape::call || out.shape == Shape::saga;
    if (out.shape == Shape::call || (calls && step.kind_stated)) out.kind = step.kind;
    if (!forward_only_) {
      if (std::holds_alternative<WaivedCompensation>(step.undo))
        out.lines.emplace_back("undo waived");
      out.undo = plain(undo_words(step));
      out.turns_back = out.is_pivot() || out.shape == Shape::fail;
    }
    forward_only_ = forward_only_ || out.is_pivot();
    return out;
  }

  const Definition& definition_;
  NodeId last_id_ = 0;
  bool forward_only_ = false;  ///< handlers, `recovery: forward`, after the pivot
};

}  // namespace

Graph graph_of(const Definition& definition) {
  return Builder(definition).build();
}

const Block* block_of(const Item& item) {
  const auto* block = std::get_if<std::shared_ptr<const Block>>(&item);
  return block == nullptr ? nullptr : block->get();
}

bool undoable(const Item& item) {
  if (const auto* block = block_of(item)) return block->undoable;
  return !std::get<Node>(item).undo.empty();
}

bool turns_back(const Item& item) {
  if (const auto* block = block_of(item)) return block->turns_back;
  return std::get<Node>(item).turns_back || undoable(item);
}

bool undoable(const Lane& lane) {
  return std::any_of(lane.items.begin(), lane.items.end(),
                     [](const Item& item) { return undoable(item); });
}

bool turns_back(const Lane& lane) {
  return std::any_of(lane.items.begin(), lane.items.end(),
                     [](const Item& item) { return turns_back(item); });
}

bool ends_flow(const Item& item) {
  const auto* block = block_of(item);
  if (block == nullptr) {
    const Node& node = std::get<Node>(item);
    return node.shape == Shape::fail && node.when.empty();
  }
  const auto ends = [](const Lane& lane) { return ends_flow(lane); };
  if (!block->when.empty() || block->type == BlockType::for_each) return false;
  return block->type == BlockType::parallel
             ? std::any_of(block->lanes.begin(), block->lanes.end(), ends)
             : std::all_of(block->lanes.begin(), block->lanes.end(), ends);
}

bool ends_flow(const Lane& lane) {
  return std::any_of(lane.items.begin(), lane.items.end(),
                     [](const Item& item) { return ends_flow(item); });
}

std::string type_words(const Node& node) {
  std::string words;
  switch (node.shape) {
    case Shape::saga:
      words = "saga";
      break;
    case Shape::wait:
      words = "wait";
      break;
    case Shape::sleep:
      words = "sleep";
      break;
    case Shape::value:
      words = "value";
      break;
    case Shape::fail:
      words = "fail";
      break;
    case Shape::start:
    case Shape::completed:
    case Shape::undone:
    case Shape::failed:
    case Shape::call:
      break;
  }
  if (node.kind) words += (words.empty() ? "" : ", ") + std::string(dsl::to_text(*node.kind));
  return words;
}

const char* to_text(BlockType type) {
  switch (type) {
    case BlockType::parallel:
      return "parallel";
    case BlockType::switch_:
      return "switch";
    case BlockType::for_each:
      return "forEach";
    case BlockType::try_:
      return "try";
  }
  return "";
}

}  // namespace backstitch::dsl::graph
