/// Mermaid flowcharts, as GitHub and many wikis draw them.
#include <string>
#include <string_view>
#include <unordered_set>

#include <backstitch/dsl/graph.hpp>

#include "model.hpp"
#include "text.hpp"

namespace backstitch::dsl {
namespace graph {
namespace {

/// A label is HTML and Markdown to Mermaid, and directives and formulas are looked for in it: what
/// is not plainly harmless is written as a character number.
bool is_harmless(char c, char next) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  if (c == '.') return next != ' ' && next != '\0';  // else it may number a list
  return static_cast<unsigned char>(c) >= 0x80 ||
         std::string_view(" _,/()?'{}|").find(c) != std::string_view::npos;
}

std::string mermaid_escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_harmless(text[i], i + 1 < text.size() ? text[i + 1] : '\0'))
      out += text[i];
    else
      out += "#" + std::to_string(static_cast<int>(text[i])) + ";";
  }
  return out;
}

std::string label(std::string_view text) {
  return mermaid_escaped(graph::shortened(text));
}

/// What encloses the quoted label of a node.
struct Brackets {
  std::string_view open;
  std::string_view close;
};

Brackets brackets_of(const Node& node) {
  if (node.is_pivot()) return {"{{", "}}"};
  switch (node.shape) {
    case Shape::start:
    case Shape::undone:
      return {"((", "))"};
    case Shape::completed:
    case Shape::failed:
      return {"(((", ")))"};
    case Shape::call:
      if (node.kind == StepKind::retryable) return {"(", ")"};
      return {"[", "]"};
    case Shape::saga:
      return {"[[", "]]"};
    case Shape::wait:
      return {">", "]"};
    case Shape::sleep:
      return {"([", "])"};
    case Shape::value:
      return {"[/", "/]"};
    case Shape::fail:
      return {"[\\", "/]"};
  }
  return {"[", "]"};
}

class MermaidWriter {
 public:
  explicit MermaidWriter(const graph::Graph& graph) : graph_(graph) {}

  std::string write() {
    out_ = "%% " + mermaid_escaped(graph_.title) +
           "\n%% dotted arrows: the way back, in mirror order\n";
    out_ += "flowchart TB\n";
    node(graph_.start);
    items(graph_.main);
    node(graph_.completed);
    if (graph_.undone) node(*graph_.undone);
    handler(graph_.on_failure, "onFailure: when everything is undone");
    if (graph_.failed) node(*graph_.failed);
    handler(graph_.on_suspended, "onSuspended: when an operator is needed");
    edges();
    classes();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_.append(2 * depth_, ' ').append(text) += '\n'; }

  static std::string id(graph::NodeId number) { return "n" + std::to_string(number); }

  void items(const Lane& lane) {
    for (const auto& item : lane.items) {
      if (const auto* inner = graph::block_of(item))
        block(*inner);
      else
        node(std::get<Node>(item));
    }
  }

  void node(const Node& node) {
    const auto [open, close] = brackets_of(node);
    std::string text = mermaid_escaped(node.name);
    if (const auto type = graph::type_words(node); !type.empty())
      text += " (" + mermaid_escaped(type) + (node.is_pivot() ? ", point of no return)" : ")");
    if (!node.when.empty()) text += "<br/>when " + label(node.when);
    for (const auto& words : node.lines) text += "<br/>" + label(words);
    if (!node.undo.empty()) text += "<br/>undo: " + label(node.undo);
    std::string style = class_of(node);
    line(id(node.id) + std::string(open) + "\"" + text + "\"" + std::string(close) +
         (style.empty() ? "" : ":::" + style));
  }

  static std::string class_of(const Node& node) {
    if (node.is_pivot()) return "pivot";
    if (node.shape == Shape::fail || node.shape == Shape::failed) return "failure";
    return node.kind == StepKind::readonly ? "readonly" : "";
  }

  void begin(const std::string& id, const std::string& text) {
    line("subgraph " + id + "[\"" + text + "\"]");
    ++depth_;
  }
  void end() {
    --depth_;
    line("end");
  }

  void block(const Block& block) {
    begin("b" + std::to_string(block.fork),
          mermaid_escaped(block.name) + " (" + to_text(block.type) + ")");
    fork(block);
    for (std::size_t i = 0; i < block.lanes.size(); ++i) {
      const Lane& lane = block.lanes[i];
      if (lane.items.empty()) continue;  // an arrow with the title, see edges
      const bool boxed = !lane.title.empty();
      if (boxed)
        begin("b" + std::to_string(block.fork) + "_" + std::to_string(i), label(lane.title));
      items(lane);
      if (boxed) end();
    }
    joins_.insert(block.join);
    line(id(block.join) + "((\" \"))");
    end();
  }

  /// Says what the title of a box cannot: that has room for one line.
  void fork(const Block& block) {
    std::string text = fork_word(block.type);
    if (!block.when.empty()) text += "<br/>when " + label(block.when);
    for (const auto& words : block.lines) text += "<br/>" + label(words);
    const bool asks = block.type == BlockType::switch_;
    line(id(block.fork) + (asks ? "{\"" : "([\"") + text + (asks ? "\"}" : "\"])"));
  }

  static const char* fork_word(BlockType type) {
    switch (type) {
      case BlockType::parallel:
        return "all";
      case BlockType::switch_:
        return "which";
      case BlockType::for_each:
        return "each";
      case BlockType::try_:
        return "save-point";
    }
    return "";
  }

  void handler(const Lane& lane, const std::string& title) {
    if (lane.items.empty()) return;
    begin(lane.title, mermaid_escaped(title));
    items(lane);
    end();
  }

  void edges() {
    std::string back;
    std::size_t number = 0;
    for (const auto& edge : graph::edges_of(graph_)) {
      if (edge.type == EdgeType::undo) back += (back.empty() ? "" : ",") + std::to_string(number);
      line(arrow(edge));
      ++number;
    }
    if (!back.empty()) line("linkStyle " + back + " stroke:#c2410c,stroke-width:2px");
  }

  std::string arrow(const graph::Edge& edge) const {
    // From a join the way back goes into lanes that the layout has not seen yet; an arrow would
    // turn them upside down. A line that is written forwards keeps their order.
    if (edge.type == EdgeType::undo && joins_.count(edge.from) > 0)
      return id(edge.to) + " -.- " + id(edge.from);
    std::string text = edge.label;
    if (text.empty() && edge.type == EdgeType::caught) text = "caught";
    if (!text.empty()) text = "|\"" + label(text) + "\"|";
    return id(edge.from) + (edge.type == EdgeType::forward ? " -->" : " -.->") + text + " " +
           id(edge.to);
  }

  void classes() {
    // Strokes only, so that the theme of the reader keeps its colours.
    line("classDef pivot stroke:#b45309,stroke-width:4px");
    line("classDef failure stroke:#dc2626,stroke-width:2px");
    line("classDef readonly stroke-dasharray:2 2");
  }

  const graph::Graph& graph_;
  std::string out_;
  std::size_t depth_ = 1;
  std::unordered_set<graph::NodeId> joins_;
};

}  // namespace
}  // namespace graph

std::string to_mermaid(const Definition& definition) {
  return graph::MermaidWriter(graph::graph_of(definition)).write();
}

}  // namespace backstitch::dsl
