#include <backstitch/base/match.hpp>
#include <backstitch/dsl/definition.hpp>

namespace backstitch::dsl {
namespace {

class Places {
 public:
  void add(const Steps& steps, const std::string& prefix) {
    for (const auto& step : steps) {
      const std::string path = prefix + step.name;
      paths.emplace(step.name, path);
      add_inside(step, path);
    }
  }
  std::map<std::string, std::string, std::less<>> paths;

 private:
  void add_inside(const Step& step, const std::string& path) {
    std::visit(Match{[&](const Parallel& block) {
                       for (const auto& branch : block.branches)
                         add(branch.steps, path + "/" + branch.name + "/");
                     },
                     [&](const Switch& block) {
                       for (const auto& one : block.cases) add(one.steps, path + "/");
                       if (block.otherwise) add(block.otherwise->steps, path + "/");
                     },
                     [&](const ForEach& block) { add(block.steps, path + "[]/"); },
                     [&](const Try& block) {
                       add(block.steps, path + "/");
                       for (const auto& one : block.catches) add(one.steps, path + "/");
                     },
                     [](const Action&) {}, [](const SubSaga&) {}, [](const Wait&) {},
                     [](const Sleep&) {}, [](const Value&) {}, [](const Fail&) {}},
               step.body);
  }
};

}  // namespace

std::map<std::string, std::string, std::less<>> step_paths_of(const Definition& definition) {
  Places places;
  places.add(definition.steps, "");
  places.add(definition.on_failure, "onFailure/");
  places.add(definition.on_suspended, "onSuspended[]/");
  return std::move(places.paths);
}

}  // namespace backstitch::dsl
