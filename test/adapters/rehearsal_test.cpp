#include <chrono>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>
#include <backstitch/base/time.hpp>
#include <backstitch/rehearsal/rehearsal.hpp>

using namespace backstitch;
using namespace backstitch::rehearsal;

namespace {

std::string file(const std::string& name) {
  std::ifstream stream(std::string(BACKSTITCH_EXAMPLES) + "/" + name);
  REQUIRE(stream);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

struct Saga {
  std::vector<std::string> definitions;
  Json input = Json::object();
};
Saga order() {
  return {{file("order/orders.place.json")}, Json::parse(file("order/input.json"))};
}
Saga travel() {
  return {{file("travel/travel.book.json")}, Json::parse(file("travel/input.json"))};
}
Saga transfer() {
  return {{file("transfer/transfers.cross-border.json"), file("transfer/accounts.debit.json")},
          Json::parse(file("transfer/input.json"))};
}
/// One step with the members given, behind one that can be undone.
Saga two_steps(const std::string& second, const std::string& more = "") {
  return {
      {R"({"dsl":1,"name":"t.two","version":1,"timeout":"10d","services":{"s":{"use":"s"}},"steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}},
    {"name":"b",)" +
       second + "}]" + more + "}"}};
}

std::vector<Fault> faults(const std::string& texts) {
  std::vector<Fault> list;
  for (std::size_t begin = 0; begin < texts.size();) {
    const auto end = std::min(texts.find(' ', begin), texts.size());
    auto fault = parse_fault(texts.substr(begin, end - begin));
    REQUIRE_MESSAGE(fault.has_value(), texts);
    list.push_back(*fault);
    begin = end + 1;
  }
  return list;
}

Report run(const Saga& saga, Options options) {
  options.input = saga.input;
  const auto report = Rehearsal(saga.definitions).run(options);
  if (!report) {
    for (const auto& detail : report.error().details)
      MESSAGE(detail.pointer << " " << detail.code << " " << detail.message);
    FAIL(report.error().message);
  }
  return *report;
}
Report run(const Saga& saga, const std::string& fault_texts = "") {
  Options options;
  options.faults = faults(fault_texts);
  return run(saga, options);
}

/// `+1s10ms charge StepFailed`, a line a moment.
std::string story(const Report& report) {
  std::string text;
  for (const auto& moment : report.timeline) {
    text += "+" + backstitch::to_text(moment.offset) + " " +
            (moment.path.empty() ? "" : moment.path + " ") + moment.type + "\n";
  }
  return text;
}
bool tells(const Report& report, const std::string& type, const std::string& path = "") {
  return story(report).find(" " + (path.empty() ? "" : path + " ") + type + "\n") !=
         std::string::npos;
}
/// `createOrder undone, capture exists`.
std::string left(const Report& report) {
  std::string text;
  for (const auto& entry : report.ledger) {
    text += (text.empty() ? "" : ", ") + entry.path.substr(entry.path.rfind('/') + 1) + " " +
            to_text(entry.standing);
  }
  return text;
}
std::string code(const Report& report) {
  return report.failure.is_object() ? report.failure["code"].get<std::string>() : "";
}

struct Row {
  const char* faults;
  const char* status;
  const char* code;
  const char* left;
};

void check_rows(const Saga& saga, const std::vector<Row>& rows, const Options& options = {}) {
  for (const auto& row : rows) {
    Options with = options;
    with.faults = faults(row.faults);
    const Report report = run(saga, with);
    INFO(row.faults << "\n" << story(report));
    CHECK(report.status == std::string(row.status));
    CHECK(code(report) == std::string(row.code));
    CHECK(left(report) == std::string(row.left));
  }
}

}  // namespace

