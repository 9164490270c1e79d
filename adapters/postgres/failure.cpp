#include "failure.hpp"

#include <string_view>

#include <backstitch/postgres/passwords.hpp>
#include <pqxx/pqxx>

#include "condition.hpp"

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
  // Read-only transaction: another host may take writes. Prepared statement: not the session that
  // was opened, or its plan is of another schema.
  for (const std::string_view code : {"25006", "26000", "0A000"}) {
    if (sqlstate == code) return FailureKind::elsewhere;
  }
  return FailureKind::environment;
}

/// libpqxx 6.4 knows these by their types, and gives them no SQLSTATE.
std::string state_of(const pqxx::sql_error& error) {
  if (!error.sqlstate().empty()) return error.sqlstate();
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr) return "42501";
  if (dynamic_cast<const pqxx::undefined_table*>(&error) != nullptr) return "42P01";
  if (dynamic_cast<const pqxx::undefined_column*>(&error) != nullptr) return "42703";
  if (dynamic_cast<const pqxx::undefined_function*>(&error) != nullptr) return "42883";
  if (dynamic_cast<const pqxx::syntax_error*>(&error) != nullptr) return "42601";
  if (dynamic_cast<const pqxx::disk_full*>(&error) != nullptr) return "53100";
  if (dynamic_cast<const pqxx::out_of_memory*>(&error) != nullptr) return "53200";
  if (dynamic_cast<const pqxx::insufficient_resources*>(&error) != nullptr) return "53000";
  if (dynamic_cast<const pqxx::feature_not_supported*>(&error) != nullptr) return "0A000";
  if (dynamic_cast<const pqxx::unique_violation*>(&error) != nullptr) return "23505";
  if (dynamic_cast<const pqxx::integrity_constraint_violation*>(&error) != nullptr) return "23000";
  if (dynamic_cast<const pqxx::data_exception*>(&error) != nullptr) return "22000";
  return "XX000";
}

Failure known(bool connection_open, FailureKind kind, std::string sqlstate, std::string message) {
  // A FATAL error carries a state and ends the connection; whether a commit came first is not said.
  if (!connection_open) kind = FailureKind::lost;
  return {kind, std::move(sqlstate), std::move(message)};
}

// Of what libpqxx throws without the state that it stands for, or that never had one.
constexpr const char* outcome_in_doubt = "08007";
constexpr const char* connection_failure = "08006";
constexpr const char* connection_exception = "08000";

Error invalid_url(const std::string& message) {
  return {ErrorCode::invalid, "database-url-invalid",
          "the database's URL cannot be used: " + without_passwords(message)};
}

}  // namespace

Failure current_failure(bool connection_open) {
  // The order matters: in libpqxx 6.4 statement_completion_unknown is a transaction_rollback, and
  // too_many_connections a broken_connection.
  try {
    throw;
  } catch (const ConnectError& e) {
    if (e.why.is_attempted) return {FailureKind::lost, e.why.sqlstate, e.what()};
    return {FailureKind::lost, {}, e.what(), invalid_url(e.what())};
  } catch (const SessionRefused& e) {
    return {FailureKind::environment, {}, e.what(), e.error};
  } catch (const pqxx::in_doubt_error& e) {
    return {FailureKind::lost, outcome_in_doubt, e.what()};
  } catch (const pqxx::statement_completion_unknown& e) {
    return {FailureKind::lost, outcome_in_doubt, e.what()};
  } catch (const pqxx::serialization_failure& e) {
    return known(connection_open, FailureKind::retry, "40001", e.what());
  } catch (const pqxx::deadlock_detected& e) {
    return known(connection_open, FailureKind::retry, "40P01", e.what());
  } catch (const pqxx::transaction_rollback& e) {
    return known(connection_open, FailureKind::retry, "40000", e.what());
  } catch (const pqxx::too_many_connections& e) {
    return {FailureKind::lost, "53300", e.what()};
  } catch (const pqxx::broken_connection& e) {
    return {FailureKind::lost, connection_failure, e.what()};
  } catch (const pqxx::sql_error& e) {
    const std::string state = state_of(e);
    return known(connection_open, kind_of(state), state, e.what());
  } catch (const std::exception& e) {
    return {FailureKind::lost, connection_exception, e.what()};
  }
}

Error to_error(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::lost:
      return {ErrorCode::unavailable, "store-unavailable",
              "The database cannot be reached; try again."};
    case FailureKind::retry:
      return {ErrorCode::unavailable, "store-timeout",
              "The database did not answer in time; try again."};
    case FailureKind::content:
      return {ErrorCode::invalid, "store-refused",
              "The database cannot hold or compare this value."};
    case FailureKind::environment:
    case FailureKind::elsewhere:
      return {ErrorCode::unavailable, "store-failed",
              sentence_of(failure) + " Nothing was done; try again when this is over."};
  }
  return {};
}

}  // namespace backstitch::postgres
