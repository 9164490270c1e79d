// Seeds that are always played, and a checker that must find what is wrong.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "checker.hpp"
#include "simulation.hpp"

namespace backstitch::simulation {
namespace {

using nlohmann::json;

Corpus& corpus() {
  static Corpus one;
  return one;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

void holds(std::uint64_t seed) {
  const Outcome outcome = simulate(seed, corpus(), false);
  INFO("seed " << seed << ": ./dev simulate --seed " << seed << " --trace");
  CHECK(joined(outcome.violations) == "");
}

TEST_CASE("every promise holds in the first few hundred worlds") {
  const char* wanted = std::getenv("BACKSTITCH_SEEDS");
  const std::uint64_t seeds = wanted == nullptr ? 300 : std::strtoull(wanted, nullptr, 10);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) holds(seed);
}

TEST_CASE("worlds in which something once went wrong") {
  std::ifstream in(BACKSTITCH_REGRESSIONS);
  REQUIRE(in);
  std::string line;
  std::size_t played = 0;
  while (std::getline(in, line)) {
    if (line.empty() || line.front() == '#') continue;
    holds(std::stoull(line));
    ++played;
  }
  CHECK(played > 0);
}

TEST_CASE("the same seed gives the same world, to the last line of its trace") {
  for (const std::uint64_t seed : {3, 11, 29, 177, 476}) {
    const Outcome once = simulate(seed, corpus(), true);
    const Outcome again = simulate(seed, corpus(), true);
    Corpus another;
    const Outcome elsewhere = simulate(seed, another, true);
    CHECK(once.trace.size() > 10);
    CHECK(joined(once.trace) == joined(again.trace));
    CHECK(joined(once.trace) == joined(elsewhere.trace));
  }
}

// From here on: evidence that is made up, with one thing wrong in it.

json request(const std::string& key, const std::string& compensates = {}) {
  json out{{"method", "PUT"}, {"target", "/x"}, {"key", key}};
  if (!compensates.empty()) out["compensates"] = compensates;
  return {{"request", out}};
}

/// Two steps are done, a third fails, and both are undone.
struct MadeUp {
  MadeUp() {
    const auto step = [](const char* name) {
      return json{{"name", name},
                  {"action", {{"service", "s"}, {"http", "PUT /x"}}},
                  {"compensation", {{"http", "DELETE /x"}}}};
    };
    documents["t"] = {{"name", "t"},
                      {"steps",
                       {step("a"),
                        {{"name", "w"}, {"wait", {{"signal", "go"}, {"timeout", "10s"}}}},
                        step("b"),
                        step("c")}}};
    add("SagaStarted", "", {{"definition", "t"}, {"version", 1}, {"labels", {{"start", "one"}}}});
    add("StepScheduled", "a", request("a-f"));
    add("StepSucceeded", "a", json::object());
    add("StepWaiting", "w", {{"until", 1'000'000}});
    add("SignalReceived", "", {{"name", "go"}, {"by", "me"}});
    add("SignalConsumed", "w", {{"signal", 5}});
    add("StepSucceeded", "w", json::object());
    add("StepScheduled", "b", request("b-f"));
    add("AttemptFailed", "b", {{"phase", "forward"}, {"attempt", 1}, {"retryAt", 12}});
    add("AttemptStarted", "b", {{"phase", "forward"}, {"attempt", 2}}, 12);
    add("StepSucceeded", "b", json::object());
    add("StepScheduled", "c", request("c-f"));
    add("StepFailed", "c", {{"failure", {{"code", "NO"}}}});
    add("CompensationStarted", "", {{"failure", {{"code", "NO"}}}});
    add("StepCompensationScheduled", "b", request("b-c", "b-f"));
    add("StepCompensated", "b", json::object());
    add("StepCompensationScheduled", "a", request("a-c", "a-f"));
    add("StepCompensated", "a", json::object());
    add("SagaEnded", "", {{"status", "FAILED"}});
    for (const char* path : {"a", "b"}) {
      const std::string name = path;
      ledger(LedgerEntry::What::done, name + "-f", name + "-f", name, "forward");
      ledger(LedgerEntry::What::undone, name + "-f", name + "-c", name, "compensate");
    }
    evidence.documents = &documents;
    evidence.rows["saga"] = {"FAILED", ""};
    evidence.starts.push_back({"one", {"saga"}, false, true});
    evidence.commands.push_back({"saga", "signal", "me"});
    evidence.drained = true;
  }
  void add(const std::string& type, const std::string& path, json data, std::int64_t at = 10) {
    const auto sequence = static_cast<std::int64_t>(log().size()) + 1;
    log().push_back({sequence, type, path, std::move(data), at});
  }
  void ledger(LedgerEntry::What what, const std::string& key, const std::string& own,
              const std::string& path, const std::string& phase) {
    evidence.ledger.push_back({what, 0, "s", key, own, "saga", path, phase, "PUT /x "});
  }
  std::vector<LogLine>& log() { return evidence.logs["saga"]; }
  LogLine& line(std::size_t sequence) { return log().at(sequence - 1); }
  void move(std::size_t from, std::size_t to) {
    LogLine moved = line(from);
    log().erase(log().begin() + static_cast<std::ptrdiff_t>(from) - 1);
    log().insert(log().begin() + static_cast<std::ptrdiff_t>(to) - 1, std::move(moved));
    for (std::size_t i = 0; i < log().size(); ++i)
      log()[i].sequence = static_cast<std::int64_t>(i) + 1;
  }
  /// The store forgets all of a saga that did the first step, and its start is repeated.
  void forget_another() {
    evidence.lost.push_back({"other", {line(1), line(2), line(3)}, 0});
    evidence.forgotten.insert("other");
    evidence.starts[0].sagas.push_back("other");
    LedgerEntry done = evidence.ledger.front();
    done.saga = "other";
    done.what = LedgerEntry::What::replayed;
    evidence.ledger.push_back(done);
  }
  std::string found() const { return joined(check(evidence)); }

