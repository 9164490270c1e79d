#include "play.hpp"

using namespace backstitch;
using namespace backstitch::test;

namespace {

/// What the path becomes, or `refused` if the step fails before anything is sent.
std::string rendered(const std::string& path, const Json& id) {
  Play play(saga(R"({"name":"a","kind":"readonly","action":{"service":"s","http":"GET )" + path +
                 R"("}})"),
            Json{{"id", id}}.dump());
  const std::string start = play.start();
  if (start.find("call a forward") != std::string::npos) return play.request("a").target;
  CHECK(play.state.failure->code == "EXPRESSION_FAILED");
  return "refused";
}

}  // namespace

TEST_CASE("a segment is judged as a router may read it: decoded once, and decoded twice") {
  struct Row {
    const char* id;
    const char* gives;
  };
  const Row rows[] = {
      {"17", "/a/17"},       {"a b", "/a/a%20b"},        {"é", "/a/%C3%A9"},
      {"100%", "/a/100%25"}, {"...", "/a/..."},          {"a..b", "/a/a..b"},
      {"%", "/a/%25"},       {"%4", "/a/%254"},          {"", "refused"},
      {" ", "refused"},      {"%20", "refused"},         {".", "refused"},
      {"..", "refused"},     {"%2e%2e", "refused"},      {"%2E", "refused"},
      {"a/b", "refused"},    {"../../admin", "refused"}, {"a\\b", "refused"},
      {"a%2Fb", "refused"},  {"a%5cb", "refused"},       {"a\nb", "refused"},
      {"a%00b", "refused"},  {"a%0Ab", "refused"},       {"a\x7f", "refused"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.id);
    CHECK(rendered("/a/${input.id}", row.id) == row.gives);
  }
}

TEST_CASE("a value may be empty where its segment is not") {
  CHECK(rendered("/a/x-${input.id}", "") == "/a/x-");
  CHECK(rendered("/a/.${input.id}", "") == "refused");
  CHECK(rendered("/a/.${input.id}", ".") == "refused");
  CHECK(rendered("/a/.${input.id}", "x") == "/a/.x");
  CHECK(rendered("/a/${input.id}${input.id}", "") == "refused");
}

TEST_CASE("what the author wrote is not judged: a slash at the end stays") {
  CHECK(rendered("/a/${input.id}/", "7") == "/a/7/");
  CHECK(rendered("/", "7") == "/");
}

TEST_CASE("after the question mark nothing is a segment") {
  CHECK(rendered("/a?q=${input.id}&r=/x", "") == "/a?q=&r=/x");
  CHECK(rendered("/a/${input.id}?q=${input.id}", "7") == "/a/7?q=7");
  CHECK(rendered("/a?q=${input.id}", "../x") == "/a?q=..%2Fx");
}

TEST_CASE("path() inserts several segments, each judged alone") {
  CHECK(rendered("/f/${path(input.id)}", "reports/2026/may 1") == "/f/reports/2026/may%201");
  CHECK(rendered("/f/${path(input.id)}/x", "a") == "/f/a/x");
  for (const char* id : {"", "a//b", "/a", "a/", "a/../b", "a/%2e%2e/b", "a/./b", "a/%2f/b"})
    CHECK_MESSAGE(rendered("/f/${path(input.id)}", id) == "refused", id);
}
