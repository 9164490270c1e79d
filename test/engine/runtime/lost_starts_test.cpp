// A failover or a restore may lose the newest sagas. Whoever repeats such a start under its key
// gets another saga, and its calls have the keys that the lost one's had.
#include "nodes.hpp"

using namespace backstitch;
using namespace backstitch::test;
using namespace std::chrono_literals;

namespace {

const std::string keyed = R"({"dsl":1,"name":"t.keyed","version":1,
  "businessKey":"${input.order}","businessKeyReuse":"afterFailed",
  "input":{"type":"object","required":["order"],"properties":{"order":{"type":"string"},"fails":{"type":"boolean"}}},
  "services":{"s":{"baseUrl":"https://s.example"}},
  "steps":[
    {"name":"a","action":{"service":"s","http":"PUT /a/${saga.root}/${uuid('x')}"},"compensation":{"http":"DELETE /a"}},
    {"name":"stop","when":"${input?.fails == true}","fail":{"code":"STOPPED"}}]})";
const std::string plain =
    R"({"dsl":1,"name":"t.plain","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
  "steps":[{"name":"c","saga":{"name":"t.child","input":{}},"compensation":"none"}]})";
const std::string child =
    R"({"dsl":1,"name":"t.child","version":1,"services":{"s":{"baseUrl":"https://s.example"}},
  "steps":[{"name":"a","action":{"service":"s","http":"PUT /a"},"compensation":{"http":"DELETE /a"}}]})";

/// A database that knows what was registered, and nothing else.
struct World {
  World() : node(nodes.add("node")) {
    for (const auto& definition : {child, plain, keyed}) nodes.define(node, definition);
  }
  /// @return what its first action was sent as: key and target
  std::string start(const std::string& definition, const std::string& input, std::string key) {
    const std::size_t before = nodes.sent.size();
    const auto reply = nodes.start(node, definition, Json::parse(input), std::move(key));
    REQUIRE(reply);
    REQUIRE(nodes.await_end(node, reply->id, 1min));
    REQUIRE(nodes.sent.size() > before);
    return nodes.sent[before].request.key + " " + nodes.sent[before].request.target;
  }

  Nodes nodes;
  TestNode& node;
};

}  // namespace

TEST_CASE("a start that is repeated after it was lost makes the calls of the lost one") {
  struct Case {
    const char* definition;
    const char* input;
    const char* key;
  };
  for (const Case& c :
       {Case{"t.keyed", R"({"order":"o-1"})", ""}, Case{"t.keyed", R"({"order":"o-1"})", "k-1"},
        Case{"t.plain", "{}", "k-1"}}) {
    CAPTURE(c.definition);
    World lost;
    World restored;
    // Other starts come between, so that neither ids nor chance are the same.
    restored.start("t.plain", "{}", "k-0");
    CHECK(lost.start(c.definition, c.input, c.key) == restored.start(c.definition, c.input, c.key));
  }
}

TEST_CASE("a start without a key is known by its id alone") {
  World one;
  World other;
  other.start("t.plain", "{}", "k-0");
  CHECK(one.start("t.plain", "{}", "") != other.start("t.plain", "{}", ""));
}

TEST_CASE("a business key that is used again after its saga failed makes other calls, each time") {
  const std::string fails = R"({"order":"o-1","fails":true})";
  World lost;
  const std::string first = lost.start("t.keyed", fails, "k-1");
  const std::string second = lost.start("t.keyed", fails, "k-2");
  const std::string third = lost.start("t.keyed", R"({"order":"o-1"})", "k-3");
  CHECK(first != second);
  CHECK(second != third);
  CHECK(first != third);

  // The third one was lost, and is repeated.
  World restored;
  restored.start("t.keyed", fails, "k-1");
  restored.start("t.keyed", fails, "k-2");
  CHECK(restored.start("t.keyed", R"({"order":"o-1"})", "k-3") == third);
}
