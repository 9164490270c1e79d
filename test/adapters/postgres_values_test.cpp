// What a saga holds is the same before and after the store, whatever values come in.
#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/dsl/json_gate.hpp>

#include "../engine/machine/play.hpp"
#include "../support/dice.hpp"
#include "postgres_fixture.hpp"

namespace backstitch::test {
namespace {

constexpr std::uint64_t sagas = 400;

/// Every kind of place that a value from outside gets to.
constexpr const char* definition = R"({"dsl":1,"name":"t.values","version":1,
  "services":{"s":{"baseUrl":"https://s.example"}},
  "steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a","body":"${input.value}"},"compensation":"none",
     "capture":"${response.body}"},
    {"name":"t","try":{"steps":[
       {"name":"b","action":{"service":"s","http":"PUT /b"},"compensation":"none"}],
     "catch":[{"steps":[{"name":"why","value":"${failure.details}"}]}]}},
    {"name":"c","action":{"service":"s","http":"PUT /c"},"compensation":"none",
     "completion":{"callback":true,"timeout":"1h"}},
    {"name":"p","action":{"service":"s","http":"PUT /p"},"compensation":"none",
     "completion":{"timeout":"1h","poll":{"http":"GET /p","every":"5s"}}},
    {"name":"w","wait":{"signal":"go","timeout":"1h"}},
    {"name":"l","forEach":{"in":"${[steps.a.output, steps.c.output]}","as":"item",
       "steps":[{"name":"v","value":"${item}"}],"yield":"${steps.v.output}"}},
    {"name":"computed","value":{
       "half":"${input.number / 2}","double":"${input.number * 2.5}","less":"${input.number - 0.25}",
       "text":"${string(input.number)}","whole":"${input.number / input.number}"}},
    {"name":"child","saga":{"name":"t.child","version":1,"input":{"value":"${steps.p.output}"}},
     "compensation":"none","kind":"compensatable"}],
  "output":{"all":["${input}","${steps.w.output.payload}","${steps.l.output}","${steps.child.output}"]}})";

/// JSON text, numbers in every spelling.
class Writer {
 public:
  explicit Writer(std::uint64_t seed) : dice_(seed) {}

  std::string value(std::size_t depth = 0) {
    const std::size_t kind = depth > 8 ? dice_.below(4) : dice_.below(7);
    switch (kind) {
      case 0:
        return dice_.pick({"true", "false", "null"});
      case 1:
        return text();
      case 4:
        return list(depth);
      case 5:
        return object(depth);
      case 6:
        return std::string(40, '[') + number() + std::string(40, ']');
      default:
        return number();
    }
  }

  std::string number() {
    const std::string sign = dice_.chance(30) ? "-" : "";
    switch (dice_.below(6)) {
      case 0:
        return sign + std::to_string((std::uint64_t{1} << dice_.below(63)) - dice_.below(2));
      case 1:
        return sign + std::to_string(dice_.roll() >> dice_.between(1, 60)) +
               dice_.pick({"", ".0", ".5", "e0", "e-3", "E+2"});
      case 2:  // beside 2^53
        return sign + std::to_string((std::uint64_t{1} << 53U) + dice_.below(4)) +
               dice_.pick({"", ".0", ".5"});
      case 3:
        return sign +
               dice_.pick({"1.2e19", "1.5e15", "1e15", "1e16", "1e23", "12000000000000000000",
                           "1e308", "5e-324", "0.1", "0", "0.0", "1e-7", "123456789e-3"});
      case 4:
        return sign + std::to_string(dice_.below(10)) + "." + std::to_string(dice_.roll()) + "e" +
               std::to_string(static_cast<int>(dice_.below(600)) - 300);
      default:
        return sign + std::to_string(dice_.below(1000));
    }
  }

