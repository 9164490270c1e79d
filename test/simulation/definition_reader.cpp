#include "definition_reader.hpp"

#include <algorithm>

namespace backstitch::simulation {

using nlohmann::json;
using Block = Level::Block;

bool StepSheet::can_be_undone() const {
  if (has("saga"))
    return child_can_be_undone && (!has("compensation") || step->at("compensation") != "none");
  return has("compensation") && step->at("compensation").is_object();
}

bool StepSheet::undo_is_conditional() const {
  return has("compensation") && step->at("compensation").is_object() &&
         step->at("compensation").contains("when");
}

bool StepSheet::is_readonly() const {
  if (has("kind")) return step->at("kind") == "readonly";
  if (!has("action")) return false;
  const std::string http = step->at("action").value("http", std::string{});
  return http.starts_with("GET") || http.starts_with("HEAD");
}

namespace {

/// A step anywhere inside has an undo, or a sub-saga that has one.
bool holds_undo(const json& node, const DefinitionReader::Documents& documents) {
  if (node.is_object() && node.contains("action") && node.contains("compensation")) return true;
  if (node.is_object() && node.contains("saga") && node.at("saga").is_object()) {
    const auto child = documents.find(node.at("saga").value("name", std::string{}));
    if (child != documents.end() && holds_undo(child->second.at("steps"), documents)) return true;
  }
  return std::any_of(node.begin(), node.end(), [&](const json& inner) {
    return inner.is_structured() && holds_undo(inner, documents);
  });
}

}  // namespace

DefinitionReader::DefinitionReader(const json& document, const Documents& documents) {
  static const json nothing;
  goes_back_ = document.value("recovery", "backward") != "forward";
  for (const char* list : {"steps", "onFailure", "onSuspended"}) {
    if (document.contains(list))
      read_list(document.at(list), {}, Block::list, nothing, 0, std::string(list) != "steps");
  }
  for (auto& [name, sheet] : steps_) {
    if (!sheet.has("saga")) continue;
    sheet.child_can_be_undone = holds_undo(json::array({*sheet.step}), documents);
  }
}

void DefinitionReader::read_list(const json& steps, std::vector<Level> around, Block block,
                                 const json& body, std::size_t arm, bool handler) {
  around.push_back({block, &body, arm, 0});
  read(steps, around, handler);
}

void DefinitionReader::read(const json& steps, const std::vector<Level>& around, bool handler) {
  std::vector<Level> levels = around;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const json& step = steps[i];
    levels.back().index = i;
    steps_[step.at("name").get<std::string>()] = {&step, levels, handler};
    std::size_t arm = 0;
    if (step.contains("parallel")) {
      const json& body = step.at("parallel");
      for (const auto& branch : body.at("branches"))
        read_list(branch, levels, Block::parallel, body, arm++, handler);
    } else if (step.contains("switch")) {
      const json& body = step.at("switch");
      for (const auto& one : body.at("cases"))
        read_list(one.at("steps"), levels, Block::switch_, body, arm++, handler);
      read_list(body.at("otherwise").at("steps"), levels, Block::switch_, body, arm, handler);
    } else if (step.contains("forEach")) {
      const json& body = step.at("forEach");
      read_list(body.at("steps"), levels, Block::for_each, body, 0, handler);
    } else if (step.contains("try")) {
      const json& body = step.at("try");
      read_list(body.at("steps"), levels, Block::try_, body, arm++, handler);
      for (const auto& one : body.at("catch"))
        read_list(one.at("steps"), levels, Block::try_, body, arm++, handler);
    }
  }
}

const StepSheet* DefinitionReader::step(const std::string& path) const {
  std::string name = path.substr(path.rfind('/') + 1);
  name = name.substr(0, name.find('['));
  const auto found = steps_.find(name);
  return found == steps_.end() ? nullptr : &found->second;
}

DefinitionReader::Order DefinitionReader::order(const std::string& first,
                                                const std::string& second) const {
  const StepSheet* a = step(first);
  const StepSheet* b = step(second);
  if (a == nullptr || b == nullptr || a->handler || b->handler) return Order::none;
  const auto iterations_a = iterations_of(first);
  const auto iterations_b = iterations_of(second);
  const auto earlier = [](std::size_t x, std::size_t y) {
    return x < y ? Order::first_is_earlier : Order::second_is_earlier;
  };
  std::size_t loop = 0;
  for (std::size_t i = 0; i < a->levels.size() && i < b->levels.size(); ++i) {
    const Level& x = a->levels[i];
    const Level& y = b->levels[i];
    if (x.arm != y.arm) return Order::none;
    if (x.block == Block::for_each) {
      if (loop >= iterations_a.size() || loop >= iterations_b.size()) return Order::none;
      const std::size_t of_a = iterations_a[loop];
      const std::size_t of_b = iterations_b[loop++];
      const bool one_by_one = x.body->value("compensationOrder", "mirror") == "serial" ||
                              x.body->value("maxConcurrency", 1) == 1;
      if (of_a != of_b) return one_by_one ? earlier(of_a, of_b) : Order::none;
    }
    if (x.index != y.index) return earlier(x.index, y.index);
  }
  return Order::none;
}

std::vector<std::size_t> iterations_of(const std::string& path) {
  std::vector<std::size_t> found;
  for (auto at = path.find('['); at != std::string::npos; at = path.find('[', at + 1))
    found.push_back(std::stoul(path.substr(at + 1)));
  return found;
}

}  // namespace backstitch::simulation
