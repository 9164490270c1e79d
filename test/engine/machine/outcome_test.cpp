// What one answer means: every status, rule and kind of call, before and after an unknown attempt.
#include <backstitch/engine/machine/answer.hpp>

#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;
using engine::Question;

namespace {

/// A step `a` of a definition, and what answers to its calls mean.
class Judged {
 public:
  /// `step`: members of the step beside its name; `service`: of the service beside its address.
  explicit Judged(const std::string& step, const std::string& service = "") {
    const std::string text =
        R"({"dsl":1,"name":"t.t","version":1,"services":{"s":{"baseUrl":"https://s.example")" +
        (service.empty() ? "" : "," + service) + R"(}},"steps":[{"name":"a",)" + step + "}]}";
    const auto parsed = dsl::parse_definition(text);
    for (const auto& finding : parsed.findings) MESSAGE(finding.pointer << " " << finding.message);
    REQUIRE(parsed.definition);
    program_.definition = parsed.definition;
  }

  std::string answer(int status, const std::string& body = "null") const {
    return said(Question::action, engine::Response{status, {}, Json::parse(body)}, false);
  }
  std::string later(int status, const std::string& body = "null") const {
    return said(Question::action, engine::Response{status, {}, Json::parse(body)}, true);
  }
  std::string poll(int status, const std::string& body = "null") const {
    return said(Question::poll, engine::Response{status, {}, Json::parse(body)}, false);
  }
  std::string callback(int status, const std::string& body = "null") const {
    return said(Question::callback, engine::Response{status, {}, Json::parse(body)}, false);
  }
  std::string probe(int status, const std::string& body = "null") const {
    return said(Question::probe, engine::Response{status, {}, Json::parse(body)}, true);
  }
  std::string undo(int status, const std::string& body = "null") const {
    return said(Question::compensation, engine::Response{status, {}, Json::parse(body)}, false);
  }
  std::string foreign(Question question, int status) const {
    return said(question, engine::Response{status, {}, nullptr, {}, "it lacks the key"}, false);
  }
  std::string failed(dsl::Transport kind, bool sent, bool after_unknown = false) const {
    return said(Question::action, engine::TransportError{kind, sent, "no answer"}, after_unknown);
  }

 private:
  std::string said(Question question, const engine::CallResult& result, bool after_unknown) const {
    const auto meaning = engine::meaning_of(program_, program_.definition->steps.front(), question,
                                            result, after_unknown);
    return std::string(dsl::to_text(meaning.outcome)) + " " + meaning.code;
  }

  engine::Program program_;
};

const std::string put =
    R"("action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"})";
const std::string get = R"("action":{"service":"s","http":"GET /a"})";
const std::string page = R"("<html>sign in</html>")";

/// A step of that action whose rules are these.
std::string with_rules(const std::string& rules, const std::string& action = put) {
  return action + R"(,"outcomes":)" + rules;
}
std::string undone_with(const std::string& rules) {
  return R"("action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a","outcomes":)" +
         rules + "}";
}
std::string pivot_asked(const std::string& probe) {
  return R"("kind":"pivot","action":{"service":"s","http":"POST /a"},"probe":{"http":"GET /a",)" +
         probe + "}";
}
std::string polled(const std::string& poll, const std::string& step = "[]") {
  return put +
         R"(,"completion":{"callback":true,"timeout":"1h","poll":{"http":"GET /a","every":"1s","outcomes":)" +
         poll + R"(}},"outcomes":)" + step;
}

}  // namespace

