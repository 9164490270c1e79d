#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <backstitch/postgres/migrator.hpp>
#include <backstitch/postgres/store.hpp>
#include <pqxx/pqxx>

#include "../support/private_postgres.hpp"
#include "../support/store_contract.hpp"

namespace backstitch::test {

/// For a failure's message; doctest may ask for it on success too.
template <class T>
std::string why(const Result<T>& result) {
  return result ? std::string() : result.error().message;
}

/// One server for all tests of the program; each test has a database of its own.
inline PrivatePostgres& server() {
  static PrivatePostgres instance;
  return instance;
}

/// A new database, migrated. Copies a template, which is faster than to migrate each.
inline std::string migrated_database() {
  static int number = 0;
  static const std::string original = [] {
    const auto steps = postgres::migrate(server().create_database("original"), false);
    REQUIRE_MESSAGE(steps, why(steps));
    return std::string("original");
  }();
  return server().create_database("test_" + std::to_string(++number), original);
}

/// For what happens outside of this process and tells nobody. Gives up before statement timeouts
/// help.
inline void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 15'000; ++i) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // poll
  }
  throw std::runtime_error("waited in vain");
}

inline pqxx::result query(pqxx::connection& connection, const std::string& sql) {
  pqxx::nontransaction tx(connection);
  return tx.exec(sql);
}
inline pqxx::result query(const std::string& url, const std::string& sql) {
  pqxx::connection connection(url);
  return query(connection, sql);
}

/// Two nodes on one database.
class PostgresFixture final : public StoreFixture {
 public:
  explicit PostgresFixture(const std::string& url = migrated_database(), std::size_t lanes = 1)
      : url_(url), one_({url, lanes, 1, "one"}), two_({url, 1, 1, "two"}) {
    for (postgres::PostgresStore* store : {&one_, &two_}) {
      const Result<Done> opened = store->open();
      REQUIRE_MESSAGE(opened, why(opened));
    }
  }
  Ports node() override { return {one_, one_, one_, one_, one_}; }
  Ports other() override { return {two_, two_, two_, two_, two_}; }
  const std::string& url() const { return url_; }
  postgres::PostgresStore& store() { return one_; }

 private:
  std::string url_;
  postgres::PostgresStore one_;
  postgres::PostgresStore two_;
};

}  // namespace backstitch::test
