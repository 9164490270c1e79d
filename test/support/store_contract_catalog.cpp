#include <doctest/doctest.h>

#include "store_contract.hpp"

namespace backstitch::test {

using namespace engine;

namespace {

CatalogContent changes(StoreFixture& fixture, std::int64_t revision) {
  auto content = await<Result<CatalogContent>>(
      fixture, [&](auto done) { fixture.node().catalog.changes(revision, done); });
  REQUIRE(content);
  return *content;
}

PutOutcome put(StoreFixture& fixture, StoredDefinition definition, bool activate = false) {
  auto outcome = await<Result<PutOutcome>>(fixture, [&](auto done) {
    fixture.node().catalog.put_definition(definition, activate, done);
  });
  REQUIRE(outcome);
  return *outcome;
}

}  // namespace

void catalog_contract(StoreFixture& f) {
  const StoredDefinition one{"orders.place",
                             1,
                             "h1",
                             R"({"b":1,"a":[1.50]})",
                             R"([{"code":"W1"}])",
                             R"({"sub":{"version":2,"kind":"readonly"}})"};
  StoredDefinition two = one;
  two.version = 2;
  two.hash = "h2";
  StoredDefinition changed = one;
  changed.hash = "other";
  const auto active = [&](std::int64_t version) {
    for (const StoredDefinition& definition : changes(f, 0).definitions) {
      if (definition.version == version) return definition.active;
    }
    return false;
  };

  CHECK(put(f, one) == PutOutcome::created);
  CHECK(put(f, one) == PutOutcome::same);
  CHECK(put(f, changed) == PutOutcome::conflict);
  CHECK(active(1));
  const CatalogContent first = changes(f, 0);
  REQUIRE(first.definitions.size() == 1);
  CHECK(first.definitions[0].document == one.document);
  CHECK(first.definitions[0].hash == "h1");
  CHECK(Json::parse(first.definitions[0].findings) == Json::parse(one.findings));
  CHECK(Json::parse(first.definitions[0].pins) == Json::parse(one.pins));
  CHECK(first.definitions[0].registered_at > TimePoint{});
  CHECK(changes(f, first.revision).definitions.empty());
  CHECK(changes(f, first.revision).revision >= first.revision);

  SUBCASE("a later version becomes active only when asked to") {
    CHECK(put(f, two) == PutOutcome::created);
    CHECK(active(1));
    CHECK_FALSE(active(2));
    CHECK(changes(f, first.revision).definitions.size() == 1);
    const std::int64_t before = changes(f, 0).revision;
    REQUIRE(await<Result<Done>>(
        f, [&](auto done) { f.node().catalog.activate("orders.place", 2, done); }));
    CHECK(active(2));
    CHECK_FALSE(active(1));
    CHECK(changes(f, before).definitions.size() == 2);
  }
  SUBCASE("a later version can be registered and activated at once, also when it was known") {
    CHECK(put(f, two, true) == PutOutcome::created);
    CHECK(active(2));
    CHECK_FALSE(active(1));
    CHECK(put(f, one, true) == PutOutcome::same);
    CHECK(active(1));
    CHECK_FALSE(active(2));
  }
  SUBCASE("an unknown version cannot be activated") {
    const auto missing = await<Result<Done>>(
        f, [&](auto done) { f.node().catalog.activate("orders.place", 7, done); });
    REQUIRE_FALSE(missing);
    CHECK(missing.error().reason == "definition-not-found");
  }
  SUBCASE("services are put, repeated and replaced") {
    const auto put_service = [&](std::string document) {
      auto outcome = await<Result<PutOutcome>>(f, [&](auto done) {
        f.node().catalog.put_service({"inventory", document}, done);
      });
      REQUIRE(outcome);
      return *outcome;
    };
    CHECK(put_service(R"({"url":"http://a"})") == PutOutcome::created);
    CHECK(put_service(R"({"url":"http://a"})") == PutOutcome::same);
    const std::int64_t before = changes(f, 0).revision;
    CHECK(put_service(R"({"url":"http://b"})") == PutOutcome::created);
    const CatalogContent content = changes(f, before);
    CHECK(content.definitions.empty());
    REQUIRE(content.services.size() == 1);
    CHECK(content.services[0].document == R"({"url":"http://b"})");
  }
}

}  // namespace backstitch::test
