#include "found_steps.hpp"

namespace backstitch::test {
namespace {

/// The step or one inside it is a pivot.
bool has_pivot(const Json& step) {
  if (step.is_object() && step.contains("kind") && step["kind"] == "pivot") return true;
  if (!step.is_structured()) return false;
  for (const auto& inner : step)
    if (has_pivot(inner)) return true;
  return false;
}

class Finder {
 public:
  explicit Finder(const Json& definition) : definition_(definition) {}

  std::vector<FoundStep> find() {
    list(Json::json_pointer("/steps"), FoundStep());
    FoundStep handler;
    handler.in_handler = true;
    for (const char* name : {"onFailure", "onSuspended"})
      if (definition_.contains(name)) list(Json::json_pointer() / name, handler);
    return std::move(found_);
  }

 private:
  void list(const Json::json_pointer& at, FoundStep context) {
    const Json& steps = definition_[at];
    context.list = at;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      context.at = at / i;
      context.index = i;
      context.step = &steps[i];
      context.is_last = i + 1 == steps.size();
      found_.push_back(context);
      inside(context);
      context.after_pivot = context.after_pivot || has_pivot(steps[i]);
    }
  }

  void inside(const FoundStep& context) {
    const Json& step = *context.step;
    for (const char* block : {"parallel", "forEach", "try", "switch"}) {
      if (!step.contains(block)) continue;
      FoundStep in = context;
      in.block = block;
      in.on_main_line = context.on_main_line && in.block == "switch";
      const Json::json_pointer at = context.at / block;
      if (step[block].contains("steps")) list(at / "steps", in);
      for (const char* arms : {"cases", "catch"})
        for (std::size_t i = 0; step[block].contains(arms) && i < step[block][arms].size(); ++i)
          list(at / arms / i / "steps", in);
      if (step[block].contains("otherwise")) list(at / "otherwise" / "steps", in);
      if (!step[block].contains("branches")) continue;
      for (const auto& [name, branch] : step[block]["branches"].items())
        list(at / "branches" / name, in);
    }
  }

  const Json& definition_;
  std::vector<FoundStep> found_;
};

}  // namespace

std::vector<FoundStep> steps_of(const Json& definition) {
  return Finder(definition).find();
}

std::set<std::string> places_of(const Json& definition) {
  std::set<std::string> places;
  for (const auto& found : steps_of(definition)) {
    const std::string name = found.name();
    places.insert(name);
    const Json arms = found.step->value("switch", Json::object()).value("cases", Json::array());
    for (std::size_t i = 0; !arms.empty() && i <= arms.size(); ++i)
      places.insert("case " + std::to_string(i + 1) + " of " + name);
    const Json catches = found.step->value("try", Json::object()).value("catch", Json::array());
    for (std::size_t i = 0; i < catches.size(); ++i)
      places.insert("catch " + std::to_string(i + 1) + " of " + name);
  }
  return places;
}

std::string kind_of_step(const Json& step) {
  if (step.contains("kind")) return step["kind"];
  if (!step.contains("action")) return "";
  if (step.contains("compensation")) return "compensatable";
  const std::string http = step["action"]["http"];
  return http.starts_with("GET ") || http.starts_with("HEAD ") ? "readonly" : "";
}

}  // namespace backstitch::test