  std::map<std::string, json> documents;
  Evidence evidence;
};

TEST_CASE("the checker finds nothing in a log that is as it should be") {
  CHECK(MadeUp().found() == "");
}

TEST_CASE("the checker excuses what the store has forgotten, and what follows from it") {
  MadeUp repeated;
  repeated.forget_another();
  CHECK(repeated.found() == "");
  // A step was undone on a way that is forgotten.
  MadeUp undone;
  auto whole = undone.log();
  undone.evidence.lost.push_back({"saga", whole, 11});
  undone.log().resize(12);
  undone.line(12) = {12, "SagaEnded", "", {{"status", "COMPLETED"}}, 10};
  undone.evidence.rows["saga"].status = "COMPLETED";
  CHECK(undone.found() == "");
  // A signal was forgotten.
  MadeUp signal;
  signal.evidence.commands.push_back({"saga", "signal", "another"});
  CHECK(signal.found() != "");
  whole.assign(signal.log().begin(), signal.log().begin() + 12);
  whole.push_back({13, "SignalReceived", "", {{"name", "go"}, {"by", "another"}}, 10});
  signal.evidence.lost.push_back({"saga", whole, 12});
  CHECK(signal.found() == "");
}

struct Lie {
  const char* title;
  const char* promise;
  std::function<void(MadeUp&)> tell;
};

TEST_CASE("the checker finds what is wrong, and says which promise it breaks") {
  const std::vector<Lie> lies{
      {"an answered start is not there",
       "I1:", [](MadeUp& m) { m.evidence.starts[0].sagas = {"x"}; }},
      {"a signal that was taken is lost", "I1:", [](MadeUp& m) { m.line(5).data["by"] = "you"; }},
      {"a wait times out though its signal is there", "I1:",
       [](MadeUp& m) {
         m.line(6) = {6, "StepSkipped", "x", json::object(), 10};
         m.line(7).at = 2'000'000;
       }},
      {"one start made two sagas", "I2:",
       [](MadeUp& m) {
         m.evidence.logs["other"] = m.evidence.logs["saga"];
         m.evidence.rows["other"] = m.evidence.rows["saga"];
       }},
      {"two steps have one key",
       "I3:", [](MadeUp& m) { m.line(8).data["request"]["key"] = "a-f"; }},
      {"a request was not sent as it was stored",
       "I3:", [](MadeUp& m) { m.evidence.ledger[0].request = "PUT /y "; }},
      {"an undo before the undo of what stands behind", "I4:", [](MadeUp& m) { m.move(17, 15); }},
      {"a step that was done is not undone",
       "I4:", [](MadeUp& m) { m.log().erase(m.log().begin() + 16, m.log().begin() + 18); }},
      {"a step that was not done is undone",
       "I4:", [](MadeUp& m) { m.line(15).path = m.line(16).path = "c"; }},
      {"an undo names another action",
       "I5:", [](MadeUp& m) { m.line(17).data["request"]["compensates"] = "b-f"; }},
      {"what was undone is still there", "I5:", [](MadeUp& m) { m.evidence.ledger.pop_back(); }},
      {"a log with a gap", "I6:", [](MadeUp& m) { m.line(7).sequence = 8; }},
      {"a row that says something else",
       "I6:", [](MadeUp& m) { m.evidence.rows["saga"].status = "RUNNING"; }},
      {"a call that no log knows", "I6:", [](MadeUp& m) { m.evidence.ledger[0].path = "z"; }},
      {"an attempt before it is due", "I8:", [](MadeUp& m) { m.line(10).at = 11; }},
      {"a start that was forgotten took effect under another key", "I3:",
       [](MadeUp& m) {
         m.forget_another();
         m.evidence.lost[0].log[1].data["request"]["key"] = "x-f";
         auto& entry = m.evidence.ledger.back();
         entry.what = LedgerEntry::What::done;
         entry.key = entry.own_key = "x-f";
       }},
      {"a call that is in no log, forgotten ones included", "I6:",
       [](MadeUp& m) {
         m.forget_another();
         m.evidence.ledger.back().path = "b";
       }},
      {"a start is gone that the store never forgot", "I1:",
       [](MadeUp& m) {
         m.forget_another();
         m.evidence.forgotten.clear();
       }},
      {"a refusal is believed although its attempt may be forgotten", "R1:",
       [](MadeUp& m) {
         m.line(13).data["failure"]["code"] = "HTTP_422";
         m.evidence.lost.push_back({"saga", m.log(), 12});
       }},
      {"an event after the end", "I9:", [](MadeUp& m) { m.add("Resumed", "", json::object()); }},
      {"not at rest", "I10:",
       [](MadeUp& m) {
         m.log().pop_back();
         m.evidence.rows["saga"].status = "COMPENSATING";
       }},
  };
  for (const auto& lie : lies) {
    MadeUp made_up;
    lie.tell(made_up);
    INFO(lie.title);
    CHECK(made_up.found().find(lie.promise) != std::string::npos);
  }
}

}  // namespace
}  // namespace backstitch::simulation