TEST_CASE("the order saga ends as its definition says, whatever goes wrong") {
  const char* all =
      "createOrder exists, reserveStock exists, redeemCoupon exists, authorise exists, capture "
      "exists, confirmOrder exists, ship exists";
  const char* none =
      "createOrder undone, reserveStock undone, redeemCoupon undone, tellCustomer exists";
  const char* no_payment =
      "createOrder undone, reserveStock undone, redeemCoupon undone, authorise undone, "
      "tellCustomer exists";
  check_rows(
      order(),
      {
          {"", "COMPLETED", "", all},
          {"reserveStock=refuse", "FAILED", "OUT_OF_STOCK",
           "createOrder undone, tellCustomer exists"},
          {"authorise=refuse", "FAILED", "CARD_DECLINED", none},
          {"authorise=refuse:418", "FAILED", "HTTP_418", none},
          {"authorise=transient", "FAILED", "RETRIES_EXHAUSTED", none},
          {"authorise=transient*4", "COMPLETED", "", all},
          {"authorise=unknown-done", "COMPLETED", "", all},
          {"authorise=unknown-lost", "FAILED", "NOT_AUTHORISED",
           "createOrder undone, reserveStock undone, redeemCoupon undone, authorise closed, "
           "tellCustomer exists"},
          {"authorise=unknown-lost*2", "COMPLETED", "", all},
          {"capture=refuse", "FAILED", "AUTHORISATION_EXPIRED", no_payment},
          {"capture=unknown-lost*5", "COMPLETED", "", all},
          {"capture=down*3", "COMPLETED", "", all},
          {"capture=down", "FAILED", "RETRIES_EXHAUSTED", no_payment},
          {"ship=down:3h", "COMPLETED", "", all},
          {"ship=refuse", "SUSPENDED", "",
           "createOrder exists, reserveStock exists, redeemCoupon exists, authorise exists, "
           "capture exists, confirmOrder exists"},
          {"authorise=refuse:CARD_DECLINED reserveStock/undo=unknown-done*2", "FAILED",
           "CARD_DECLINED", none},
          {"authorise=refuse reserveStock/undo=unknown-lost*2", "FAILED", "CARD_DECLINED", none},
          {"authorise=refuse reserveStock/undo=refuse", "SUSPENDED", "CARD_DECLINED",
           "createOrder exists, reserveStock exists, redeemCoupon undone"},
      });
}

TEST_CASE("the travel saga ends as its definition says, whatever goes wrong") {
  const char* all =
      "carFromA exists, holdSeat exists, holdSeat exists, holdRoom exists, charge exists, "
      "confirmCarA exists, "
      "issueTicket exists, issueTicket exists, confirmRoom exists";
  const char* held = "carFromA undone, holdSeat undone, holdSeat undone, holdRoom undone";
  check_rows(
      travel(),
      {
          {"", "COMPLETED", "", all},
          {"holdSeats[1]/holdSeat=refuse", "FAILED", "FLIGHT_FULL",
           "carFromA undone, holdSeat undone, holdRoom closed"},
          {"holdRoom=refuse", "FAILED", "HOTEL_FULL",
           "carFromA undone, holdSeat undone, holdSeat undone"},
          {"holdRoom=unanswered", "FAILED", "OUTCOME_UNKNOWN",
           "carFromA undone, holdSeat undone, holdSeat undone, holdRoom closed"},
          {"holdRoom=unknown-done*1", "COMPLETED", "", all},
          {"carFromA=refuse", "COMPLETED", "",
           "holdSeat exists, holdSeat exists, holdRoom exists, carFromB exists, charge exists, "
           "confirmCarB exists, "
           "issueTicket exists, issueTicket exists, confirmRoom exists"},
          {"charge=refuse", "FAILED", "CARD_DECLINED", held},
          {"charge=unknown-lost", "FAILED", "NOT_CHARGED",
           "carFromA undone, holdSeat undone, holdSeat undone, holdRoom undone, charge closed"},
          {"charge=unknown-done", "COMPLETED", "", all},
          {"issueTicket=unknown-done*2", "COMPLETED", "", all},
      });
}

