#pragma once
#include <chrono>
#include <functional>
#include <map>
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

/// The server of all tests that do not kill it; each test has a database of its own. It does not
/// wait for the disk: no test turns the machine off.
inline PrivatePostgres& server() {
  static PrivatePostgres instance(unsynced);
  return instance;
}

/// The server of tests that kill it or its processes. It has production's settings and few
/// databases, so that a restart recovers little.
inline PrivatePostgres& durable_server() {
  static PrivatePostgres instance;
  return instance;
}

/// A new database, migrated: a copy of a template, which is faster than to migrate each. A test
/// uses one, so the one before is dropped: young files are removed before they reach the disk.
inline std::string migrated_database(PrivatePostgres& postgres = server()) {
  static int number = 0;
  static std::map<PrivatePostgres*, std::string> current;
  const auto [before, first] = current.try_emplace(&postgres);
  if (first) {
    const auto steps = postgres::migrate(postgres.create_database("original"), false);
    REQUIRE_MESSAGE(steps, why(steps));
  } else {
    postgres.drop_database(before->second);
  }
  before->second = "test_" + std::to_string(++number);
  return postgres.create_database(before->second, "original");
}

/// For a store on any of these servers.
inline postgres::Options store_options(std::string url, std::string node = "backstitch",
                                       std::size_t lanes = 1, std::size_t readers = 1) {
  return {std::move(url), lanes, readers, std::move(node), {"fsync"}};
}

/// How long a restart may take on a slow disk under load.
constexpr std::chrono::milliseconds restart_time_max = std::chrono::minutes(3);

/// Polls for a change outside of this process. By default it gives up before a statement timeout
/// would make the condition true.
inline void wait_until(const std::function<bool()>& condition,
                       std::chrono::milliseconds time_max = std::chrono::seconds(15)) {
  for (auto polls = time_max.count(); polls > 0; --polls) {
    if (condition()) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // poll
  }
  throw std::runtime_error("the condition did not become true");
}

inline pqxx::result query(pqxx::connection& connection, const std::string& sql) {
  pqxx::nontransaction tx(connection);
  return tx.exec(sql);
}
inline pqxx::result query(const std::string& url, const std::string& sql) {
  pqxx::connection connection(url);
  return query(connection, sql);
}

/// Server processes of the first node that wait for a lock.
inline pqxx::result blocked(pqxx::connection& observer) {
  return query(observer,
               "select pid from pg_stat_activity where datname = current_database()"
               " and application_name like '% one' and wait_event_type = 'Lock'");
}

inline void wait_until_blocked(const std::string& url) {
  pqxx::connection observer(url);
  wait_until([&] { return !blocked(observer).empty(); });
}

/// Two nodes on one database. The second connects when it is first asked for.
class PostgresFixture final : public StoreFixture {
 public:
  explicit PostgresFixture(const std::string& url = migrated_database(), std::size_t lanes = 1)
      : url_(url), one_(store_options(url, "one", lanes)), two_(store_options(url, "two")) {
    open(one_);
  }
  Ports node() override { return {one_, one_, one_, one_, one_}; }
  Ports other() override {
    if (!is_two_open_) open(two_);
    is_two_open_ = true;
    return {two_, two_, two_, two_, two_};
  }
  void set_sessions_of_node(bool exist) override {
    if (exist) return;
    one_.close();
    pqxx::connection observer(url_);
    wait_until([&] {
      return query(observer,
                   "select 1 from pg_stat_activity where datname = current_database()"
                   " and application_name like '% one'")
          .empty();
    });
  }
  const std::string& url() const { return url_; }
  postgres::PostgresStore& store() { return one_; }

 private:
  static void open(postgres::PostgresStore& store) {
    const Result<Done> opened = store.open();
    REQUIRE_MESSAGE(opened, why(opened));
  }

  std::string url_;
  postgres::PostgresStore one_;
  postgres::PostgresStore two_;
  bool is_two_open_ = false;
};

}  // namespace backstitch::test
