// The bytes of a request: nothing that a service, a definition, a value or a secret holds changes
// where it ends or what the engine says in it.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/dsl/header_field.hpp>

#include "../support/dice.hpp"
#include "exchange.hpp"

namespace backstitch::test {
namespace {

class OneSecret : public engine::Secrets {
 public:
  explicit OneSecret(std::string value) : value_(std::move(value)) {}
  std::optional<std::string> find(std::string_view, std::string_view) const override {
    return value_;
  }

 private:
  std::string value_;
};

/// A call of an undo, so that it carries every kind of header.
struct Sent {
  dsl::Service service;
  engine::Call call;
  std::string secret = "s3cret";

  Sent() {
    call.saga = *SagaId::parse("01890a5d-ac96-774b-bcce-b302099a8057");
    call.path = "reserve/hold";
    call.phase = engine::Phase::compensate;
    call.request.method = "PUT";
    call.request.target = "/a?b=c";
    call.request.key = "root-a-compensate";
    call.request.compensates = "root-a-forward";
    call.request.body = R"({"a":1})";
  }

  Result<std::string> written() {
    http::Target target;
    target.url = *http::parse_url("http://127.0.0.1:7000/api");
    call.service = std::make_shared<dsl::Service>(service);
    http::Exchange exchange;
    exchange.call = call;
    const OneSecret secrets(secret);
    const auto written = http::write_request(exchange, target, &secrets, "1");
    if (!written) return written.error();
    return exchange.request;
  }
};

struct Read {
  std::string line;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  std::vector<std::string> values(std::string_view name) const {
    std::vector<std::string> found;
    for (const auto& [known, value] : headers)
      if (dsl::is_same_header(known, name)) found.push_back(value);
    return found;
  }
};

/// As a participant reads it, to the end of the bytes.
Read read(const std::string& bytes) {
  Read out;
  const auto end = bytes.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  out.body = bytes.substr(end + 4);
  std::size_t at = bytes.find("\r\n");
  out.line = bytes.substr(0, at);
  while (at < end) {
    const auto next = bytes.find("\r\n", at + 2);
    const std::string field = bytes.substr(at + 2, next - at - 2);
    const auto colon = field.find(": ");
    REQUIRE(colon != std::string::npos);
    out.headers.emplace_back(field.substr(0, colon), field.substr(colon + 2));
    at = next;
  }
  return out;
}

bool is_refused(Sent sent) {
  const auto written = sent.written();
  return !written && written.error().reason == "request-not-sendable";
}

TEST_CASE("a request carries the keys, the saga and the author's headers") {
  Sent sent;
  sent.service.auth = {.type = dsl::AuthType::bearer, .secret = "s"};
  sent.call.request.headers = {{"X-Shop", "ä\tb"}, {"accept", "text/plain"}};
  const auto written = sent.written();
  REQUIRE(written);
  const Read got = read(*written);
  CHECK(got.line == "PUT /api/a?b=c HTTP/1.1");
  CHECK(got.body == R"({"a":1})");
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"Host", "127.0.0.1:7000"},
                                          {"User-Agent", "backstitch/1"},
                                          {"Accept", "text/plain"},
                                          {"Accept-Encoding", "identity"},
                                          {"X-Shop", "ä\tb"},
                                          {"Idempotency-Key", "root-a-compensate"},
                                          {"Saga-Id", "01890a5d-ac96-774b-bcce-b302099a8057"},
                                          {"Saga-Step", "reserve/hold"},
                                          {"Saga-Phase", "compensate"},
                                          {"Saga-Attempt", "1"},
                                          {"Saga-Compensates", "root-a-forward"},
                                          {"Authorization", "Bearer s3cret"},
                                          {"Content-Length", "7"}}) {
    CAPTURE(name);
    CHECK(got.values(name) == std::vector<std::string>{value});
  }
  REQUIRE(got.values("traceparent").size() == 1);
  const std::string trace = got.values("traceparent")[0];
  CHECK(trace.starts_with("00-01890a5dac96774bbcceb302099a8057-"));
  CHECK(trace.size() == 55);
  CHECK(trace.ends_with("-01"));
}

TEST_CASE("a tunnel is asked for by the host and port of its target") {
  const auto connect = [](const char* url, const std::string& authorization) {
    return http::write_connect(*http::parse_url(url), authorization);
  };
  CHECK(connect("https://bank.example/api", "") ==
        "CONNECT bank.example:443 HTTP/1.1\r\nHost: bank.example:443\r\n\r\n");
  CHECK(connect("https://[fd00::1]:8443", "Basic dTpw") ==
        "CONNECT [fd00::1]:8443 HTTP/1.1\r\nHost: [fd00::1]:8443\r\n"
        "Proxy-Authorization: Basic dTpw\r\n\r\n");
}

