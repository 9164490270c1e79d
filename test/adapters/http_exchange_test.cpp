// What an answer becomes before the machine sees it.
#include <string>
#include <variant>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "exchange.hpp"

namespace backstitch::test {
namespace {

std::string got(int status, const std::string& type, const std::string& body,
                std::size_t bytes_max = 1'000'000) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (!type.empty()) headers.emplace_back("content-type", type);
  const auto result = http::read_response(status, headers, body, bytes_max);
  if (const auto* response = std::get_if<engine::Response>(&result)) return response->body.dump();
  return to_text(std::get<engine::TransportError>(result).kind);
}

TEST_CASE("an answer is JSON, text or nothing; a success that is none of them is no answer") {
  struct Row {
    int status;
    std::string type;
    std::string body;
    std::string gives;
  };
  for (const Row& row :
       std::initializer_list<Row>{{200, "application/json", R"({"a":1})", R"({"a":1})"},
                                  {200, "application/problem+json; charset=utf-8", R"([1])", "[1]"},
                                  {200, "", R"({"a":1})", R"({"a":1})"},
                                  {200, "", "plain", R"("plain")"},
                                  {200, "text/plain", R"({"a":1})", R"("{\"a\":1}")"},
                                  {204, "", "", "null"},
                                  {200, "application/json", "", "null"},
                                  {200, "application/json", "{", "protocol"},
                                  {200, "application/json", R"({"a":1,"a":2})", "protocol"},
                                  {200, "application/json", "{\"a\":\"\xc3\x28\"}", "protocol"},
                                  {200, "application/json", "18446744073709551616", "protocol"},
                                  {500, "application/json", "<html>", R"("<html>")"},
                                  {200, "text/plain", "\xc3\x28", "protocol"},
                                  {200, "text/plain", std::string("a\0b", 3), "protocol"}}) {
    CAPTURE(row.type);
    CAPTURE(row.body);
    CHECK(got(row.status, row.type, row.body) == row.gives);
  }
}

TEST_CASE("nothing of an answer keeps it from being stored") {
  const std::string latin =
      "Stra\xdf"
      "e";
  const auto answered =
      http::read_response(200, {{"x-street", latin}, {"x-city", "Köln"}}, "{}", 100);
  const auto* response = std::get_if<engine::Response>(&answered);
  REQUIRE(response != nullptr);
  REQUIRE(response->headers.size() == 1);
  CHECK(response->headers[0].second == "Köln");
  for (const std::string& body : {"{\"a\": \"" + latin + "\"}", std::string("{\"a\": ä}"), latin}) {
    const auto refused =
        http::read_response(200, {{"content-type", "application/json"}}, body, 100);
    const auto* error = std::get_if<engine::TransportError>(&refused);
    REQUIRE(error != nullptr);
    CHECK_NOTHROW(static_cast<void>(Json(error->message).dump()));
  }
}

}  // namespace
}  // namespace backstitch::test