 private:
  std::string text() {
    return dice_.pick({R"("")", R"("o-17")", R"("é\n\t\"\\")", R"("\ud83d\ude00 Ж字")",
                       R"("\u0001")", R"("1.0")"});
  }
  std::string list(std::size_t depth) {
    std::string out;
    for (std::size_t i = dice_.chance(5) ? 200 : dice_.below(4); i > 0; --i)
      out += (out.empty() ? "" : ",") + (depth > 3 ? number() : value(depth + 1));
    return "[" + out + "]";
  }
  std::string object(std::size_t depth) {
    std::string out;
    for (std::size_t i = dice_.below(4); i > 0; --i)
      out += (out.empty() ? "\"k" : ",\"k") + std::to_string(i) + "\":" + value(depth + 1);
    return "{" + out + "}";
  }

  Dice dice_;
};

/// What passes the gate; what does not is refused there and comes nowhere.
Json gated(Writer& writer) {
  while (true) {
    auto value = dsl::parse_json(writer.value());
    if (value) return std::move(*value);
  }
}
Json gated_number(Writer& writer) {
  while (true) {
    auto value = dsl::parse_json(writer.number());
    if (value && *value != 0) return std::move(*value);
  }
}

engine::CallEnded ended(Play& play, const char* path, int status, Json body,
                        engine::Phase phase = engine::Phase::forward) {
  return {path, phase, play.attempt(path, phase), engine::Response{status, {}, std::move(body)}};
}

/// Every way in, one after the other.
void play_all(Play& play, SagaId saga, std::uint64_t seed) {
  Writer writer(seed);
  const Json input{{"value", gated(writer)}, {"number", gated_number(writer)}};
  play.on(engine::Start{saga, input, {}, std::nullopt});
  play.on(ended(play, "a", 200, gated(writer)));
  play.on(ended(play, "t/b", 422, gated(writer)));
  play.on(ended(play, "c", 202, nullptr));
  play.on(engine::Callback{play.state.steps.at("c").callback_token,
                           engine::Response{200, {}, gated(writer)}});
  play.on(ended(play, "p", 202, nullptr));
  play.wake();
  play.on(ended(play, "p", 200, gated(writer), engine::Phase::poll));
  play.on(engine::Signal{"go", gated(writer), "someone", {"*"}});
  // Unless a number was too large to compute with.
  const auto child = play.state.steps.find("child");
  if (child == play.state.steps.end()) return;
  play.on(engine::ChildChanged{
      child->second.child->id, engine::SagaStatus::completed, gated(writer), {}});
}

std::string digest_of(const Play& play, const std::vector<engine::EventRecord>& log) {
  engine::SagaState folded;
  folded.id = play.state.id;
  for (const auto& record : log) {
    const auto event = engine::decode(record);
    REQUIRE_MESSAGE(event, why(event));
    engine::apply(*play.program.definition, folded, *event);
  }
  return digest(folded);
}

TEST_CASE("whatever values come in, a saga is the same in memory and from PostgreSQL") {
  PostgresFixture fixture;
  const auto leases = renew(fixture, fixture.node(), "a", 1h, 256, true);
  REQUIRE(leases.held.size() == 256);
  const engine::Epoch epoch = leases.held.front().epoch;
  std::size_t completed = 0;
  for (std::uint64_t seed = 0; seed < sagas; ++seed) {
    Play play(definition);
    play.checks_fold = false;
    const SagaId saga = saga_in(7, seed + 1);
    play_all(play, saga, seed);
    completed += play.state.status == engine::SagaStatus::completed ? 1 : 0;
    engine::Append all = a_start(saga, epoch);
    all.events = play.log;
    all.start->input = play.state.input.dump();
    REQUIRE(outcomes(append(fixture, fixture.node(), {all})) ==
            std::vector{engine::AppendOutcome::written});
    const std::string held = digest(play.state);
    const std::string stored = digest_of(play, log_of(fixture, saga));
    if (held == stored) continue;
    const auto at = std::mismatch(held.begin(), held.end(), stored.begin(), stored.end());
    const auto begin = at.first - std::min<std::ptrdiff_t>(40, at.first - held.begin());
    CAPTURE(seed);
    CAPTURE(std::string(begin, held.end()).substr(0, 120));
    CAPTURE(std::string(stored.begin() + (begin - held.begin()), stored.end()).substr(0, 120));
    FAIL_CHECK("the saga is another one after a restart");
  }
  CHECK(completed * 2 > sagas);
}

}  // namespace
}  // namespace backstitch::test