TEST_CASE("what was registered or rendered before a rule existed is still not sent") {
  const auto with_header = [](const std::string& name, const std::string& value) {
    Sent sent;
    sent.call.request.headers = {{name, value}};
    return sent;
  };
  for (const char* name : {"X-A: 1\r\nContent-Length: 0\r\n\r\nDELETE /x HTTP/1.1\r\nX-B", "X A",
                           "", "X:", "Content-Length", "content_length", "Transfer-Encoding",
                           "Host", "Connection", "Saga-Id", "SAGA_PHASE", "Idempotency-Key"}) {
    CAPTURE(name);
    CHECK(is_refused(with_header(name, "1")));
  }
  for (const char* value : {"a\r\nX: y", "a\nb", "a\rb", "\x1b[31m", "a\x7f", " a", "a\t"}) {
    CAPTURE(value);
    CHECK(is_refused(with_header("X-A", value)));
  }
  CHECK(is_refused(with_header("X-A", std::string("a\0b", 3))));
  Sent sent;
  sent.service.idempotency_header = "X: 1\r\nX-Evil";
  CHECK(is_refused(sent));
  sent.service.idempotency_header = "X-Key";
  sent.call.request.headers = {{"x_key", "constant"}};
  CHECK(is_refused(sent));
  for (const char* target : {"/a b", "/a\r\nHost: x", "/\xc3\xa4", "/a\x7f"}) {
    CAPTURE(target);
    Sent other;
    other.call.request.target = target;
    CHECK(is_refused(other));
  }
  Sent method;
  method.call.request.method = "GET /x HTTP/1.1\r\n";
  CHECK(is_refused(method));
}

TEST_CASE("a secret with a control character or in another's header is not sent") {
  for (const dsl::AuthType type : {dsl::AuthType::bearer, dsl::AuthType::api_key}) {
    Sent sent;
    sent.service.auth = {.type = type, .secret = "s"};
    CHECK_FALSE(is_refused(sent));
    for (const char* unusable : {"a\r\nHost: x", ""}) {
      sent.secret = unusable;
      CHECK(sent.written().error().reason == "secret-missing");
    }
  }
  Sent stated;
  stated.service.auth = {.type = dsl::AuthType::api_key, .secret = "s"};
  stated.call.request.headers = {{"x-api-key", "mine"}};
  CHECK(is_refused(stated));
}

/// Bytes that matter to HTTP, and a few that do not.
std::string random_text(Dice& dice) {
  static const std::vector<std::string> parts = {
      "a", "X-",   ":",    " ",    "\t",    "\r",       "\n",  "/", "_",
      "ä", "\x7f", "\x1b", "host", "saga-", "\r\n\r\n", "%0d", ",", std::string(1, '\0')};
  std::string text;
  for (std::size_t i = dice.below(5); i > 0; --i) text += dice.pick(parts);
  return text;
}

TEST_CASE("whatever its parts hold, a request is one request and says what the engine says") {
  std::size_t sent_whole = 0;
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    Sent sent;
    for (std::size_t i = dice.below(3); i > 0; --i)
      sent.call.request.headers.emplace_back("X" + random_text(dice), random_text(dice));
    if (dice.chance(20)) sent.call.request.headers.emplace_back(random_text(dice), "v");
    if (dice.chance(20)) sent.call.request.target = "/" + random_text(dice);
    if (dice.chance(20)) sent.service.idempotency_header = "K" + random_text(dice);
    if (dice.chance(20)) {
      sent.service.auth = {.type = dsl::AuthType::api_key, .secret = "s"};
      sent.secret = random_text(dice);
    }
    const auto written = sent.written();
    if (!written) continue;
    ++sent_whole;
    const Read got = read(*written);
    REQUIRE(got.body == sent.call.request.body);
    REQUIRE(got.values("Content-Length") == std::vector<std::string>{"7"});
    REQUIRE(got.values("Transfer-Encoding").empty());
    REQUIRE(got.values("Host").size() == 1);
    REQUIRE(got.values("Saga-Id").size() == 1);
    REQUIRE(got.values(sent.service.idempotency_header) ==
            std::vector<std::string>{"root-a-compensate"});
    const std::size_t stated = sent.call.request.headers.size();
    const std::size_t own = sent.service.auth.type == dsl::AuthType::none ? 12U : 13U;
    REQUIRE(got.headers.size() == own + stated);
  }
  CHECK(sent_whole > 2'000);
}

}  // namespace
}  // namespace backstitch::test
