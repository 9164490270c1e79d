#include <backstitch/engine/machine/supported.hpp>

#include <backstitch/base/match.hpp>

namespace backstitch::engine {
namespace {

void refuse(std::vector<dsl::Finding>& findings, const std::string& pointer,
            const std::string& what) {
  findings.push_back(
      {"E101", dsl::Severity::error, pointer, 0, 0,
       "`" + what + "` is part of the language, but this version of the engine does not run it yet",
       "use action, value and fail steps, or wait for the next version"});
}

void look(const dsl::Steps& steps, std::vector<dsl::Finding>& findings) {
  for (const auto& step : steps) {
    const auto block = [&](const char* name) { refuse(findings, step.pointer + "/" + name, name); };
    std::visit(
        Match{[&](const dsl::Action& action) {
                if (action.completion) block("completion");
              },
              [&](const dsl::SubSaga&) { block("saga"); },
              [&](const dsl::Parallel&) { block("parallel"); },
              [&](const dsl::Switch&) { block("switch"); },
              [&](const dsl::ForEach&) { block("forEach"); },
              [&](const dsl::Try&) { block("try"); }, [&](const dsl::Wait&) { block("wait"); },
              [&](const dsl::Sleep&) { block("sleep"); }, [](const dsl::Value&) {},
              [](const dsl::Fail&) {}},
        step.body);
  }
}

}  // namespace

std::vector<dsl::Finding> unsupported_blocks(const dsl::Definition& definition) {
  std::vector<dsl::Finding> findings;
  look(definition.steps, findings);
  look(definition.on_failure, findings);
  if (!definition.on_suspended.empty()) refuse(findings, "/onSuspended", "onSuspended");
  return findings;
}

}  // namespace backstitch::engine
