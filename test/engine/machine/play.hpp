#pragma once
/// Plays one saga by hand: every stimulus gives its transition as a sentence. Each transition is
/// also folded from its encoded events, which has to give the state that was decided; and whoever
/// takes over has nothing but the log.
#include <map>
#include <memory>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/parse.hpp>
#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/machine/text.hpp>

#include "../../../engine/machine/keys.hpp"
#include "digest.hpp"

namespace backstitch::test {

using namespace std::chrono_literals;

class Play {
 public:
  explicit Play(const std::string& definition, const std::string& input = "{}") {
    program.definition = parsed(definition);
    program.services = std::make_shared<engine::ServiceMap>();
    input_ = Json::parse(input);
  }

  /// Of a call to the participant `s`, which is the definition's own.
  std::string key_for(const std::string& path_and_phase) const {
    return engine::root_of(program, state, program.definition->name + "/s") + "-" + path_and_phase;
  }

  /// Registers a service.
  void provide(const std::string& name) {
    auto services = std::make_shared<engine::ServiceMap>(*program.services);
    dsl::Service service;
    service.base_url = "https://" + name + ".example";
    (*services)[name] = std::make_shared<const dsl::Service>(std::move(service));
    program.services = std::move(services);
  }

  std::string start() {
    return on(engine::Start{SagaId::make(now, 1, 2, 3), input_, {}, std::nullopt});
  }
  std::string answer(const std::string& path, int status, const std::string& body = "null",
                     engine::Phase phase = engine::Phase::forward) {
    return on(engine::CallEnded{path, phase, attempt(path, phase),
                                engine::Response{status, {}, Json::parse(body)}});
  }
  /// An answer with headers, their names in lower case.
  std::string answer_with(const std::string& path, engine::Phase phase, int status,
                          const std::vector<std::pair<std::string, std::string>>& headers) {
    return on(engine::CallEnded{path, phase, attempt(path, phase),
                                engine::Response{status, headers, nullptr}});
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
    const auto wanted = engine::next_wake(state);
    REQUIRE(wanted);
    now = std::max(now, *wanted);
    return on(engine::Tick{});
  }
  std::string tick(Duration later) {
    now += later;
    return on(engine::Tick{});
  }
  /// Another node folds the log and goes on.
  std::string take_over() {
    state = folded_log();
    engine::resume_questions(state, now);
    return on(engine::TakenOver{"node-b"});
  }
  std::string cancel() { return on(engine::Cancel{"me", "why"}); }
  std::string retry() { return on(engine::Retry{"me", "why"}); }
  std::string skip(const std::string& step) { return on(engine::Skip{step, "me", "why"}); }
  std::string suspend(const std::string& step = "") {
    return on(engine::Suspend{step, "me", "why"});
  }
  std::string resolve(const std::string& step, const std::string& output) {
    return on(
        engine::Resolve{step, engine::Resolution::done, Json::parse(output), {}, "me", "why"});
  }
  std::string resolve_as(const std::string& step, engine::Resolution as,
                         const std::optional<Json>& output = {},
                         const std::optional<Json>& captured = {}) {
    return on(engine::Resolve{step, as, output, captured, "me", "why"});
  }

  std::string signal(const std::string& name, const std::string& payload = "null",
                     const std::vector<std::string>& roles = {}) {
    return on(engine::Signal{name, Json::parse(payload), "someone", roles});
  }
  std::string callback(const std::string& path, int status, const std::string& body = "null") {
    return on(engine::Callback{state.steps.at(path).callback_token,
                               engine::Response{status, {}, Json::parse(body)}});
  }
  /// Word from the child of a step.
  std::string child(const std::string& path, engine::SagaStatus status,
                    const std::string& output = "null", const std::string& code = "") {
    engine::ChildChanged changed{state.steps.at(path).child->id, status, Json::parse(output), {}};
    const char* failure_class = code == "CANCELLED" ? "cancelled" : "failure";
    if (!code.empty())
      changed.failure = engine::Failure{code, failure_class, "why", "inner", nullptr};
    return on(std::move(changed));
  }
  std::string undone_by_parent(const std::string& code) {
    return on(engine::UndoneByParent{{code, "failure", "why", "outer", nullptr}});
  }
  /// As a sub-saga: depth 1 is the child of a saga without a parent.
  std::string start_as_child(std::uint32_t depth = 1) {
    const auto parent = engine::ParentLink{SagaId::make(now, 4, 5, 6), "outer", depth};
    return on(engine::Start{SagaId::make(now, 1, 2, 3), input_, {}, std::nullopt, parent});
  }

