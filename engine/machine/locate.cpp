#include "locate.hpp"

#include <algorithm>
#include <charconv>

#include <backstitch/base/match.hpp>

namespace backstitch::engine {
namespace {

constexpr std::string_view failure_prefix = "onFailure/";
constexpr std::string_view suspension_name = "onSuspended";

/// `name` or `name[7]`.
struct Segment {
  std::string_view name;
  std::optional<std::uint32_t> index;
};

std::optional<Segment> take_segment(std::string_view& rest) {
  const auto slash = rest.find('/');
  std::string_view text = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  const auto bracket = text.find('[');
  if (bracket == std::string_view::npos) return Segment{text, std::nullopt};
  std::uint32_t index = 0;
  const char* end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + bracket + 1, end, index);
  if (error != std::errc{} || after + 1 != end || *after != ']') return std::nullopt;
  return Segment{text.substr(0, bracket), index};
}

const dsl::Step* find(const dsl::Steps& steps, std::string_view name) {
  const auto found = std::find_if(steps.begin(), steps.end(),
                                  [&](const dsl::Step& step) { return step.name == name; });
  return found == steps.end() ? nullptr : &*found;
}

class Walk {
 public:
  std::optional<Located> down(ListPlace list, std::string_view rest) {
    const auto segment = take_segment(rest);
    if (!segment) return std::nullopt;
    const auto* step = find(*list.steps, segment->name);
    if (step == nullptr) return std::nullopt;
    Located at = locate_in(list, *step);
    if (rest.empty()) return segment->index ? std::nullopt : std::optional(std::move(at));
    if (const auto* block = std::get_if<dsl::ForEach>(&step->body)) {
      if (!segment->index) return std::nullopt;
      return down(inside(at, block->steps, *segment->index), rest);
    }
    if (const auto* block = std::get_if<dsl::Parallel>(&step->body))
      return branch(at, *block, rest);
    if (const auto* block = std::get_if<dsl::Switch>(&step->body)) return arm(at, *block, rest);
    if (const auto* block = std::get_if<dsl::Try>(&step->body)) return attempt(at, *block, rest);
    return std::nullopt;
  }

 private:
  std::optional<Located> branch(const Located& at, const dsl::Parallel& block,
                                std::string_view rest) {
    const auto name = take_segment(rest);
    if (!name || rest.empty()) return std::nullopt;
    for (std::uint32_t i = 0; i < block.branches.size(); ++i) {
      if (block.branches[i].name == name->name)
        return down(inside(at, block.branches[i].steps, i), rest);
    }
    return std::nullopt;
  }

  /// Names are unique in the whole definition, so only one list can hold the step.
  std::optional<Located> arm(const Located& at, const dsl::Switch& block, std::string_view rest) {
    for (std::uint32_t i = 0; i < block.cases.size(); ++i) {
      if (auto found = down(inside(at, block.cases[i].steps, i), rest)) return found;
    }
    const auto otherwise = static_cast<std::uint32_t>(block.cases.size());
    return down(inside(at, block.otherwise->steps, otherwise), rest);
  }

  std::optional<Located> attempt(const Located& at, const dsl::Try& block, std::string_view rest) {
    if (auto found = down(inside(at, block.steps, 0), rest)) return found;
    for (std::uint32_t i = 0; i < block.catches.size(); ++i) {
      if (auto found = down(inside(at, block.catches[i].steps, i + 1), rest)) return found;
    }
    return std::nullopt;
  }
};

}  // namespace

Located locate_in(const ListPlace& list, const dsl::Step& step) {
  return {&step, list.prefix + step.name, list.area, list.frames, list.indexes};
}

ListPlace main_line(const dsl::Definition& definition) {
  return {&definition.steps, "", Area::main, {}, {}};
}
ListPlace failure_handlers(const dsl::Definition& definition) {
  return {&definition.on_failure, std::string(failure_prefix), Area::on_failure, {}, {}};
}
ListPlace suspension_handlers(const dsl::Definition& definition, std::uint32_t number) {
  return {&definition.on_suspended,
          std::string(suspension_name) + "[" + std::to_string(number) + "]/",
          Area::on_suspended,
          {},
          {number}};
}

std::string branch_prefix(const StepPath& block, const dsl::Branch& branch) {
  return block + "/" + branch.name + "/";
}
std::string iteration_prefix(const StepPath& block, std::uint32_t index) {
  return block + "[" + std::to_string(index) + "]/";
}

ListPlace inside(const Located& block, const dsl::Steps& steps, std::uint32_t index) {
  ListPlace list{&steps, {}, block.area, block.frames, block.indexes};
  list.frames.push_back({block.step, block.path, index});
  if (const auto* parallel = std::get_if<dsl::Parallel>(&block.step->body)) {
    list.prefix = branch_prefix(block.path, parallel->branches[index]);
  } else if (std::holds_alternative<dsl::ForEach>(block.step->body)) {
    list.prefix = iteration_prefix(block.path, index);
    list.indexes.push_back(index);
  } else {
    list.prefix = block.path + "/";
  }
  return list;
}

std::optional<Located> locate(const dsl::Definition& definition, const StepPath& path) {
  const std::string_view text = path;
  if (text.find('/') == std::string_view::npos) {
    const auto* step = find(definition.steps, text);
    if (step == nullptr) return std::nullopt;
    return Located{step, path, Area::main, {}, {}};
  }
  if (text.starts_with(failure_prefix))
    return Walk().down(failure_handlers(definition), text.substr(failure_prefix.size()));
  std::string_view rest = text;
  const auto first = take_segment(rest);
  if (first && first->name == suspension_name && first->index)
    return Walk().down(suspension_handlers(definition, *first->index), rest);
  return Walk().down(main_line(definition), text);
}

bool is_pivot(const dsl::Definition& definition, const StepPath& path) {
  const auto at = locate(definition, path);
  return at && at->area == Area::main && at->step->kind == dsl::StepKind::pivot &&
         (std::holds_alternative<dsl::Action>(at->step->body) ||
          std::holds_alternative<dsl::SubSaga>(at->step->body));
}

StepPath block_around(const dsl::Definition& definition, const StepPath& path) {
  if (path.find('/') == StepPath::npos) return {};
  const auto at = locate(definition, path);
  return at && !at->frames.empty() ? at->frames.back().path : StepPath{};
}

StepPath path_of_name(const dsl::Definition& definition, std::string_view name,
                      const std::vector<std::uint32_t>& indexes) {
  const auto found = definition.step_paths.find(name);
  if (found == definition.step_paths.end()) return {};
  StepPath path;
  std::size_t used = 0;
  std::string_view rest = found->second;
  for (auto loop = rest.find("[]"); loop != std::string_view::npos; loop = rest.find("[]")) {
    if (used == indexes.size()) return {};
    path += rest.substr(0, loop + 1);
    path += std::to_string(indexes[used++]) + "]";
    rest = rest.substr(loop + 2);
  }
  return path += rest;
}

bool is_block(const dsl::Step& step) {
  return std::holds_alternative<dsl::Parallel>(step.body) ||
         std::holds_alternative<dsl::Switch>(step.body) ||
         std::holds_alternative<dsl::ForEach>(step.body) ||
         std::holds_alternative<dsl::Try>(step.body);
}

}  // namespace backstitch::engine
