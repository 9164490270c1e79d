#include <backstitch/engine/machine/pins.hpp>

#include <nlohmann/json.hpp>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/json_gate.hpp>

namespace backstitch::engine {
namespace {

using dsl::StepKind;

/// Every sub-saga step of a tree, constant or not.
template <class Steps, class Use>
void for_each_child(Steps& steps, const Use& use) {
  for (auto& step : steps) {
    if (auto* saga = std::get_if<dsl::SubSaga>(&step.body)) {
      use(step, *saga);
    } else if (auto* parallel = std::get_if<dsl::Parallel>(&step.body)) {
      for (auto& branch : parallel->branches) for_each_child(branch.steps, use);
    } else if (auto* loop = std::get_if<dsl::ForEach>(&step.body)) {
      for_each_child(loop->steps, use);
    } else if (auto* choice = std::get_if<dsl::Switch>(&step.body)) {
      for (auto& one : choice->cases) for_each_child(one.steps, use);
      // Shared, because a case cannot hold itself; nobody else has it yet.
      for_each_child(const_cast<Steps&>(choice->otherwise->steps), use);
    } else if (auto* attempt = std::get_if<dsl::Try>(&step.body)) {
      for_each_child(attempt->steps, use);
      for (auto& one : attempt->catches) for_each_child(one.steps, use);
    }
  }
}

StepKind kind_from(const std::string& word) {
  for (const auto kind : {StepKind::pivot, StepKind::compensatable, StepKind::retryable}) {
    if (word == to_text(kind)) return kind;
  }
  return StepKind::readonly;
}

}  // namespace

std::string pins_of(const dsl::Definition& definition, const FindDefinition& find) {
  Json pins = Json::object();
  for_each_child(definition.steps, [&](const dsl::Step& step, const dsl::SubSaga& saga) {
    const auto child = find(saga.name, saga.version.value_or(0));
    if (!child) return;
    const StepKind kind = step.kind_stated ? step.kind : dsl::kind_as_child(*child);
    pins[step.name] = {{"version", child->version}, {"kind", to_text(kind)}};
  });
  return pins.dump();
}

std::shared_ptr<const dsl::Definition> with_pins(std::shared_ptr<const dsl::Definition> definition,
                                                 const std::string& pins) {
  const Json known = pins.empty() ? Json::object() : dsl::stored_json(pins);
  if (!definition || known.empty()) return definition;
  auto pinned = std::make_shared<dsl::Definition>(*definition);
  for_each_child(pinned->steps, [&](dsl::Step& step, dsl::SubSaga& saga) {
    const auto pin = known.find(step.name);
    if (pin == known.end()) return;
    saga.version = pin->at("version").get<std::int64_t>();
    step.kind = kind_from(pin->at("kind").get<std::string>());
  });
  return pinned;
}

}  // namespace backstitch::engine