TEST_CASE("the transfer saga ends as its definition says, whatever goes wrong") {
  Options options;
  options.signals = {{"decision", std::chrono::hours{2}, {{"approved", true}}}};
  const char* all =
      "hold exists, book exists, openTask exists, submit exists, settle exists, advise exists";
  const char* none = "hold undone, book undone, openTask undone, adviseRefusal exists";
  check_rows(transfer(),
             {
                 {"", "COMPLETED", "", all},
                 {"hold=refuse", "FAILED", "INSUFFICIENT_FUNDS", "adviseRefusal exists"},
                 {"openTask=refuse", "FAILED", "HTTP_422",
                  "hold undone, book undone, adviseRefusal exists"},
                 {"submit=refuse", "FAILED", "NETWORK_REJECTED", none},
                 {"submit=unknown-done*2", "COMPLETED", "", all},
                 {"settle=down:71h", "COMPLETED", "", all},
                 {"settle=down", "SUSPENDED", "",
                  "hold exists, book exists, openTask exists, submit exists, page exists"},
                 {"submit=unanswered", "SUSPENDED", "",
                  "hold exists, book exists, openTask exists, submit accepted, page exists"},
                 {"submit=refuse book/undo=refuse", "SUSPENDED", "NETWORK_REJECTED",
                  "hold exists, book exists, openTask undone, page exists"},
             },
             options);
}

TEST_CASE("the same seed gives the same timeline, another one other delays") {
  Options options;
  options.faults = faults("authorise=transient*3 ship=down:10m");
  options.seed = 7;
  const std::string first = to_json(run(order(), options)).dump();
  CHECK(to_json(run(order(), options)).dump() == first);
  options.seed = 8;
  CHECK(to_json(run(order(), options)).dump() != first);
}

TEST_CASE("three days of retries are over at once") {
  const Saga saga = two_steps(R"("kind":"pivot","action":{"service":"s","http":"POST /b"}},
    {"name":"c","kind":"retryable","action":{"service":"s","http":"POST /c"})");
  const auto before = std::chrono::steady_clock::now();
  const Report report = run(saga, "c=down:71h");
  CHECK(report.status == "COMPLETED");
  CHECK(report.took > std::chrono::hours{71});
  CHECK(report.took < std::chrono::hours{72});
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds{5});
  const Report given_up = run(saga, "c=down");
  CHECK(given_up.status == "SUSPENDED");
  CHECK(given_up.suspension["reason"] == "RETRIES_EXHAUSTED");
  CHECK(left(given_up) == "a exists, b exists");
}

TEST_CASE("a saga is cancelled when a step begins, or at a time") {
  Options options;
  options.cancel_at_steps = {"reserveStock"};
  Report report = run(order(), options);
  CHECK(report.status == "FAILED");
  CHECK(code(report) == "CANCELLED");
  CHECK(left(report) == "createOrder undone, reserveStock undone, tellCustomer exists");
  options = {};
  options.cancel_at = Duration{15};
  report = run(order(), options);
  CHECK(left(report) == "createOrder undone, reserveStock undone, tellCustomer exists");
  // In the event that starts the saga; the pivot is the point of no return.
  options = {};
  options.cancel_at_steps = {"total"};
  CHECK(code(run(order(), options)) == "CANCELLED");
  options.cancel_at_steps = {"capture"};
  report = run(order(), options);
  CHECK(report.completed());
  CHECK(tells(report, "Refused"));
}

TEST_CASE("a suspended saga sends its notice before the rehearsal ends") {
  Options options;
  options.signals = {{"decision", Duration{0}, {{"approved", true}}}};
  options.faults = faults("settle=down");
  const Report report = run(transfer(), options);
  CHECK(report.status == "SUSPENDED");
  CHECK(report.effect_of("page") == "exists");
  CHECK(report.effect_of("submit") == "exists");
}

TEST_CASE("a signal may come early, late, wrong or never") {
  Options options;
  CHECK(code(run(transfer(), options)) == "WAIT_TIMEOUT");
  options.signals = {{"decision", Duration{0}, {{"approved", false}}}};
  CHECK(code(run(transfer(), options)) == "NOT_APPROVED");
  options.signals = {{"decision", std::chrono::hours{1}, {{"approved", 1}}},
                     {"decision", std::chrono::hours{2}, {{"approved", true}}}};
  const Report report = run(transfer(), options);
  CHECK(report.completed());
  CHECK(tells(report, "Refused"));
}

