// The examples of docs/participant-contract.md: they keep the contract, and the page shows them.
#include <fstream>
#include <functional>
#include <iterator>

#include <nlohmann/json.hpp>

#include "guarded_database.hpp"
#include "reservations.hpp"

using namespace backstitch::test;
using nlohmann::json;

namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(BACKSTITCH_ROOT "/" + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The same service twice: once as SQL functions, once in C++.
struct Service {
  std::function<shop::Answer(const std::string& key, const std::string& sku, int quantity)> reserve;
  std::function<shop::Answer(const std::string& key)> release;
};

Service in_sql(pqxx::connection& database) {
  const auto answer = [](const pqxx::result& rows) {
    return shop::Answer::from_text(rows[0][0].c_str());
  };
  return {[&database, answer](const auto& key, const auto& sku, int quantity) {
            pqxx::work tx(database);
            const auto rows = tx.exec_params("select shop.reserve($1, $2, $3)", key, sku, quantity);
            tx.commit();
            return answer(rows);
          },
          [&database, answer](const auto& key) {
            pqxx::work tx(database);
            const auto rows = tx.exec_params("select shop.release($1)", key);
            tx.commit();
            return answer(rows);
          }};
}

Service in_cpp(pqxx::connection& database) {
  return {[&database](const auto& key, const auto& sku, int quantity) {
            return shop::reserve(database, key, sku, quantity);
          },
          [&database](const auto& key) { return shop::release(database, key); }};
}

}  // namespace

TEST_CASE("the example services keep the contract") {
  pqxx::connection database(guarded_database());
  query(database, read_file("examples/guard/reservations.sql"));
  query(database, "insert into shop.stock values ('needle', 10)");
  Service service;
  SUBCASE("in SQL") {
    service = in_sql(database);
  }
  SUBCASE("in C++") {
    service = in_cpp(database);
  }
  const auto left = [&] {
    return query(database, "select available from shop.stock")[0][0].as<int>();
  };

  const auto first = service.reserve("one", "needle", 4);
  CHECK(first.status == 200);
  CHECK(first.body == json{{"sku", "needle"}, {"reserved", 4}});
  CHECK(left() == 6);
  CHECK(service.reserve("one", "needle", 4).to_text() == first.to_text());
  CHECK(left() == 6);

  // Refused by a rule: for good, also when there would be enough later; its undo finds nothing.
  const auto too_much = service.reserve("two", "needle", 7);
  CHECK(too_much.status == 409);
  CHECK(too_much.body.at("code") == "OUT_OF_STOCK");
  CHECK(service.release("one").status == 200);
  CHECK(left() == 10);
  CHECK(service.reserve("two", "needle", 7).to_text() == too_much.to_text());
  CHECK(service.release("two").status == 200);
  CHECK(service.release("one").status == 200);
  CHECK(left() == 10);

  // The undo that comes first wins.
  CHECK(service.release("three").status == 200);
  CHECK(service.reserve("three", "needle", 1).status == 409);
  CHECK(service.reserve("one", "needle", 4).status == 409);
  CHECK(left() == 10);
}

TEST_CASE("the page shows the examples as they are") {
  const std::string page = read_file("docs/participant-contract.md");
  const std::string sql = read_file("examples/guard/reservations.sql");
  const std::string cpp = read_file("examples/guard/reservations.hpp");
  const auto from = [](const std::string& text, const std::string& mark) {
    const auto at = text.find(mark);
    REQUIRE(at != std::string::npos);
    return text.substr(at);
  };
  CHECK(page.find("```sql\n" + from(sql, "-- `p_key`: the header Idempotency-Key.") + "```") !=
        std::string::npos);
  CHECK(page.find("```cpp\n" + from(cpp, "/// PUT /reservations") + "```") != std::string::npos);
}