TEST_CASE("the status alone decides what the answer to an action means") {
  const Judged step(put);
  CHECK(step.answer(200) == "success HTTP_200");
  CHECK(step.answer(202) == "success HTTP_202");
  CHECK(step.answer(204) == "success HTTP_204");
  for (const int status : {101, 300, 301, 302, 303, 304, 305, 399, 500, 501, 503, 599, 600})
    CHECK(step.answer(status) == "unknown HTTP_" + std::to_string(status));
  for (const int status :
       {307, 308, 400, 401, 402, 403, 404, 409, 410, 412, 413, 415, 422, 451, 499})
    CHECK(step.answer(status) == "failure HTTP_" + std::to_string(status));
  for (const int status : {408, 425, 429})
    CHECK(step.answer(status) == "transient HTTP_" + std::to_string(status));
  CHECK(step.failed(dsl::Transport::connect, false) == "transient TRANSPORT_CONNECT");
  CHECK(step.failed(dsl::Transport::reset, true) == "unknown TRANSPORT_RESET");
  CHECK(step.answer(409, page) == "failure HTTP_409");
}

TEST_CASE("a redirect is a failure where nothing but reading was asked for") {
  const Judged read(get);
  for (const int status : {301, 302, 303, 307, 308})
    CHECK(read.answer(status) == "failure HTTP_" + std::to_string(status));
  CHECK(read.answer(304) == "unknown HTTP_304");
  const Judged head(R"("action":{"service":"s","http":"HEAD /a"})");
  CHECK(head.answer(302) == "failure HTTP_302");
}

TEST_CASE("after an unknown attempt only a refusal of what was asked for is believed") {
  const Judged step(put);
  for (const int status : {402, 422})
    CHECK(step.later(status) == "failure HTTP_" + std::to_string(status));
  for (const int status : {302, 307, 400, 401, 403, 404, 405, 409, 410, 412, 413, 415})
    CHECK(step.later(status) == "unknown HTTP_" + std::to_string(status));
  CHECK(step.later(200) == "success HTTP_200");
  CHECK(step.later(429) == "transient HTTP_429");

  const Judged forgets(put, R"("idempotency":"natural")");
  CHECK(forgets.answer(422) == "failure HTTP_422");
  CHECK(forgets.later(422) == "unknown HTTP_422");
  const Judged read(get);
  CHECK(read.later(403) == "failure HTTP_403");
  const Judged posts_to_read(R"("kind":"readonly","action":{"service":"s","http":"POST /search"})");
  CHECK(posts_to_read.later(403) == "failure HTTP_403");
}

TEST_CASE("after an unknown attempt a rule is believed that names a status or has a condition") {
  const Judged step(with_rules(R"([
    {"status":409,"is":"failure","code":"TAKEN"},
    {"status":[404,410],"is":"failure","code":"GONE"},
    {"status":"4xx","when":"${response.body?.error == 'declined'}","is":"failure","code":"DECLINED"},
    {"transport":"reset","is":"failure","code":"RESET"},
    {"status":"4xx","is":"failure","code":"REFUSED"}])"));
  CHECK(step.later(409) == "failure TAKEN");
  CHECK(step.later(410) == "failure GONE");
  CHECK(step.later(403, R"({"error":"declined"})") == "failure DECLINED");
  CHECK(step.answer(403) == "failure REFUSED");
  CHECK(step.later(403) == "unknown REFUSED");
  CHECK(step.later(422) == "failure REFUSED");
  CHECK(step.failed(dsl::Transport::reset, true) == "failure RESET");
  CHECK(step.failed(dsl::Transport::reset, true, true) == "unknown RESET");

  const Judged of_service(put, R"("outcomes":[{"status":409,"is":"failure","code":"TAKEN"},
                                              {"status":"400-499","is":"failure","code":"REFUSED"}])");
  CHECK(of_service.later(409) == "failure TAKEN");
  CHECK(of_service.later(403) == "unknown REFUSED");
  const Judged forgets(with_rules(R"([{"status":409,"is":"failure","code":"TAKEN"}])"),
                       R"("idempotency":"natural")");
  CHECK(forgets.later(409) == "unknown TAKEN");
}