TEST_CASE("what is still running when the time is over is left running") {
  Options options;
  options.until = std::chrono::hours{1};
  const Report report = run(transfer(), options);
  CHECK(report.status == "RUNNING");
  CHECK(left(report) == "hold exists, book exists, openTask exists");
}

TEST_CASE("an undo of a call that was lost closes its key") {
  const Report report = run(
      two_steps(R"("action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"}})"
                R"(,{"name":"c","fail":{"code":"NO"})"),
      "b=unknown-lost");
  CHECK(report.status == "FAILED");
  CHECK(left(report) == "a undone, b closed");
}

TEST_CASE("an undo that is refused suspends the saga, or goes on if the definition says so") {
  const auto saga = [](const std::string& on_exhausted) {
    return two_steps(
        R"("action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b",)"
        R"("retry":{"maxAttempts":3},"onExhausted":")" +
        on_exhausted + R"("}},{"name":"c","fail":{"code":"NO"})");
  };
  CHECK(run(saga("suspend"), "b/undo=refuse").status == "SUSPENDED");
  CHECK(run(saga("suspend"), "b/undo=refuse*2").status == "FAILED");
  const Report report = run(saga("continue"), "b/undo=refuse");
  CHECK(report.status == "FAILED_INCOMPLETE");
  CHECK(left(report) == "a undone, b exists");
}

TEST_CASE("answers are made up so that the definition works, or are given") {
  const Saga saga{
      {R"({"dsl":1,"name":"t.made","version":1,"services":{"s":{"baseUrl":"https://s.example",
      "outcomes":[{"when":"${response.body.ok == true}","is":"success"},{"status":"2xx","is":"failure","code":"NOT_OK"}]}},
    "steps":[
      {"name":"list","action":{"service":"s","http":"GET /list"},"output":{"rows":"${response.body.rows}","wait":"${response.body.wait}"}},
      {"name":"small","when":"${steps.list.output.rows.any(r, r.price > 500)}","fail":{"code":"TOO_MUCH"}},
      {"name":"pause","sleep":{"for":"${steps.list.output.wait}"}},
      {"name":"each","forEach":{"in":"${steps.list.output.rows}","as":"row","key":"${row.id}","steps":[
        {"name":"pay","action":{"service":"s","http":"PUT /pay/${row.id}","body":{"total":"${row.price * 2}"}},"compensation":"none"}],
        "yield":"${steps.pay.output.receipt + '!'}"}}],
    "output":"${steps.each.output}"})"}};
  Report report = run(saga);
  CHECK(report.status == "COMPLETED");
  CHECK(report.output.size() == 1);
  CHECK(report.took > std::chrono::seconds{1});
  Options options;
  options.answers["list"] =
      Json::parse(R"({"ok":true,"wait":"0s","rows":[{"id":"x","price":1},{"id":"y","price":2}]})");
  options.answers["pay"] = Json::parse(R"({"ok":true,"receipt":"r"})");
  report = run(saga, options);
  CHECK(report.output == Json::parse(R"(["r!","r!"])"));
  options.answers["list"]["ok"] = false;
  CHECK(code(run(saga, options)) == "NOT_OK");
}

TEST_CASE("an answer that comes later is called back, or found by asking") {
  const auto saga = [](const std::string& how) {
    return two_steps(
        R"("action":{"service":"s","http":"POST /b"},"compensation":{"http":"DELETE /b"},"completion":{"timeout":"10m",)" +
        how + R"(},"output":"${response.body.id}")");
  };
  const std::string poll =
      R"("poll":{"http":"GET /b","every":"20s","outcomes":[{"when":"${response.body.state == 'OPEN'}","is":"pending"}]})";
  Report report = run(saga(poll));
  CHECK(report.completed());
  CHECK(report.took > std::chrono::seconds{20});
  CHECK_FALSE(tells(report, "CallbackReceived", "b"));
  report = run(saga(R"("callback":true)"));
  CHECK(tells(report, "CallbackReceived", "b"));
  CHECK(report.took < std::chrono::seconds{2});
  report = run(saga(poll), "b=unanswered");
  CHECK(code(report) == "OUTCOME_UNKNOWN");
  CHECK(left(report) == "a undone, b closed");
  report = run(saga(poll), "b/poll=down*3");
  CHECK(report.completed());
}

