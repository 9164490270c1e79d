#include "condition.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <backstitch/postgres/passwords.hpp>

namespace backstitch::postgres {
namespace {

struct Condition {
  std::string_view sqlstate;  ///< all of it, or its first characters
  std::string_view sentence;
  /// The code with which a start ends at once; empty: the condition may pass by itself.
  std::string_view refusal = {};
  std::string_view remedy = {};  ///< what an operator does
};

/// The first that fits counts.
constexpr Condition conditions[] = {
    {"28",
     "The database refuses the login of this node's role; check the user, the password and "
     "pg_hba.conf.",
     "database-login-refused"},
    {"3D", "The database does not exist.", "database-missing"},
    {"42501", "The role of this node lacks a privilege in the database.",
     "database-privilege-missing", "grant it what docs/operating.md lists"},
    {"42", "The schema of the database is not the one that this program needs.",
     "database-schema-unfit"},
    {"0A", "The database does not support what this program needs.", "database-unfit"},
    {"22023", "The database refuses a setting of the connection.", "database-unfit"},
    {"55000", "The database does not accept connections.", "database-unfit"},
    {"25006", "The database is read-only."},
    {"53100", "The disk of the database is full.", {}, "free space on it"},
    {"53200", "The database is out of memory."},
    {"53300", "The database accepts no more connections."},
    {"53", "The database lacks a resource."},
    {"54", "The database has reached a limit of its own, such as that of transaction identifiers."},
    {"57P", "The database is stopping or starting."},
    {"57014", "The database does not answer in time."},
    {"55P03", "The database does not answer in time: other transactions hold its locks."},
    {"58", "The database cannot read or write its files."},
    {"XX", "The database reports an internal error or corrupted data."},
    {"08", "The connection to the database broke."}};

const Condition* condition_of(const Failure& failure) {
  const auto found = std::find_if(
      std::begin(conditions), std::end(conditions),
      [&](const Condition& one) { return failure.sqlstate.starts_with(one.sqlstate); });
  return found == std::end(conditions) ? nullptr : found;
}

}  // namespace

std::string sentence_of(const Failure& failure) {
  if (failure.refusal) return failure.refusal->message;
  if (failure.sqlstate.empty()) return "The database cannot be reached.";
  const std::string state = " (SQLSTATE " + failure.sqlstate + ")";
  const Condition* condition = condition_of(failure);
  if (condition == nullptr) return "The database refuses a statement" + state + ".";
  std::string sentence(condition->sentence.substr(0, condition->sentence.size() - 1));
  sentence += state;
  if (!condition->remedy.empty()) sentence += "; " + std::string(condition->remedy);
  return sentence + ".";
}

Error unreachable_reason(const Failure& failure) {
  const bool is_lost = failure.kind == FailureKind::lost;
  return {ErrorCode::unavailable, is_lost ? "database-unreachable" : "database-failing",
          sentence_of(failure)};
}

Error to_operator_error(const Failure& failure) {
  if (failure.refusal) return *failure.refusal;
  const Condition* condition = condition_of(failure);
  const bool passes = condition == nullptr || condition->refusal.empty();
  Error error{passes ? ErrorCode::unavailable : ErrorCode::invalid,
              passes ? "store-unavailable" : std::string(condition->refusal), sentence_of(failure)};
  if (!failure.message.empty())
    error.message += " The database says: " + without_passwords(failure.message);
  return error;
}

}  // namespace backstitch::postgres
