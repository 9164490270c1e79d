#include "failure.hpp"

#include <string_view>

#include <pqxx/pqxx>

namespace backstitch::postgres {
namespace {

FailureKind kind_of(std::string_view sqlstate) {
  const std::string_view group = sqlstate.substr(0, 2);
  if (sqlstate.size() != 5 || group == "08" || sqlstate.starts_with("57P"))
    return FailureKind::lost;
  // Serialisation, deadlock, unique key, lock not available, statement timeout.
  for (const std::string_view code : {"40001", "40P01", "23505", "55P03", "57014"}) {
    if (sqlstate == code) return FailureKind::retry;
  }
  // Data, constraints, and sizes that no index or type can hold.
  if (group == "22" || group == "23" || group == "54") return FailureKind::content;
  return FailureKind::environment;
}

Failure known(bool connection_open, FailureKind kind, std::string sqlstate, std::string message) {
  // A FATAL error carries a state and ends the connection; whether a commit came first is not said.
  if (!connection_open) kind = FailureKind::lost;
  return {kind, std::move(sqlstate), std::move(message)};
}

}  // namespace

Failure current_failure(bool connection_open) {
  // The order matters: in libpqxx 6.4 statement_completion_unknown is a transaction_rollback.
  try {
    throw;
  } catch (const pqxx::in_doubt_error& e) {
    return {FailureKind::lost, {}, e.what()};
  } catch (const pqxx::statement_completion_unknown& e) {
    return {FailureKind::lost, {}, e.what()};
  } catch (const pqxx::serialization_failure& e) {
    return known(connection_open, FailureKind::retry, "40001", e.what());
  } catch (const pqxx::deadlock_detected& e) {
    return known(connection_open, FailureKind::retry, "40P01", e.what());
  } catch (const pqxx::transaction_rollback& e) {
    return known(connection_open, FailureKind::retry, "40000", e.what());
  } catch (const pqxx::broken_connection& e) {
    return {FailureKind::lost, {}, e.what()};
  } catch (const pqxx::sql_error& e) {
    return known(connection_open, kind_of(e.sqlstate()), e.sqlstate(), e.what());
  } catch (const std::exception& e) {
    return {FailureKind::lost, {}, e.what()};
  }
}

Error to_error(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::lost:
      return {ErrorCode::unavailable, "store-unavailable",
              "the database cannot be reached; try again: " + failure.message};
    case FailureKind::retry:
      return {ErrorCode::unavailable, "store-timeout",
              "the database did not answer in time; try again: " + failure.message};
    case FailureKind::content:
      return {ErrorCode::invalid, "store-refused",
              "the database cannot hold or compare this value: " + failure.message};
    case FailureKind::environment:
      return {ErrorCode::unavailable, "store-failed",
              "the database refused the statement; an operator has to look: " + failure.message};
  }
  return {};
}

}  // namespace backstitch::postgres