TEST_CASE("a condition that cannot be evaluated makes an answer neither better nor worse") {
  const Judged step(with_rules(R"([
    {"status":"2xx","when":"${!response.body.paid}","is":"failure","code":"NOT_PAID"},
    {"status":409,"when":"${response.body.error == 'taken'}","is":"failure","code":"TAKEN"},
    {"status":503,"when":"${response.body.busy}","is":"transient"},
    {"status":500,"when":"${response.body.done}","is":"unknown","code":"LOST"}])"));
  CHECK(step.answer(200, R"({"paid":true})") == "success HTTP_200");
  CHECK(step.answer(200, R"({"paid":false})") == "failure NOT_PAID");
  CHECK(step.answer(200) == "unknown HTTP_200");
  CHECK(step.answer(200, page) == "unknown HTTP_200");
  CHECK(step.answer(409, R"({"error":"taken"})") == "failure TAKEN");
  CHECK(step.answer(409, page) == "failure HTTP_409");
  CHECK(step.later(409, page) == "unknown HTTP_409");
  CHECK(step.later(409, R"({"error":"taken"})") == "failure TAKEN");
  CHECK(step.answer(503, page) == "unknown HTTP_503");
  CHECK(step.answer(503, R"({"busy":true})") == "transient HTTP_503");
  CHECK(step.answer(500, page) == "unknown HTTP_500");
  // The rule is about another status: its condition is not asked.
  CHECK(step.answer(400, page) == "failure HTTP_400");

  const Judged then_sure(with_rules(R"([
    {"when":"${response.body.paid}","is":"success"},
    {"status":200,"is":"failure","code":"SURE"}])"));
  CHECK(then_sure.answer(200, page) == "unknown SURE");
}

TEST_CASE("the refusal of a poll says nothing about the call that was accepted") {
  const Judged step(polled("[]", R"([{"status":404,"is":"failure","code":"STEP"}])"),
                    R"("outcomes":[{"status":403,"is":"failure","code":"SERVICE"}])");
  for (const int status : {301, 302, 304, 307, 400, 401, 403, 404, 410, 422})
    CHECK(step.poll(status) ==
          (status == 304 ? "unknown" : "pending") + (" HTTP_" + std::to_string(status)));
  CHECK(step.poll(202) == "pending HTTP_202");
  CHECK(step.poll(429) == "transient HTTP_429");
  CHECK(step.poll(500) == "unknown HTTP_500");
  CHECK(step.poll(200) == "success HTTP_200");

  const Judged says(polled(R"([{"status":404,"is":"failure","code":"NEVER"}])"));
  CHECK(says.poll(404) == "failure NEVER");
}

TEST_CASE("a poll's 2xx and a callback are the action's answer") {
  const std::string own = R"([{"when":"${response.body.state == 'PENDING'}","is":"pending"}])";
  const Judged step(
      polled(own, R"([{"when":"${response.body.state == 'NO'}","is":"failure","code":"NO"}])"),
      R"("outcomes":[{"when":"${response.body.state == 'LATE'}","is":"unknown"}])");
  CHECK(step.poll(200, R"({"state":"PENDING"})") == "pending HTTP_200");
  CHECK(step.poll(200, R"({"state":"NO"})") == "failure NO");
  CHECK(step.poll(200, R"({"state":"LATE"})") == "unknown HTTP_200");
  CHECK(step.poll(200, R"({"state":"DONE"})") == "success HTTP_200");
  CHECK(step.callback(200, R"({"state":"NO"})") == "failure NO");
  CHECK(step.callback(200, R"({"state":"DONE"})") == "success HTTP_200");
  CHECK(step.callback(409, R"({"state":"DONE"})") == "failure HTTP_409");
  for (const auto& unreadable : {page, std::string("{}"), std::string("null")}) {
    CHECK(step.poll(200, unreadable) == "pending HTTP_200");
    CHECK(step.callback(200, unreadable) == "pending HTTP_200");
  }
  const Judged says_yes(polled(R"([{"when":"${response.body.state == 'DONE'}","is":"success"}])"));
  CHECK(says_yes.poll(200, page) == "pending HTTP_200");
}

