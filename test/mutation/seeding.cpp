#include "seeding.hpp"

#include <algorithm>
#include <regex>

namespace backstitch::test {
namespace {

constexpr std::size_t mutants_max = 2;

/// The first and the last.
template <class T>
std::vector<T> few_of(const std::vector<T>& all) {
  if (all.size() <= mutants_max) return all;
  return {all.front(), all.back()};
}

std::vector<FoundStep> fitting(const Json& definition, const Fits& fits) {
  std::vector<FoundStep> all;
  for (const auto& found : steps_of(definition))
    if (fits(found)) all.push_back(found);
  return few_of(all);
}

void find_texts(const Json& node, const Json::json_pointer& at, const std::regex& pattern,
                std::vector<Json::json_pointer>& found) {
  if (node.is_string() && std::regex_search(node.get_ref<const std::string&>(), pattern))
    found.push_back(at);
  if (node.is_object())
    for (const auto& [name, value] : node.items()) find_texts(value, at / name, pattern, found);
  if (node.is_array())
    for (std::size_t i = 0; i < node.size(); ++i) find_texts(node[i], at / i, pattern, found);
}

}  // namespace

std::vector<Mutant> change_around(const Json& definition, const Fits& fits,
                                  const std::function<void(Json&, const FoundStep&)>& change) {
  std::vector<Mutant> mutants;
  for (const auto& found : fitting(definition, fits)) {
    Json changed = definition;
    change(changed, found);
    if (changed != definition) mutants.push_back({std::move(changed), found.at.to_string()});
  }
  return mutants;
}

std::vector<Mutant> change_each(const Json& definition, const Fits& fits, const Change& change) {
  return change_around(definition, fits,
                       [&](Json& changed, const FoundStep& found) { change(changed[found.at]); });
}

std::vector<Mutant> change_first(const Json& definition, const Fits& fits, const Change& change) {
  auto mutants = change_each(definition, fits, change);
  if (mutants.size() > 1) mutants.pop_back();
  return mutants;
}

std::vector<Mutant> insert_after(const Json& definition, const Fits& fits, const Json& step) {
  return change_around(definition, fits, [&](Json& changed, const FoundStep& found) {
    Json& list = changed[found.list];
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(found.index) + 1, step);
  });
}

std::vector<Mutant> rewrite_texts(const Json& definition, const std::string& pattern,
                                  const std::string& by) {
  const std::regex expression(pattern);
  std::vector<Json::json_pointer> found;
  for (const char* part : {"steps", "output", "onFailure"})
    if (definition.contains(part))
      find_texts(definition[part], Json::json_pointer() / part, expression, found);
  std::vector<Mutant> mutants;
  for (const auto& at : few_of(found)) {
    Json changed = definition;
    changed[at] = std::regex_replace(definition[at].get<std::string>(), expression, by,
                                     std::regex_constants::format_first_only);
    mutants.push_back({std::move(changed), at.to_string()});
  }
  return mutants;
}

bool is_undoable(const FoundStep& found) {
  return found.is_action() && !found.in_handler && found.step->contains("compensation") &&
         found.step->at("compensation").is_object();
}

Fits having(const char* member) {
  return [member](const FoundStep& found) {
    return found.step->contains(member) && !found.in_handler;
  };
}

bool is_pivot(const FoundStep& found) {
  return found.is_action() && kind_of_step(*found.step) == "pivot";
}

bool is_retryable_after_pivot(const FoundStep& found) {
  return found.is_action() && found.after_pivot && !found.in_handler &&
         kind_of_step(*found.step) == "retryable";
}

void make_kind(Json& step, const std::string& kind) {
  step["kind"] = kind;
  step.erase("compensation");
  step.erase("capture");
}

bool may_go_back(const Json& definition) {
  const auto steps = steps_of(definition);
  return std::any_of(steps.begin(), steps.end(), [](const FoundStep& found) {
    return is_undoable(found) || (found.step->contains("fail") && !found.after_pivot);
  });
}

Json undo_for(const Json& step) {
  return {{"http", "DELETE /undo/" + step["name"].get<std::string>() + "/${self.key}"}};
}

const std::vector<FaultKind>& catalogue() {
  static const std::vector<FaultKind> all = [] {
    std::vector<FaultKind> joined;
    for (const auto& part :
         {kind_faults(), block_faults(), time_faults(), service_faults(), data_faults()})
      joined.insert(joined.end(), part.begin(), part.end());
    return joined;
  }();
  return all;
}

}  // namespace backstitch::test
