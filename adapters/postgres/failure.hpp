#pragma once
#include <optional>
#include <stdexcept>
#include <string>

#include <pqxx/pqxx>

#include <backstitch/base/result.hpp>

#include "plain_connection.hpp"

namespace backstitch::postgres {

/// What an exception of libpqxx means for the statement that threw it.
enum class FailureKind {
  lost,         ///< the connection broke: the statement may have taken effect, or may still do so
  retry,        ///< rolled back by a race; the same statement may succeed now
  content,      ///< rolled back, it seems because of what it carries
  environment,  ///< rolled back, it seems by the database's condition: disk full, no permission
  elsewhere  ///< rolled back by what another session may be free of: read-only, no such statement
};

struct Failure {
  FailureKind kind = FailureKind::lost;
  std::string sqlstate;  ///< never empty
  std::string message;
  std::optional<Error> refusal{};  ///< the server would do, but we refuse it
};

/// A connection that could not be opened; libpqxx does not say with which SQLSTATE.
class ConnectError : public pqxx::broken_connection {
 public:
  ConnectError(const std::string& message, ConnectFailure reason)
      : pqxx::broken_connection(message), why(std::move(reason)) {}
  const ConnectFailure why;
};

/// A connection that works, to a server that must not be used.
class SessionRefused : public std::runtime_error {
 public:
  explicit SessionRefused(Error given)
      : std::runtime_error(given.message), error(std::move(given)) {}
  const Error error;
};

/// Call inside `catch (...)`. Whatever is not known to have been rolled back counts as lost.
Failure current_failure(bool connection_open);

/// For callers: what they may do. Never what the server said, which may quote anything.
Error to_error(const Failure& failure);

}  // namespace backstitch::postgres