TEST_CASE(
    "a sealed probe without a failure rule takes a bare 404 or 410 for its no, and nothing else") {
  const Judged step(pivot_asked(R"("sealed":true)"));
  CHECK(step.probe(404) == "failure HTTP_404");
  CHECK(step.probe(410, page) == "failure HTTP_410");
  for (const int status : {301, 302, 307, 400, 401, 403, 405, 409, 422})
    CHECK(step.probe(status) == "unknown HTTP_" + std::to_string(status));
  CHECK(step.probe(200) == "success HTTP_200");
}

TEST_CASE("a sealed probe with a failure rule says no by such a rule only") {
  const Judged step(pivot_asked(R"("sealed":true,"outcomes":[
    {"status":404,"when":"${response.body.code == 'NEVER'}","is":"failure","code":"NEVER"}])"));
  CHECK(step.probe(404, R"({"code":"NEVER"})") == "failure NEVER");
  CHECK(step.probe(404, R"({"code":"OTHER"})") == "unknown HTTP_404");
  CHECK(step.probe(404, page) == "unknown HTTP_404");
  CHECK(step.probe(404) == "unknown HTTP_404");
  CHECK(step.probe(410) == "unknown HTTP_410");
  CHECK(step.probe(403) == "unknown HTTP_403");
}

TEST_CASE("the refusal of a probe that is not sealed means not seen") {
  const Judged step(
      pivot_asked(R"("outcomes":[{"when":"${response.body?.state == 'QUEUED'}","is":"pending"}])"));
  for (const int status : {302, 401, 403, 404, 410})
    CHECK(step.probe(status) == "failure HTTP_" + std::to_string(status));
  CHECK(step.probe(200, R"({"state":"QUEUED"})") == "pending HTTP_200");
  CHECK(step.probe(200) == "success HTTP_200");
}

TEST_CASE("a probe that its own rule cannot read does not decide") {
  const Judged step(pivot_asked(R"("sealed":true,"outcomes":[
    {"when":"${response.body.state == 'OPEN'}","is":"unknown"}])"));
  CHECK(step.probe(200, R"({"state":"DONE"})") == "success HTTP_200");
  CHECK(step.probe(200, R"({"state":"OPEN"})") == "unknown HTTP_200");
  CHECK(step.probe(200, page) == "unknown HTTP_200");
  CHECK(step.probe(404, page) == "unknown HTTP_404");
}

TEST_CASE("an answer that is not the participant's own settles nothing, whatever it says") {
  const std::string rules = R"([{"status":"100-599","is":"failure","code":"NO"}])";
  const Judged action(with_rules(rules), R"("outcomes":)" + rules);
  const Judged undo(undone_with(R"([{"status":"100-599","is":"success"}])"));
  const Judged probe(pivot_asked(R"("sealed":true,"outcomes":)" + rules));
  const Judged poll(polled(rules, rules));
  const Judged read(get);
  for (const int status : {200, 202, 204, 307, 400, 404, 409, 410, 422, 429, 503}) {
    CAPTURE(status);
    CHECK(action.foreign(Question::action, status) == "unknown ANSWER_FOREIGN");
    CHECK(read.foreign(Question::action, status) == "unknown ANSWER_FOREIGN");
    CHECK(undo.foreign(Question::compensation, status) == "unknown ANSWER_FOREIGN");
    CHECK(probe.foreign(Question::probe, status) == "unknown ANSWER_FOREIGN");
    CHECK(poll.foreign(Question::poll, status) == "pending ANSWER_FOREIGN");
  }
}

