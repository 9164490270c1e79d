#pragma once
/// Plays one saga by hand: every stimulus gives its transition as a sentence. Each transition is
/// also folded from its encoded events, which has to give the state that was decided.
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/parse.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/text.hpp>

namespace backstitch::test {

using namespace std::chrono_literals;

class Play {
 public:
  explicit Play(const std::string& definition, const std::string& input = "{}") {
    auto parsed = dsl::parse_definition(definition);
    for (const auto& finding : parsed.findings)
      MESSAGE(finding.code << " " << finding.pointer << " " << finding.message);
    REQUIRE(parsed.definition);
    program.definition = parsed.definition;
    program.services = std::make_shared<engine::ServiceMap>();
    input_ = Json::parse(input);
  }

  std::string start() {
    return on(engine::Start{SagaId::make(now, 1, 2, 3), input_, {}, std::nullopt});
  }
  std::string answer(const std::string& path, int status, const std::string& body = "null",
                     engine::Phase phase = engine::Phase::forward) {
    return on(engine::CallEnded{path, phase, attempt(path, phase),
                                engine::Response{status, {}, Json::parse(body)}});
  }
  std::string undo(const std::string& path, int status) {
    return answer(path, status, "null", engine::Phase::compensate);
  }
  std::string probe(const std::string& path, int status, const std::string& body = "null") {
    return answer(path, status, body, engine::Phase::probe);
  }
  std::string lost(const std::string& path, engine::Phase phase = engine::Phase::forward) {
    return on(
        engine::CallEnded{path, phase, attempt(path, phase),
                          engine::TransportError{dsl::Transport::timeout, true, "no answer"}});
  }
  std::string refused_connection(const std::string& path) {
    return on(engine::CallEnded{path, engine::Phase::forward, attempt(path, engine::Phase::forward),
                                engine::TransportError{dsl::Transport::connect, false, "refused"}});
  }
  /// Goes to the moment the machine asked for, and ticks.
  std::string wake() {
    const auto wanted = engine::next_wake(*program.definition, state);
    REQUIRE(wanted);
    now = std::max(now, *wanted);
    return on(engine::Tick{});
  }
  std::string tick(Duration later) {
    now += later;
    return on(engine::Tick{});
  }
  std::string take_over() { return on(engine::TakenOver{"node-b"}); }
  std::string cancel() { return on(engine::Cancel{"me", "why"}); }
  std::string retry() { return on(engine::Retry{"me", "why"}); }
  std::string skip(const std::string& step) { return on(engine::Skip{step, "me", "why"}); }
  std::string resolve(const std::string& step, const std::string& output) {
    return on(engine::Resolve{step, Json::parse(output), "me", "why"});
  }

  std::string on(engine::StimulusBody body) {
    const engine::SagaState before = state;
    last = engine::decide(program, std::move(state), {now, random, std::move(body)});
    state = last.next;
    check_fold(before);
    return to_text(last);
  }

  std::string status() const { return to_text(state.status); }
  const engine::RenderedRequest& request(const std::string& path,
                                         engine::Phase phase = engine::Phase::forward) {
    const auto& step = state.steps.at(path);
    return *(phase == engine::Phase::forward ? step.forward
             : phase == engine::Phase::probe ? step.probe
                                             : step.undo)
                .request;
  }
  std::uint32_t attempt(const std::string& path, engine::Phase phase) const {
    const auto found = state.steps.find(path);
    if (found == state.steps.end()) return 1;
    const auto& step = found->second;
    return (phase == engine::Phase::forward ? step.forward
            : phase == engine::Phase::probe ? step.probe
                                            : step.undo)
        .attempts;
  }

  engine::Program program;
  engine::SagaState state;
  engine::Transition last;
  TimePoint now{Duration{1'767'225'600'000}};
  std::uint64_t random = 1ULL << 63;  ///< one half: full jitter waits half its base

 private:
  void check_fold(engine::SagaState folded) {
    if (folded.sequence.get() == 0) folded.id = state.id;
    std::int64_t sequence = folded.sequence.get();
    for (const auto& event : last.events) {
      const auto record = engine::encode(event, engine::Sequence{++sequence});
      const auto decoded = engine::decode(record);
      REQUIRE_MESSAGE(decoded.has_value(), record.type);
      CHECK(engine::encode(*decoded, engine::Sequence{sequence}) == record);
      engine::apply(*program.definition, folded, *decoded);
    }
    CHECK(folded.sequence == state.sequence);
    CHECK(engine::view(*program.definition, folded) == engine::view(*program.definition, state));
    CHECK(engine::next_wake(*program.definition, folded) ==
          engine::next_wake(*program.definition, state));
  }

  Json input_;
};

/// Two compensatable steps and a third, on a service with the given members.
inline std::string three_steps(
    const std::string& service = "",
    const std::string& third = R"("compensation":{"http":"DELETE /c"})") {
  return R"({"dsl":1,"name":"t.three","version":1,"services":{"s":{"baseUrl":"https://s.example")" +
         service + R"(}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a/${saga.id}"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b","body":{"from":"${steps.a.output}"}},"compensation":{"http":"DELETE /b"}},
    {"name":"c","action":{"service":"s","http":"PUT /c"},)" +
         third + "}]}";
}

}  // namespace backstitch::test
