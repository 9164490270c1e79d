// How a complete answer over HTTP becomes the response that the machine sees.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "../support/dice.hpp"
#include "exchange.hpp"

namespace backstitch::test {
namespace {

http::Headers typed(const std::string& type) {
  if (type.empty()) return {};
  return {{"content-type", type}};
}

engine::Call call_of(dsl::Service service = {}) {
  engine::Call call;
  call.request.key = "root-a-forward";
  call.service = std::make_shared<dsl::Service>(std::move(service));
  return call;
}

engine::Response read_response(int status, http::Headers headers, const std::string& body) {
  return http::read_response(call_of(), status, std::move(headers), body);
}

TEST_CASE("a complete answer keeps its status whatever its body holds") {
  struct Row {
    std::string type;
    std::string body;
    std::string gives;       ///< the body as rules and templates see it
    std::string unreadable;  ///< the beginning of the reason; empty: readable
  };
  const std::string latin =
      "Stra\xdf"
      "e";
  const std::string gzip("\x1f\x8b\x08\x00\x00", 5);
  for (const Row& row : std::initializer_list<Row>{
           {"application/json", R"({"a":1})", R"({"a":1})", ""},
           {"Application/JSON", R"({"a":1})", R"({"a":1})", ""},
           {"text/json", R"({"a":1})", R"({"a":1})", ""},
           {"application/json ; charset=utf-8", "[1]", "[1]", ""},
           {"application/problem+json; charset=utf-8", "[1]", "[1]", ""},
           {"", R"({"a":1})", R"({"a":1})", ""},
           {"", "", "null", ""},
           {"application/json", "", "null", ""},
           {"application/json", " \r\n\t", "null", ""},
           {"text/html", "\n", "null", ""},
           {"application/json; charset=ISO-8859-1", "[\"" + latin + "\"]", R"(["Straße"])", ""},
           {"", "plain", R"("plain")", "not JSON"},
           {"text/plain", R"({"a":1})", R"("{\"a\":1}")", "not JSON"},
           {"text/plain; charset=\"Latin1\"", latin, R"("Straße")", "not JSON"},
           {"text/plain; charset=iso-8859-1", "Straße", R"("Straße")", "not JSON"},
           {"application/json", "<html>", R"("<html>")", "not JSON: a syntax error at line 1"},
           {"application/json", R"({"a":1,"a":2})", R"("{\"a\":1,\"a\":2}")", "not JSON: a key"},
           {"application/json", "18446744073709551616", R"("18446744073709551616")",
            "a number outside the domain"},
           {"application/json", "{\"a\":\"\xc3\x28\"}", "null", "not JSON: it is not UTF-8"},
           {"application/json", "{\"a\":\"\\u0000\"}", R"("{\"a\":\"\\u0000\"}")",
            "not JSON: it holds"},
           {"text/plain", latin, "null", "not JSON: the media type"},
           {"application/json", gzip, "null", "not JSON"},
           {"text/plain", std::string("a\0b", 3), "null", "not JSON"},
           {"text/plain", std::string(std::size_t{64} * 1024 + 1, 'x'), "null", "not JSON"}}) {
    CAPTURE(row.type);
    CAPTURE(row.body.substr(0, 100));
    for (const int status : {200, 204, 302, 404, 409, 503}) {
      const auto response = read_response(status, typed(row.type), row.body);
      CHECK(response.status == status);
      CHECK(response.body.dump() == row.gives);
      CHECK(response.unreadable.empty() == row.unreadable.empty());
      CHECK(response.unreadable.starts_with(row.unreadable));
    }
  }
}

TEST_CASE("a compressed body is unreadable, and JSON under a wrong encoding label is JSON") {
  const std::string gzip("\x1f\x8b\x08\x00\x00", 5);
  const auto answered = [](const std::string& encoding, const std::string& body) {
    return read_response(
        409, {{"content-type", "application/json"}, {"content-encoding", encoding}}, body);
  };
  const auto compressed = answered("gzip", gzip);
  CHECK(compressed.status == 409);
  CHECK(compressed.body.is_null());
  CHECK(compressed.unreadable.find("Content-Encoding is gzip") != std::string::npos);
  CHECK(answered("Identity", "[1]").body.dump() == "[1]");
  CHECK(answered("utf-8", "[1]").unreadable.empty());
}

TEST_CASE("an answer over maxResponseBytes keeps its status and headers") {
  dsl::Service service;
  service.response_bytes_max = 1000;
  const auto response = http::oversized_response(call_of(service), 422, {{"x-code", "full"}});
  CHECK(response.status == 422);
  CHECK(response.body.is_null());
  CHECK(response.headers.size() == 1);
  CHECK(response.unreadable == "larger than maxResponseBytes, which is 1000");
}

/// A body that servers and what stands before them send: of any shape, encoding and size.
std::string random_body(Dice& dice) {
  static const std::vector<std::string> shapes = {"",
                                                  " \r\n",
                                                  "null",
                                                  "true",
                                                  "{}",
                                                  "[]",
                                                  R"({"a":{"b":[1,2.5,"x"]}})",
                                                  "{",
                                                  R"({"a":1,"a":2})",
                                                  "18446744073709551615",
                                                  "-9223372036854775809",
                                                  "1e400",
                                                  "1e23",
                                                  "\xef\xbb\xbf{}",
                                                  "a=1&b=2",
                                                  "<html><body>Log in</body></html>",
                                                  "Stra\xdf"
                                                  "e",
                                                  "\x1f\x8b\x08",
                                                  R"({"a":"\u0000"})"};
  std::string body = dice.pick(shapes);
  if (dice.chance(20))
    body = std::string(dice.between(60, 100) * 1'000, body.empty() ? 'x' : body[0]);
  if (dice.chance(10)) body = std::string(dice.between(1, 200), '[') + body;
  for (std::size_t changes = dice.below(3); changes > 0 && !body.empty(); --changes)
    body[dice.below(body.size())] = static_cast<char>(dice.below(256));
  return body;
}

TEST_CASE("whatever the body, the answer keeps its status and can be stored") {
  const std::vector<std::string> types = {"",
                                          "application/json",
                                          "Application/JSON ; charset=utf-8",
                                          "text/json",
                                          "text/html",
                                          "application/problem+json",
                                          "text/plain;charset=ISO-8859-1",
                                          "application/json; charset=latin1",
                                          ";",
                                          "\xff"};
  for (std::uint64_t seed = 1; seed <= 10'000; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    const std::string body = random_body(dice);
    http::Headers headers = typed(dice.pick(types));
    if (dice.chance(20))
      headers.emplace_back("content-encoding", dice.pick({"gzip", "br", "identity"}));
    const int status = dice.pick({200, 201, 202, 302, 400, 404, 409, 422, 500, 503});
    const auto response = read_response(status, headers, body);
    REQUIRE(response.status == status);
    REQUIRE_NOTHROW(static_cast<void>(response.body.dump()));
    REQUIRE_NOTHROW(static_cast<void>(Json(response.unreadable).dump()));
    if (response.unreadable.empty()) continue;
    const bool kept = response.body.is_string();
    REQUIRE((kept || response.body.is_null()));
    if (kept) REQUIRE(response.body.get<std::string>().size() <= std::size_t{64} * 1024);
  }
}

TEST_CASE("nothing of an answer keeps it from being stored") {
  const std::string latin =
      "Stra\xdf"
      "e";
  const auto answered = read_response(200, {{"x-street", latin}, {"x-city", "Köln"}}, "{}");
  REQUIRE(answered.headers.size() == 1);
  CHECK(answered.headers[0].second == "Köln");
  for (const std::string& body : {"{\"a\": \"" + latin + "\"}", std::string("{\"a\": ä}"), latin}) {
    const auto response = read_response(200, typed("application/json"), body);
    CHECK_FALSE(response.unreadable.empty());
    CHECK_NOTHROW(static_cast<void>(Json(response.unreadable).dump()));
    CHECK_NOTHROW(static_cast<void>(response.body.dump()));
  }
}

TEST_CASE("a header of an answer with a control character is left out") {
  const auto answered = read_response(200,
                                      {{"x-a", "a\x1b[31m"},
                                       {"x-b", std::string("a\0b", 3)},
                                       {"x-c", "a\nb"},
                                       {"x-d", "a\tb"},
                                       {"x-e", "a\x7f"}},
                                      "{}");
  REQUIRE(answered.headers.size() == 1);
  CHECK(answered.headers[0].first == "x-d");
}

TEST_CASE("an answer without the header or the media type that a service declares is not its own") {
  dsl::Service by_header;
  by_header.answers.header = "X-Answered-By";
  by_header.answers.value = "bank";
  dsl::Service by_type;
  by_type.answers.content_types = {"application/json", "text/csv"};
  const auto foreign = [](const dsl::Service& service, int status, http::Headers headers) {
    const engine::Call call = call_of(service);
    return http::read_response(call, status, std::move(headers), "{}").foreign;
  };
  CHECK(foreign(by_header, 200, {{"x-answered-by", "bank"}}).empty());
  CHECK(foreign(by_header, 503, {{"x-answered-by", "bank"}}).empty());
  for (const http::Headers& headers : {http::Headers{},
                                       {{"x-answered-by", "Bank"}},
                                       {{"x-answered-by", ""}},
                                       {{"server", "bank"}}})
    CHECK(foreign(by_header, 200, headers) == "it lacks the header X-Answered-By: bank");
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8",
                           "application/problem+json", "text/csv ; header=present"})
    CHECK(foreign(by_type, 404, {{"content-type", type}}).empty());
  CHECK(foreign(by_type, 204, {}).empty());
  CHECK(foreign(by_type, 200, {}) == "it has no content type");
  CHECK(foreign(by_type, 404, {{"content-type", "text/html"}}) == "its content type is text/html");
  CHECK_FALSE(foreign(by_type, 200, {{"content-type", "application/jsonp"}}).empty());
}

TEST_CASE("of an intermediary's answer is kept who it was and when to try again") {
  dsl::Service service;
  service.answers.echo = "Saga-Echo";
  const auto answer = http::read_response(
      call_of(service), 503,
      {{"server", "envoy"}, {"via", "1.1 edge"}, {"retry-after", "2"}, {"set-cookie", "a=b"}},
      "{}");
  CHECK(answer.headers ==
        http::Headers{{"server", "envoy"}, {"via", "1.1 edge"}, {"retry-after", "2"}});
}

TEST_CASE("an answer without the key of its call in the declared header is not the participant's") {
  dsl::Service service;
  service.answers.echo = "Saga-Echo";
  engine::Call call = call_of(service);
  const auto foreign = [&](http::Headers headers) {
    const auto answer = http::read_response(call, 200, std::move(headers), R"({"other":"saga"})");
    CHECK(answer.status == 200);
    // It may be what another saga was told.
    CHECK(answer.body.is_null() == !answer.foreign.empty());
    CHECK(http::oversized_response(call, 200, answer.headers).foreign.empty() ==
          answer.foreign.empty());
    return !answer.foreign.empty();
  };
  CHECK_FALSE(foreign({{"saga-echo", "root-a-forward"}}));
  CHECK(foreign({}));
  CHECK(foreign({{"saga-echo", "root-b-forward"}}));
  CHECK(foreign({{"saga-echo", "ROOT-A-FORWARD"}}));
  CHECK(foreign({{"saga-echo", "root-a-forward, root-b-forward"}}));
  CHECK(foreign({{"saga-echo", "root-a-forward"}, {"saga-echo", "root-b-forward"}}));
  CHECK(foreign({{"idempotency-key", "root-a-forward"}}));
  call.request.key.clear();
  call.request.probes = "root-a-forward";
  CHECK_FALSE(foreign({{"saga-echo", "root-a-forward"}}));
  call.request.key = "root-a-compensate";
  call.request.compensates = std::exchange(call.request.probes, "");
  CHECK(foreign({{"saga-echo", "root-a-forward"}}));
  CHECK_FALSE(foreign({{"saga-echo", "root-a-compensate"}}));
}

}  // namespace
}  // namespace backstitch::test
