// Random rules and answers: what the machine makes of an answer is what the participant contract
// says of it. BACKSTITCH_SEEDS=100000 looks longer.
#include <cstdlib>

#include <doctest/doctest.h>

#include <backstitch/dsl/parse.hpp>
#include <backstitch/engine/machine/answer.hpp>

#include "../../support/dice.hpp"
#include "../../support/reference_answers.hpp"

namespace backstitch::test {
namespace {

using engine::Question;

constexpr std::uint64_t answer_seeds_usual = 3'000;

const std::pair<Question, const char*> columns[] = {{Question::action, "action"},
                                                    {Question::callback, "callback"},
                                                    {Question::poll, "poll"},
                                                    {Question::probe, "probe"},
                                                    {Question::compensation, "compensation"}};

class RandomAnswers {
 public:
  explicit RandomAnswers(std::uint64_t seed) : dice_(seed) {
    completes_ = dice_.chance(40);
    step_ = {{"name", "a"}, {"action", {{"service", "s"}, {"http", http()}}}};
    if (dice_.chance(15)) step_["kind"] = "readonly";
    if (dice_.chance(50)) step_["outcomes"] = rules(completes_);
    step_["probe"] = {{"http", "GET /a"}, {"sealed", dice_.chance(60)}};
    if (dice_.chance(70)) step_["probe"]["outcomes"] = rules(true);
    step_["compensation"] = {{"http", dice_.pick({"DELETE /a", "POST /a/undo"})}};
    if (dice_.chance(50)) step_["compensation"]["outcomes"] = rules(false);
    if (completes_) {
      step_["completion"] = {
          {"callback", true}, {"timeout", "1h"}, {"poll", {{"http", "GET /a"}, {"every", "1s"}}}};
      if (dice_.chance(70)) step_["completion"]["poll"]["outcomes"] = rules(true);
    }
    service_ = {{"baseUrl", "https://s.example"}};
    if (dice_.chance(20)) service_["idempotency"] = "natural";
    if (dice_.chance(50)) service_["outcomes"] = rules(completes_);
  }

  /// What the machine and the contract do not agree about; empty: they do.
  std::string disagreement() {
    const Json document{{"dsl", 1},
                        {"name", "t.t"},
                        {"version", 1},
                        {"services", {{"s", service_}}},
                        {"steps", Json::array({step_})}};
    engine::Program program;
    const auto parsed = dsl::parse_definition(document.dump());
    for (const auto& finding : parsed.findings) MESSAGE(finding.pointer << " " << finding.message);
    REQUIRE(parsed.definition);
    program.definition = parsed.definition;
    for (int answers = 0; answers < 20; ++answers) {
      const auto& [question, column] = columns[dice_.below(std::size(columns))];
      const bool asked_later = question == Question::poll || question == Question::callback;
      if (asked_later && !completes_) continue;
      const AskedAnswer asked{column, dice_.chance(50), step_, service_, status(), body()};
      const auto meant =
          engine::meaning_of(program, parsed.definition->steps.front(), question,
                             engine::Response{asked.status, {}, asked.body}, asked.later_copy);
      const std::string expected = meaning_by_contract(asked);
      if (dsl::to_text(meant.outcome) == expected) continue;
      return std::string(column) + (asked.later_copy ? ", later copy" : "") + ", " +
             std::to_string(asked.status) + " " + asked.body.dump() + ": the machine says " +
             dsl::to_text(meant.outcome) + ", the contract " + expected + "\nstep " + step_.dump() +
             "\nservice " + service_.dump();
    }
    return "";
  }

 private:
  std::string http() { return dice_.pick({"PUT /a", "POST /a", "POST /a", "GET /a"}); }

  int status() {
    if (dice_.chance(20)) return static_cast<int>(dice_.between(100, 599));
    return dice_.pick({200, 200, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404,
                       404, 405, 408, 409, 409, 410, 412, 415, 422, 425, 429, 500, 502, 503, 504});
  }

  /// As participants write them, and proxies, login pages and frameworks.
  Json body() {
    switch (dice_.below(10)) {
      case 0:
        return nullptr;
      case 1:
        return Json::object();
      case 2:
        return "<!doctype html><title>Sign in</title>";
      case 3:
        return Json::array({1, 2});
      case 4:
        return 7;
      case 5:
        return {{"paid", "yes"}};
      case 6:
        return {{"paid", false}, {"state", "NO"}};
      case 7:
        return {{"paid", true}, {"state", "DONE"}};
      case 8:
        return {{"state", dice_.pick({"NO", "DONE", "PENDING"})}};
      default:
        return {{"paid", dice_.chance(50)}};
    }
  }

  Json rules(bool may_be_pending) {
    Json list = Json::array();
    for (std::size_t left = dice_.between(1, 3); left > 0; --left)
      list.push_back(rule(may_be_pending));
    return list;
  }

  Json rule(bool may_be_pending) {
    Json rule{{"is", may_be_pending && dice_.chance(15)
                         ? "pending"
                         : dice_.pick({"success", "failure", "failure", "transient", "unknown"})}};
    switch (dice_.below(8)) {
      case 0:
        rule["status"] = "2xx";
        break;
      case 1:
        rule["status"] = "4xx";
        break;
      case 2:
        rule["status"] = "400-499";
        break;
      case 3:
        rule["status"] = Json::array({404, 410});
        break;
      case 4:
        rule["status"] = Json::array({"5xx", 409});
        break;
      case 5:
      case 6:
        rule["status"] = dice_.pick({200, 302, 403, 404, 409, 422, 503});
        break;
      default:
        break;
    }
    if (dice_.chance(55)) {
      rule["when"] =
          dice_.pick({"${response.body.paid}", "${!response.body.paid}",
                      "${response.body.state == 'NO'}", "${response.body?.state == 'NO'}",
                      "${response.body.state != 'DONE'}", "${response.status == 404}"});
    }
    return rule;
  }

  Dice dice_;
  Json step_;
  Json service_;
  bool completes_ = false;
};

TEST_CASE("whatever rules and answers are, an answer means what the participant contract says") {
  const char* wanted = std::getenv("BACKSTITCH_SEEDS");
  const std::uint64_t seeds = wanted == nullptr ? answer_seeds_usual : std::stoull(wanted);
  int wrong = 0;
  for (std::uint64_t seed = 0; seed < seeds && wrong < 3; ++seed) {
    const std::string found = RandomAnswers(seed).disagreement();
    if (found.empty()) continue;
    ++wrong;
    FAIL_CHECK("seed " << seed << ": " << found);
  }
}

}  // namespace
}  // namespace backstitch::test