TEST_CASE("functions of the embedding program are played, too") {
  const Saga saga{
      {R"({"dsl":1,"name":"t.local","version":1,"services":{"here":{"type":"local"},"there":{"use":"there"}},
    "steps":[{"name":"a","action":{"service":"here","operation":"reserve"},"compensation":{"operation":"release"}},
             {"name":"b","action":{"service":"there","operation":"pay"},"compensation":{"operation":"refund"}}]})"}};
  CHECK(left(run(saga)) == "a exists, b exists");
  CHECK(left(run(saga, "b=refuse")) == "a undone");
}

TEST_CASE("a registered service that is given brings its rules") {
  Options options;
  options.services["s"] = Json::parse(
      R"({"baseUrl":"https://s.example","outcomes":[{"status":418,"is":"failure","code":"TEAPOT"}]})");
  options.faults = faults("b=refuse:TEAPOT");
  const Saga saga = two_steps(R"("action":{"service":"s","http":"PUT /b"},"compensation":"none")");
  CHECK(code(run(saga, options)) == "TEAPOT");
}

TEST_CASE("what is sensitive in the input is hidden from the report") {
  const std::string text = to_json(run(order())).dump();
  CHECK(text.find("tok-visa-4242") == std::string::npos);
}

TEST_CASE("a fault says which call of which step, what, and how often") {
  const Fault fault = faults("charge/undo=down:1m30s*4")[0];
  CHECK(fault.step == "charge");
  CHECK(fault.target == Target::undo);
  CHECK(fault.trouble == Trouble::down);
  CHECK(fault.lasts == Duration{90'000});
  CHECK(fault.times == 4U);
  for (const char* bad :
       {"charge", "=refuse", "charge=", "charge=explode", "charge=refuse*0", "charge=refuse*x",
        "charge=down:soon", "charge=transient:5", "charge=refuse:"})
    CHECK_MESSAGE(!parse_fault(bad), bad);
}

TEST_CASE("an answer with an empty body, or a page in place of it, is done and may be of no use") {
  const auto saga = [](const std::string& read) {
    return two_steps(
        R"("action":{"service":"s","http":"PUT /b"},"compensation":{"http":"DELETE /b"},"output":{"id":")" +
        read + R"("})");
  };
  for (const char* fault : {"b=empty-body", "b=html-body"}) {
    CAPTURE(fault);
    const Report report = run(saga("${response.body.id}"), fault);
    CHECK(code(report) == "EXPRESSION_FAILED");
    CHECK(left(report) == "a undone, b undone");
  }
  CHECK(run(saga("${response.body?.id ?? 'none'}"), "b=empty-body").completed());
}

TEST_CASE("what could never happen is refused before the rehearsal begins") {
  const auto reason = [](const std::string& text, Options options = {}) {
    options.input = order().input;
    if (!text.empty()) options.faults = faults(text);
    const auto report = Rehearsal(order().definitions).run(options);
    return report ? std::string("none") : report.error().reason;
  };
  CHECK(reason("nobody=refuse") == "step-unknown");
  CHECK(reason("total=refuse") == "fault-invalid");
  CHECK(reason("capture/undo=refuse") == "fault-invalid");
  CHECK(reason("capture=unanswered") == "fault-invalid");
  CHECK(reason("authorise=refuse:NO_SUCH_CODE") == "fault-invalid");
  Options options;
  options.answers["nobody"] = 1;
  CHECK(reason("", options) == "step-unknown");
  CHECK(Rehearsal(order().definitions).run({}).error().reason == "INPUT_INVALID");
  CHECK(Rehearsal({"{"}).run({}).error().reason == "definition-invalid");
  Saga childless = transfer();
  childless.definitions.pop_back();
  const auto report = Rehearsal(childless.definitions).run({});
  REQUIRE(!report);
  CHECK(report.error().details[0].code == "E404");
}