TEST_CASE(
    "only a rule about who answered is asked of an intermediary's answer, and settles nothing") {
  const std::string marks = R"("answers":{"header":"X-By","value":"bank"})";
  const std::string rules = R"([
    {"status":503,"is":"transient","code":"ANY"},
    {"status":[401,503],"when":"${response.from == 'intermediary'}","is":"transient","code":"PROXY"},
    {"status":403,"when":"${response.from == 'intermediary'}","is":"failure","code":"NO"},
    {"status":404,"when":"${response.from != 'participant'}","is":"success"},
    {"status":409,"when":"${response.from == 'participant'}","is":"failure","code":"OWN"}])";
  const Judged of_service(put, marks + R"(,"outcomes":)" + rules);
  for (const Judged& action : {Judged(with_rules(rules), marks), of_service}) {
    CHECK(action.foreign(Question::action, 503) == "transient PROXY");
    CHECK(action.foreign(Question::action, 401) == "transient PROXY");
    for (const int status : {200, 403, 404, 409, 500})
      CHECK(action.foreign(Question::action, status) == "unknown ANSWER_FOREIGN");
    CHECK(action.answer(503) == "transient ANY");
    CHECK(action.answer(409) == "failure OWN");
  }
  CHECK(of_service.foreign(Question::compensation, 503) == "transient PROXY");
  const Judged unmarked(
      with_rules(R"([{"status":503,"when":"${response.from == 'unmarked'}","is":"transient"}])"));
  CHECK(unmarked.answer(503) == "transient HTTP_503");
}

TEST_CASE("a service's rules can only withhold the success of a probe or a compensation") {
  const std::string service = R"("outcomes":[
    {"status":404,"is":"success"},
    {"status":[409,410],"is":"success"},
    {"status":403,"is":"failure","code":"SERVICE"},
    {"status":"2xx","when":"${response.body.error == 'no'}","is":"failure","code":"NO"},
    {"status":"2xx","when":"${response.body.error == 'busy'}","is":"transient"},
    {"status":"2xx","when":"${response.body.error == 'wait'}","is":"pending"},
    {"status":202,"is":"unknown","code":"LATER"}])";
  const Judged undo(put, service);
  CHECK(undo.answer(404) == "success HTTP_404");
  CHECK(undo.undo(404) == "failure HTTP_404");
  CHECK(undo.undo(409) == "failure HTTP_409");
  CHECK(undo.undo(403) == "failure HTTP_403");
  CHECK(undo.undo(200, R"({"error":null})") == "success HTTP_200");
  CHECK(undo.undo(200, R"({"error":"no"})") == "unknown NO");
  CHECK(undo.undo(200, R"({"error":"busy"})") == "transient HTTP_200");
  CHECK(undo.undo(200, R"({"error":"wait"})") == "success HTTP_200");
  CHECK(undo.undo(202, R"({"error":null})") == "unknown LATER");
  CHECK(undo.undo(200, page) == "unknown HTTP_200");
  // An undo need not have a body.
  CHECK(undo.undo(204) == "success HTTP_204");

  const Judged probe(pivot_asked(R"("sealed":true)"), service);
  CHECK(probe.probe(404) == "failure HTTP_404");
  CHECK(probe.probe(409) == "unknown HTTP_409");
  CHECK(probe.probe(403) == "unknown HTTP_403");
  CHECK(probe.probe(200, R"({"error":null})") == "success HTTP_200");
  CHECK(probe.probe(200, R"({"error":"no"})") == "unknown NO");
  CHECK(probe.probe(200, R"({"error":"wait"})") == "pending HTTP_200");
  CHECK(probe.probe(200, page) == "unknown HTTP_200");
  CHECK(probe.probe(200) == "success HTTP_200");
}

TEST_CASE("the rules of a compensation are believed as they are written") {
  const Judged step(undone_with(R"([
    {"status":404,"when":"${response.body.code == 'UNKNOWN_KEY'}","is":"success"},
    {"status":409,"is":"success"}])"),
                    R"("outcomes":[{"status":409,"is":"failure","code":"SERVICE"}])");
  CHECK(step.undo(404, R"({"code":"UNKNOWN_KEY"})") == "success HTTP_404");
  CHECK(step.undo(404, R"({"code":"OTHER"})") == "failure HTTP_404");
  CHECK(step.undo(404, page) == "unknown HTTP_404");
  CHECK(step.undo(409) == "success HTTP_409");
  CHECK(step.undo(202) == "success HTTP_202");
  CHECK(step.undo(302) == "unknown HTTP_302");
}