  std::string on(engine::StimulusBody body) {
    const engine::SagaState before = checks_fold ? state : engine::SagaState{};
    const engine::Stimulus stimulus{now, random, std::move(body), queued, key};
    last = stops_at_cuts ? engine::decide(program, std::move(state), stimulus)
                         : engine::decide_to_rest(program, std::move(state), stimulus);
    state = std::move(last.next);
    last.next = {};
    auto sequence = state.sequence.get() - static_cast<std::int64_t>(last.events.size());
    const std::size_t known = log.size();
    for (const auto& event : last.events)
      log.push_back(engine::encode(event, engine::Sequence{++sequence}));
    if (checks_fold) check_fold(before, known);
    return to_text(last);
  }
  /// The state as a node finds it that has nothing but the log.
  engine::SagaState folded_log() const {
    engine::SagaState folded;
    folded.id = state.id;
    for (const auto& record : log) apply(*program.definition, folded, *engine::decode(record));
    return folded;
  }

  const Json& input() const { return input_; }
  std::string status() const { return to_text(state.status); }
  const engine::RenderedRequest& request(const std::string& path,
                                         engine::Phase phase = engine::Phase::forward) {
    const auto& call = engine::call_of(state.steps.at(path), phase);
    REQUIRE(call.request);
    return *call.request;
  }
  std::uint32_t attempt(const std::string& path, engine::Phase phase) const {
    const auto found = state.steps.find(path);
    if (found == state.steps.end()) return 1;
    return engine::call_of(found->second, phase).attempts;
  }

  engine::Program program;
  engine::SagaState state;
  engine::Transition last;               ///< without its state
  std::vector<engine::EventRecord> log;  ///< of the whole saga, as stored
  bool stops_at_cuts = false;            ///< a transition that is cut is not followed by the rest
  bool checks_fold = true;               ///< off where it would take quadratic time
  TimePoint now{Duration{1'767'225'600'000}};
  std::vector<engine::QueuedCall> queued;  ///< in flight, and not sent yet
  std::string key;                         ///< idempotency key of what comes next; empty: none
  std::uint64_t random = 1ULL << 63;       ///< one half: full jitter waits half its base

 private:
  void check_fold(engine::SagaState folded, std::size_t known) {
    if (folded.sequence.get() == 0) folded.id = state.id;
    engine::forget_questions(folded);
    for (std::size_t i = known; i < log.size(); ++i) {
      const auto decoded = engine::decode(log[i]);
      REQUIRE_MESSAGE(decoded.has_value(), log[i].type);
      CHECK(engine::encode(*decoded, log[i].sequence) == log[i]);
      engine::apply(*program.definition, folded, *decoded);
    }
    engine::SagaState logged = state;
    engine::forget_questions(logged);
    CHECK(digest(folded) == digest(logged));
    CHECK(engine::view(program, folded) == engine::view(program, logged));
    CHECK(engine::next_wake(folded) == engine::next_wake(logged));
  }

  /// Scripts are played hundreds of times, so each text is parsed once.
  static std::shared_ptr<const dsl::Definition> parsed(const std::string& text) {
    static std::map<std::string, std::shared_ptr<const dsl::Definition>> known;
    const auto [entry, first] = known.try_emplace(text);
    if (first) {
      const auto result = dsl::parse_definition(text);
      for (const auto& finding : result.findings)
        MESSAGE(finding.code << " " << finding.pointer << " " << finding.message);
      entry->second = result.definition;
    }
    REQUIRE(entry->second);
    return entry->second;
  }

  Json input_;
};

/// A step that can be undone; `more` are further members.
inline std::string step(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","action":{"service":"s","http":"PUT /)" + name +
         R"("},"compensation":{"http":"DELETE /)" + name + "\"}" + more + "}";
}
/// A step that can only be tried until it succeeds.
/// Is given up at once when it is refused with 404, 409 or 410.
inline std::string retryable(const std::string& name) {
  return R"({"name":")" + name + R"(","kind":"retryable","action":{"service":"s","http":"PUT /)" +
         name + R"("},"outcomes":[{"status":[404,409,410],"is":"failure"}]})";
}
inline std::string pivot(const std::string& name, const std::string& more = "") {
  return R"({"name":")" + name + R"(","kind":"pivot","action":{"service":"s","http":"POST /)" +
         name + "\"}" + more + "}";
}
/// A definition with these steps; `rest` are further members, `service` those of its service.
inline std::string saga(const std::string& steps, const std::string& rest = "",
                        const std::string& service = "") {
  return R"({"dsl":1,"name":"t.saga","version":1,"services":{"s":{"baseUrl":"https://s.example")" +
         service + R"(}},"steps":[)" + steps + "]" + rest + "}";
}

/// Two compensatable steps and a third, on a service with the given members.
inline std::string three_steps(
    const std::string& service = "",
    const std::string& third = R"("compensation":{"http":"DELETE /c"})") {
  return R"({"dsl":1,"name":"t.three","version":1,"services":{"s":{"baseUrl":"https://s.example")" +
         service + R"(}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a/${saga.root}"},"compensation":{"http":"DELETE /a"}},
    {"name":"b","action":{"service":"s","http":"PUT /b","body":{"from":"${steps.a.output}"}},"compensation":{"http":"DELETE /b"}},
    {"name":"c","action":{"service":"s","http":"PUT /c"},)" +
         third + "}]}";
}

}  // namespace backstitch::test
