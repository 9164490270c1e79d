#pragma once
#include <string>

#include <doctest/doctest.h>
#include <backstitch/migrations/migrations.hpp>
#include <backstitch/participant/guard.hpp>
#include <pqxx/pqxx>

#include "../support/private_postgres.hpp"

namespace backstitch::test {

/// One server for all tests of the program. It does not wait for the disk: none of them is about
/// durability.
inline PrivatePostgres& server() {
  static PrivatePostgres instance(unsynced);
  return instance;
}

inline pqxx::result query(pqxx::connection& connection, const std::string& sql) {
  pqxx::nontransaction tx(connection);
  return tx.exec(sql);
}

/// A participant's own database: empty but for what `backstitch guard-sql` prints. @return its url
inline std::string guarded_database() {
  static int number = 0;
  const std::string name = "guarded_" + std::to_string(++number);
  const std::string url = server().create_database(name);
  pqxx::connection connection(url);
  query(connection, migrations::guard_script());
  return url;
}

}  // namespace backstitch::test