TEST_CASE("a refusal after an unknown attempt is asked about again within the budget") {
  Play play(saga(step("a", R"(,"retry":{"maxAttempts":3,"delay":"1s","jitter":"none"})")));
  play.start();
  CHECK(play.lost("a") == "AttemptFailed a forward #1 unknown again in 1s");
  play.wake();
  CHECK(play.answer("a", 403) == "AttemptFailed a forward #2 unknown again in 2s");
  play.wake();
  SUBCASE("what judges the request is believed") {
    CHECK(play.answer("a", 422) ==
          "StepFailed a HTTP_422, CompensationStarted HTTP_422, SagaEnded FAILED");
  }
  SUBCASE("else the step stays unknown, and is undone by its key") {
    CHECK(play.answer("a", 409) ==
          "AttemptFailed a forward #3 unknown, StepUnknown a OUTCOME_UNKNOWN, CompensationStarted "
          "OUTCOME_UNKNOWN, StepCompensationScheduled a | call a compensate #1");
  }
}

TEST_CASE("a redirect after a POST is asked about, not taken for a refusal") {
  Play play(saga(pivot("p")));
  play.start();
  CHECK(play.answer("p", 302).starts_with("AttemptFailed p forward #1 unknown again in "));
  play.wake();
  CHECK(play.answer("p", 404).starts_with("AttemptFailed p forward #2 unknown again in "));
  play.wake();
  CHECK(play.answer("p", 200) == "StepSucceeded p, SagaEnded COMPLETED");
}

TEST_CASE("a lost node, and a completion that timed out, are unknown attempts") {
  Play play(saga(pivot("p")));
  play.start();
  play.take_over();
  CHECK(play.answer("p", 409).starts_with("AttemptFailed p forward #2 unknown again in "));

  Play late(saga(pivot("p", R"(,"completion":{"callback":true,"timeout":"5m"})")));
  late.start();
  late.answer("p", 202);
  CHECK(late.wake().starts_with("AttemptFailed p forward #1 unknown again in "));
  late.wake();
  CHECK(late.answer("p", 409).starts_with("AttemptFailed p forward #2 unknown again in "));
}

