/// DOT, for Graphviz.
#include <string>
#include <string_view>
#include <utility>

#include <backstitch/dsl/graph.hpp>

#include "model.hpp"
#include "text.hpp"

namespace backstitch::dsl {
namespace graph {
namespace {

constexpr std::size_t line_chars = 48;
constexpr std::size_t lines_max = 3;  ///< of one text

/// Inside a quoted string. Backslashes begin escapes there, and `&…;` is an entity.
std::string dot_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

/// Lines under each other, each ended by `end`: `\n` centres, `\l` puts to the left.
void add_lines(std::string& label, std::string_view end, const std::string& text) {
  for (const auto& line : graph::wrapped(text, line_chars, lines_max))
    label.append(dot_escaped(line)).append(end);
}

std::string in_quotes(const std::string& escaped_text) {
  return "\"" + escaped_text + "\"";
}

std::string attributes_of(const Node& node) {
  if (node.is_pivot()) return "shape=hexagon, style=solid, penwidth=3, color=\"#b45309\"";
  switch (node.shape) {
    case Shape::start:
    case Shape::undone:
      return "shape=circle";
    case Shape::completed:
    case Shape::failed:
      return "shape=doublecircle";
    case Shape::call:
      if (node.kind == StepKind::retryable) return "style=rounded";
      if (node.kind == StepKind::readonly) return "style=dotted";
      return "";
    case Shape::saga:
      return "peripheries=2";
    case Shape::wait:
      return "shape=cds";
    case Shape::sleep:
      return "shape=ellipse";
    case Shape::value:
      return "shape=parallelogram";
    case Shape::fail:
      return "shape=octagon, color=\"#dc2626\"";
  }
  return "";
}

class DotWriter {
 public:
  explicit DotWriter(const graph::Graph& graph) : graph_(graph) {}

  std::string write() {
    out_ = "digraph saga {\n";
    line("label=" + in_quotes(dot_escaped(graph_.title)) + "; labelloc=t; rankdir=TB;");
    line(
        "graph [fontname=\"Helvetica\", fontsize=11, color=\"#94a3b8\", style=rounded, "
        "labeljust=l];");
    line("node [fontname=\"Helvetica\", fontsize=11, shape=box];");
    line("edge [fontname=\"Helvetica\", fontsize=10];");
    node(graph_.start);
    items(graph_.main);
    node(graph_.completed);
    if (graph_.undone) node(*graph_.undone);
    handler(graph_.on_failure, "onFailure: when everything is undone");
    if (graph_.failed) node(*graph_.failed);
    handler(graph_.on_suspended, "onSuspended: when an operator is needed");
    edges();
    out_ += "}\n";
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
    std::string text;
    const auto add = [&](const std::string& line) { add_lines(text, "\\n", line); };
    add(node.name);
    add(graph::type_words(node) + (node.is_pivot() ? ", point of no return" : ""));
    if (!node.when.empty()) add("when " + node.when);
    for (const auto& words : node.lines) add(words);
    if (!node.undo.empty()) add("undo: " + node.undo);
    if (text.ends_with("\\n")) text.resize(text.size() - 2);
    const std::string more = attributes_of(node);
    line(id(node.id) + " [label=" + in_quotes(text) + (more.empty() ? "" : ", " + more) +
         (node.about.empty() ? "" : ", tooltip=" + in_quotes(dot_escaped(node.about))) + "];");
  }

  void begin(const std::string& name, const std::string& text, std::string_view more) {
    line("subgraph cluster_" + name + " {");
    ++depth_;
    line("label=" + in_quotes(text) + ";" + std::string(more));
  }
  void end() {
    --depth_;
    line("}");
  }

  void block(const Block& block) {
    std::string text;
    const auto add = [&](const std::string& line) { add_lines(text, "\\l", line); };
    add(block.name + " (" + to_text(block.type) + ")");
    if (!block.when.empty()) add("when " + block.when);
    for (const auto& words : block.lines) add(words);
    const std::string name = std::to_string(block.fork);
    begin(name, text, "");
    line(id(block.fork) +
         " [shape=" + (block.type == graph::BlockType::switch_ ? "diamond" : "circle") +
         ", label=\"\", width=0.15, height=0.15];");
    for (std::size_t i = 0; i < block.lanes.size(); ++i) {
      const Lane& lane = block.lanes[i];
      if (lane.items.empty()) continue;  // an arrow with the title, see edges
      const bool boxed = !lane.title.empty();
      std::string title;
      add_lines(title, "\\l", lane.title);
      if (boxed) begin(name + "_" + std::to_string(i), title, " style=\"rounded,dotted\";");
      items(lane);
      if (boxed) end();
    }
    line(id(block.join) + " [shape=point, width=0.1];");
    end();
  }

  void handler(const Lane& lane, const std::string& title) {
    if (lane.items.empty()) return;
    begin(lane.title, dot_escaped(title), " style=dashed;");
    items(lane);
    end();
  }

  void edges() {
    for (const auto& edge : graph::edges_of(graph_)) {
      std::string more;
      const auto add = [&](const std::string& one) { more += (more.empty() ? "" : ", ") + one; };
      std::string text;
      add_lines(text, "\\l", edge.label);
      if (!text.empty()) add("label=" + in_quotes(text));
      if (edge.type == EdgeType::caught)
        add(edge.label.empty() ? "style=dotted, label=\"caught\"" : "style=dotted");
      // Not a constraint: the way back does not move the steps.
      if (edge.type == EdgeType::undo)
        add("style=dashed, color=\"#c2410c\", fontcolor=\"#c2410c\", arrowhead=empty, "
            "constraint=false");
      line(id(edge.from) + " -> " + id(edge.to) + (more.empty() ? "" : " [" + more + "]") + ";");
    }
  }

  const graph::Graph& graph_;
  std::string out_;
  std::size_t depth_ = 1;
};

}  // namespace
}  // namespace graph

std::string to_dot(const Definition& definition) {
  return graph::DotWriter(graph::graph_of(definition)).write();
}

}  // namespace backstitch::dsl
