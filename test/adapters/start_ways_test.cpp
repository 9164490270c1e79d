// A start means the same in C++, by REST, in a batch and by SQL: the same requests by every way,
// against a model of what docs/errors.md says under "Sending again".
#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/base/json_text.hpp>
#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/system/random.hpp>

#include "../../adapters/rest/starts.hpp"
#include "../support/callers.hpp"
#include "../support/dice.hpp"
#include "../support/virtual_world.hpp"
#include "postgres_fixture.hpp"

namespace backstitch::test {
namespace {

using namespace engine;

enum class Way { cpp, rest, batch, sql };
constexpr Way ways[] = {Way::cpp, Way::rest, Way::batch, Way::sql};
std::string name_of(Way way) {
  switch (way) {
    case Way::cpp:
      return "C++";
    case Way::rest:
      return "REST";
    case Way::batch:
      return "a batch";
    case Way::sql:
      break;
  }
  return "SQL";
}

/// Version 2 fills something in, version 3 asks for more. Sagas with a negative `x` fail.
std::string definition(const std::string& name, int version, const std::string& extra = "") {
  const std::string members[] = {"", R"(,"y":{"default":5})", R"(,"y":{"default":5},"z":{})"};
  return R"({"dsl":1,"name":")" + name + R"(","version":)" + std::to_string(version) + extra +
         R"(,"input":{"type":"object","required":["x")" + (version == 3 ? R"(,"z")" : "") +
         R"(],"properties":{"x":{"type":"integer"})" + members[version - 1] +
         R"(}},"steps":[{"name":"v","value":1},
           {"name":"f","when":"${input.x < 0}","fail":{"code":"NEGATIVE"}}]})";
}
constexpr const char* reuse = R"(,"businessKeyReuse":"afterFailed")";
constexpr const char* computed = R"(,"businessKey":"${'c' + string(input.x)}")";

class NobodyToCall : public Participants {
 public:
  void call(Call, std::function<void(CallResult)>) override { FAIL("there is nobody to call"); }
};

struct Asked {
  std::string definition;
  std::optional<std::int64_t> version;
  Json input;
  std::optional<std::string> business_key;
  std::optional<std::string> idempotency_key;
};

/// What came of it: the saga, or the code.
struct Answer {
  std::string saga;
  bool created = false;
  std::string code;
};

class World {
 public:
  World()
      : engine_({.reactors = {{&reactor_, &nobody_}},
                 .store = &store(),
                 .leases = &store(),
                 .inbox = &store(),
                 .reader = &store(),
                 .catalog = &store(),
                 .random = &random_,
                 .observer = &observer_},
                Options{}),
        thread_([this] { reactor_.run(); }),
        sql_(fixture_.url()) {
    const auto opened = await<Result<Done>>([&](auto done) { engine_.open(done); });
    REQUIRE_MESSAGE(opened, why(opened));
    for (int version = 1; version <= 3; ++version) {
      add(definition("t.plain", version));
      add(definition("t.again", version, reuse));
      add(definition("t.computed", version, computed));
    }
  }
  ~World() {
    std::promise<void> closed;
    engine_.close([&] { closed.set_value(); });
    closed.get_future().wait();
    reactor_.stop();
    thread_.join();
  }

  void activate(const std::string& name, std::int64_t version) {
    const auto done =
        await<Result<Done>>([&](auto told) { engine_.registry().activate(name, version, told); });
    REQUIRE_MESSAGE(done, why(done));
  }

  /// Another start by SQL may have to be taken up first.
  Answer start(Way way, const Asked& asked) {
    Answer answer;
    wait_until([&] {
      answer = start_once(way, asked);
      return answer.code != "start-pending";
    });
    return answer;
  }

  const std::string& url() const { return fixture_.url(); }
  Counters counters() const { return engine_.counters(); }
  Result<StartReply> start_once(const StartRequest& request) {
    return await<Result<StartReply>>([&](auto done) { engine_.start(0, request, done); });
  }