TEST_CASE("what could not be evaluated is told in the history") {
  Play play(saga(
      step("a", R"(,"outcomes":[{"when":"${!response.body.paid}","is":"failure","code":"NOT_PAID"},
                                          {"status":409,"when":"${response.body.x}","is":"failure","code":"X"}])")));
  play.start();
  const auto failure = [&] {
    return Json::parse(play.log.back().data)["failure"]["message"].get<std::string>();
  };
  play.answer("a", 200);
  CHECK(failure().find("/steps/0/outcomes/0") != std::string::npos);

  Play sure(saga(step("a", R"(,"outcomes":[{"when":"${response.body.paid}","is":"success"}])")));
  sure.start();
  CHECK(sure.answer("a", 200, "7") == "StepSucceeded a, SagaEnded COMPLETED");
  const Json succeeded = Json::parse(sure.log[sure.log.size() - 2].data);
  CHECK(succeeded["note"].get<std::string>().find("/steps/0/outcomes/0") != std::string::npos);
}

TEST_CASE("a code that a rule gives decides nothing") {
  Play play(
      saga(pivot("p", R"(,"outcomes":[{"status":503,"is":"unknown","code":"OUTCOME_UNKNOWN"}])")));
  play.start();
  // Each answer is progress, so that a node that goes down in between is not blamed on the saga.
  for (int i = 0; i < 6; ++i) {
    play.take_over();
    CHECK(play.status() == "RUNNING");
    play.answer("p", 503);
    play.wake();
  }
  CHECK(play.answer("p", 200) == "StepSucceeded p, SagaEnded COMPLETED");
}

/// A proxy's page, or its answer to an action that needs a mark.
struct Page {
  engine::Response response;
  std::string more;  ///< of the definition
  std::string message;
  Json answer;
};

TEST_CASE("it is kept and told who answered, as far as that is known") {
  const std::string text = "upstream connect error\n\tor disconnect";
  const std::vector<std::pair<std::string, std::string>> headers{{"server", "envoy"},
                                                                 {"via", "1.1 edge"},
                                                                 {"retry-after", "2"},
                                                                 {"content-type", "text/plain"},
                                                                 {"x-other", "1"}};
  const Json kept{
      {"server", "envoy"}, {"via", "1.1 edge"}, {"retryAfter", "2"}, {"contentType", "text/plain"}};
  const auto with_text = [&](const char* quoted) {
    Json all = kept;
    all["text"] = quoted;
    return all;
  };
  const Page pages[] = {
      {{503, headers, text, "not JSON: no"},
       "",
       R"(the answer was 503 (server: envoy): "upstream connect error or disconnect"; its body is unreadable: not JSON: no)",
       with_text("upstream connect error or disconnect")},
      {{503, headers, text, "not JSON: no"},
       R"(,"input":{"type":"object","properties":{"card":{"type":"string","x-sensitive":true}}})",
       "the answer was 503; its body is unreadable: not JSON: no",
       nullptr},
      {{401, headers, nullptr, "", "it lacks the header Saga-Echo", "RBAC: access denied"},
       "",
       R"(an intermediary answered 401 (server: envoy): "RBAC: access denied", not the participant: it lacks the header Saga-Echo)",
       with_text("RBAC: access denied")},
      {{503, {}, Json{{"why", "busy"}}, ""}, "", "the answer was 503", nullptr},
  };
  for (const Page& page : pages) {
    CAPTURE(page.message);
    Play play(
        R"({"dsl":1,"name":"t.w","version":1,"services":{"s":{"baseUrl":"https://s.example"}},"steps":[
          {"name":"a","compensation":"none","action":{"service":"s","http":"PUT /a"},"retry":{"maxAttempts":1}}])" +
        page.more + "}");
    play.start();
    play.on(engine::CallEnded{"a", engine::Phase::forward, 1, page.response});
    const engine::Event& event = play.last.events.front();
    REQUIRE(std::holds_alternative<engine::AttemptFailed>(event.body));
    CHECK(std::get<engine::AttemptFailed>(event.body).failure.message == page.message);
    CHECK(event.attempt.answer == page.answer);
  }
}

TEST_CASE("the message of a failure is the rule's own, or names the rule") {
  const auto message = [](const std::string& rule, const std::string& service = "[]") {
    Play play(
        R"({"dsl":1,"name":"t.m","version":1,"services":{"s":{"baseUrl":"https://s.example","outcomes":)" +
        service +
        R"(}},"steps":[{"name":"a","action":{"service":"s","http":"GET /jobs"},"outcomes":[)" +
        rule + "]}]}");
    play.start();
    play.answer("a", 200, R"({"state":"FAILED","why":"no paper"})");
    REQUIRE(play.state.failure);
    return play.state.failure->message;
  };
  const std::string failed =
      R"({"status":200,"when":"${response.body.state == 'FAILED'}","is":"failure","code":"JOB_FAILED")";
  CHECK(message(failed + "}") ==
        "the answer was 200, which the rule /steps/0/outcomes/0 calls a failure");
  CHECK(message(failed + R"(,"message":"the job failed: ${response.body.why}"})") ==
        "the job failed: no paper");
  CHECK(message("", "[" + failed + "}]") ==
        "the answer was 200, which the rule /services/s/outcomes/0 of the service calls "
        "a failure");
  const auto broken = message(failed + R"(,"message":"${response.body.reason}"})");
  CHECK(broken.find("the rule /steps/0/outcomes/0 calls a failure; the message of the rule could "
                    "not be rendered") != std::string::npos);
}