  /// How the saga ended, and with which failure.
  std::pair<std::string, std::string> end_of(const std::string& saga) {
    std::pair<std::string, std::string> end;
    wait_until([&] {
      const auto view = await<Result<Json>>([&](auto done) {
        engine_.await_end(SagaId::parse(saga).value(), Duration{5'000}, done);
      });
      if (!view) return false;
      end = {view->at("status"),
             view->at("failure").is_null() ? "" : view->at("failure").at("code")};
      return end.first == "COMPLETED" || end.first == "FAILED";
    });
    return end;
  }

 private:
  template <class T>
  static T await(const auto& run) {
    std::promise<T> promise;
    run([&](T value) { promise.set_value(std::move(value)); });
    return promise.get_future().get();
  }
  postgres::PostgresStore& store() { return fixture_.store(); }

  void add(const std::string& text) {
    const auto done = await<Result<Registration>>([&](auto told) {
      engine_.registry().register_definition(text, text.find("\"version\":1,") != text.npos, told);
    });
    REQUIRE_MESSAGE(done, why(done));
    REQUIRE_MESSAGE(done->hash != "", Json(text));
  }

  Answer start_once(Way way, const Asked& asked) {
    switch (way) {
      case Way::cpp:
        return start_in_cpp(asked);
      case Way::rest:
        return start_by_rest(asked);
      case Way::batch:
        return start_in_batch(asked);
      case Way::sql:
        break;
    }
    return start_by_sql(asked);
  }

  Answer start_in_cpp(const Asked& asked) {
    const StartRequest request{
        asked.definition,     asked.version, asked.input, asked.business_key, {},
        asked.idempotency_key};
    const auto reply =
        await<Result<StartReply>>([&](auto done) { engine_.start(0, request, done); });
    if (!reply) return {"", false, reply.error().reason};
    return {reply->id.text(), reply->created, ""};
  }

  static Json body_of(const Asked& asked) {
    Json body{{"definition", asked.definition}, {"input", asked.input}};
    if (asked.version) body["version"] = *asked.version;
    if (asked.business_key) body["businessKey"] = *asked.business_key;
    return body;
  }

  Answer start_by_rest(const Asked& asked) {
    rest::Request request;
    request.body = json_text(body_of(asked));
    request.has_idempotency_key = asked.idempotency_key.has_value();
    request.idempotency_key = asked.idempotency_key.value_or("");
    const auto reply = await<rest::Reply>(
        [&](auto done) { rest::start_saga(engine_, rest_options_, std::move(request), done); });
    const Json body = Json::parse(reply.body);
    if (reply.status >= 400) return {"", false, body.at("code")};
    const bool replayed = std::find(reply.headers.begin(), reply.headers.end(),
                                    std::pair<std::string, std::string>{
                                        "Idempotent-Replayed", "true"}) != reply.headers.end();
    CHECK(replayed == (reply.status == 200));
    return {body.at("id"), reply.status == 201, ""};
  }

  Answer start_in_batch(const Asked& asked) {
    rest::Request request;
    Json one = body_of(asked);
    if (asked.idempotency_key) one["idempotencyKey"] = *asked.idempotency_key;
    request.body = json_text(Json{{"sagas", Json::array({one})}});
    const auto reply = await<rest::Reply>(
        [&](auto done) { rest::start_batch(engine_, rest_options_, std::move(request), done); });
    const Json result = Json::parse(reply.body).at("results").at(0);
    if (result.contains("code")) return {"", false, result.at("code")};
    return {result.at("id"), result.at("status") == 201, ""};
  }

  Answer start_by_sql(const Asked& asked) {
    try {
      pqxx::nontransaction tx(sql_);
      const pqxx::result row = tx.exec_params(
          "select backstitch.start_saga($1, $2::jsonb, business_key => $3, version => $4,"
          " idempotency_key => $5)",
          asked.definition, json_text(asked.input), asked.business_key, asked.version,
          asked.idempotency_key);
      const std::string saga = row[0][0].as<std::string>();
      return {saga, started_.insert(saga).second, ""};
    } catch (const pqxx::sql_error& error) {
      const std::string what = error.what();
      if (what.find("not been taken up") != std::string::npos) return {"", false, "start-pending"};
      if (error.sqlstate() == "BS404") return {"", false, "definition-not-found"};
      REQUIRE_MESSAGE(error.sqlstate() == "BS409", what);
      const bool by_key = what.find("the idempotency key") != std::string::npos;
      return {"", false, by_key ? "idempotency-key-reused" : "business-key-reused"};
    }
  }

  PostgresFixture fixture_;
  asio::Reactor reactor_;
  NobodyToCall nobody_;
  system::SystemRandom random_;
  RecordingObserver observer_;
  Engine engine_;
  std::thread thread_;
  pqxx::connection sql_;
  rest::Options rest_options_;

 public:
  std::set<std::string> started_;  ///< every saga that any way has given
};

/// What should come of it.
class Model {
 public:
  std::map<std::string, std::int64_t> active{{"t.plain", 1}, {"t.again", 1}, {"t.computed", 1}};

  struct Saga {
    std::string id;
    Asked asked;
    std::int64_t version = 1;
    bool failed = false;
  };

  /// The saga that is known, or the code; nothing: a new one.
  struct Expected {
    std::shared_ptr<Saga> known;
    std::string code;
    bool fails_by_input = false;  ///< by SQL, which cannot look at the schema
  };

  Expected expect(Way way, const Asked& asked) {
    if (asked.idempotency_key) {
      if (const auto known = keys_.find(*asked.idempotency_key); known != keys_.end())
        return repeated(known->second, asked, "idempotency-key-reused");
    }
    const std::int64_t version = asked.version.value_or(active.at(asked.definition));
    const bool has_version = version <= 3;
    const bool valid = has_version && (version < 3 || asked.input.contains("z"));
    const auto key = business_key_of(asked, valid);
    if (const auto known = business_.find(key); key.second != "" && known != business_.end()) {
      const bool again = has_version && asked.definition == "t.again" && asked.idempotency_key &&
                         known->second->failed;
      const auto result = repeated(known->second, asked, "business-key-reused");
      if (!again && result.known && asked.idempotency_key)
        keys_[*asked.idempotency_key] = known->second;
      if (!again) return result;
    }
    if (!has_version) return {nullptr, "definition-not-found"};
    if (!valid && way != Way::sql) return {nullptr, "INPUT_INVALID"};
    return {nullptr, "", !valid};
  }

  void started(const std::string& id, const Asked& asked, bool fails_by_input) {
    const std::int64_t version = asked.version.value_or(active.at(asked.definition));
    const bool failed = fails_by_input || asked.input.at("x") < 0;
    auto saga = std::make_shared<Saga>(Saga{id, asked, version, failed});
    if (asked.idempotency_key) keys_[*asked.idempotency_key] = saga;
    const auto key = business_key_of(asked, !fails_by_input);
    // What cannot be kept gives its business key back.
    if (key.second != "" && fails_by_input) business_.erase(key);
    if (key.second != "" && !fails_by_input) business_[key] = saga;
  }

 private:
  using Key = std::pair<std::string, std::string>;
  static Key business_key_of(const Asked& asked, bool valid) {
    if (asked.business_key) return {asked.definition, *asked.business_key};
    if (asked.definition != "t.computed" || !valid) return {asked.definition, ""};
    return {asked.definition, "c" + std::to_string(asked.input.at("x").get<int>())};
  }

  static Expected repeated(const std::shared_ptr<Saga>& saga, const Asked& asked,
                           const char* otherwise) {
    const bool same = saga->asked.definition == asked.definition &&
                      saga->asked.input == asked.input &&
                      asked.version.value_or(saga->version) == saga->version;
    return same ? Expected{saga, ""} : Expected{nullptr, otherwise};
  }

  std::map<std::string, std::shared_ptr<Saga>> keys_;
  std::map<Key, std::shared_ptr<Saga>> business_;
};

Asked some_start(Dice& dice, const std::string& prefix) {
  Asked asked;
  asked.definition = dice.pick({"t.plain", "t.again", "t.again", "t.computed"});
  if (dice.chance(25)) asked.version = static_cast<std::int64_t>(dice.between(1, 4));
  asked.input = dice.pick({Json{{"x", 1}}, Json{{"x", -1}}, Json{{"x", -1}, {"y", 5}},
                           Json{{"x", 2}, {"z", 1.5}}, Json{{"x", -1}, {"z", 0}}});
  // What a definition computes SQL cannot know.
  if (asked.definition != "t.computed" && dice.chance(60))
    asked.business_key = prefix + dice.pick({"b1", "b2"});
  if (dice.chance(70)) asked.idempotency_key = prefix + dice.pick({"k1", "k2", "k3", "k4"});
  // Unique among the sequences, so that computed keys do not meet.
  if (asked.definition == "t.computed") {
    const int x = asked.input["x"].get<int>();
    asked.input["x"] = (x < 0 ? -10 : 10) * std::stoi(prefix) + x;
  }
  return asked;
}

TEST_CASE("the same starts mean the same by every way") {
  World world;
  for (std::size_t seed = 1; seed <= 120; ++seed) {
    CAPTURE(seed);
    Dice dice(seed);
    Model model;
    for (const auto& [name, version] : model.active) world.activate(name, version);
    for (int i = 0; i < 14; ++i) {
      CAPTURE(i);
      if (dice.chance(15)) {
        const std::string name = dice.pick({"t.plain", "t.again", "t.computed"});
        model.active[name] = static_cast<std::int64_t>(dice.between(1, 3));
        world.activate(name, model.active[name]);
      }
      const Asked asked = some_start(dice, std::to_string(seed));
      Way way = dice.pick({Way::cpp, Way::rest, Way::batch, Way::sql});
      if (way == Way::sql && asked.definition == "t.computed") way = Way::cpp;
      const std::string request =
          Json{asked.definition, asked.version.value_or(0), asked.input,
               asked.business_key.value_or("-"), asked.idempotency_key.value_or("-")}
              .dump();
      CAPTURE(request);
      CAPTURE(name_of(way));
      const auto expected = model.expect(way, asked);
      const Answer answer = world.start(way, asked);
      REQUIRE(answer.code == expected.code);
      if (expected.code != "") continue;
      CHECK(answer.created == (expected.known == nullptr));
      if (expected.known) {
        REQUIRE(answer.saga == expected.known->id);
        continue;
      }
      world.started_.insert(answer.saga);
      model.started(answer.saga, asked, expected.fails_by_input);
      const auto [status, failure] = world.end_of(answer.saga);
      CHECK(status ==
            (expected.fails_by_input || asked.input.at("x") < 0 ? "FAILED" : "COMPLETED"));
      if (expected.fails_by_input) CHECK(failure == "INPUT_INVALID");
    }
  }
}

TEST_CASE("a thousand keys that an open transaction holds delay no start but those under them") {
  constexpr std::size_t held_count = 1'000;
  World world;
  const auto request = [](std::string key) {
    StartRequest start{.definition = "t.plain", .input = {{"x", 1}}};
    if (!key.empty()) start.business_key = std::move(key);
    return start;
  };
  const auto free_start = [&](const std::string& key) {
    const auto reply = world.start_once(request(key));
    CHECK_MESSAGE(reply, why(reply));
  };
  Callers without_key(2, [&](std::size_t) { free_start(""); });
  Callers with_free_key(2, [&](std::size_t i) { free_start("free-" + std::to_string(i)); });
  wait_until([&] { return without_key.count() >= 300 && with_free_key.count() >= 300; });
  const Duration before = p99(without_key.take());
  const Duration keyed_before = p99(with_free_key.take());

  pqxx::connection connection(world.url());
  pqxx::work holder(connection);
  holder.exec(
      "select count(backstitch.start_saga('t.plain', '{\"x\": 1}', business_key => 'held-' || i))"
      " from generate_series(1, " +
      std::to_string(held_count) + ") i");
  without_key.take();
  with_free_key.take();
  {
    // Each of them waits for its answer, so at most so many wait in the lane at a time.
    std::atomic<std::size_t> pending{0};
    Callers with_held_key(64, [&](std::size_t i) {
      const auto reply = world.start_once(request("held-" + std::to_string(i % held_count + 1)));
      if (!reply && reply.error().reason == "start-pending") ++pending;
    });
    wait_until([&] { return pending >= 3 * held_count; }, std::chrono::seconds(60));
  }
  const std::vector<Duration> during = without_key.take();
  const std::vector<Duration> keyed_during = with_free_key.take();
  MESSAGE("without key: p99 " << before.count() << " ms before, " << p99(during).count()
                              << " ms during, worst " << during.back().count() << " ms of "
                              << during.size());
  MESSAGE("with a free key: p99 " << keyed_before.count() << " ms before, "
                                  << p99(keyed_during).count() << " ms during, worst "
                                  << keyed_during.back().count() << " ms of "
                                  << keyed_during.size());
  CHECK(p99(during) <= 3 * before + Duration{100});
  CHECK(p99(keyed_during) <= Duration{1'000});
  CHECK(world.counters().starts_blocked >= 3 * held_count);
  holder.commit();
  // Their sagas are taken up, and a repetition is answered with them.
  wait_until([&] {
    const auto reply = world.start_once(request("held-7"));
    return reply && !reply->created;
  });
}

TEST_CASE("the third argument of start_saga is the business key, whatever text it is") {
  PostgresFixture fixture;
  pqxx::connection sql(fixture.url());
  query(sql,
        "insert into backstitch.definition (name, version, revision, active, hash, document, "
        "findings,"
        " registered_at) values ('t.d', 1, 1, true, 'h', '{}', '[]', now())");
  for (const char* type : {"text", "varchar", "varchar(20)", "char(9)", "name"}) {
    CAPTURE(type);
    query(sql, "delete from backstitch.saga_key");
    query(sql, std::string("select backstitch.start_saga('t.d', '{}', 'o-17'::") + type + ")");
    CHECK(query(sql, "select scope from backstitch.saga_key")[0][0].as<std::string>() ==
          "business:t.d");
  }
}

TEST_CASE("a request that is repeated by any way is the saga that it started by another") {
  World world;
  int number = 0;
  for (const Way first : ways) {
    for (const Way second : ways) {
      CAPTURE(name_of(first));
      CAPTURE(name_of(second));
      const std::string key = "pair-" + std::to_string(++number);
      for (const bool business : {false, true}) {
        CAPTURE(business);
        Asked asked{"t.plain", std::nullopt, Json{{"x", 1}, {"extra", {1.0, 0.1, 1e23}}}, {}, {}};
        (business ? asked.business_key : asked.idempotency_key) = key;
        world.activate("t.plain", 1);
        const Answer started = world.start(first, asked);
        REQUIRE(started.code == "");
        world.started_.insert(started.saga);
        // Its schema would refuse the input now.
        world.activate("t.plain", 3);
        const Answer repeated = world.start(second, asked);
        CHECK(repeated.code == "");
        CHECK(repeated.saga == started.saga);
        CHECK_FALSE(repeated.created);
        asked.input["x"] = 2;
        CHECK(world.start(second, asked).code ==
              (business ? "business-key-reused" : "idempotency-key-reused"));
        world.end_of(started.saga);
      }
    }
  }
}

}  // namespace
}  // namespace backstitch::test
