#pragma once
#include <string>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// What an exception of libpqxx means for the statement that threw it.
enum class FailureKind {
  lost,        ///< the connection broke: the statement may have taken effect, or may still do so
  retry,       ///< rolled back by a race; the same statement may succeed now
  content,     ///< rolled back because of what it carries; it will fail again
  environment  ///< rolled back by the database's condition: disk full, read-only, schema missing
};

struct Failure {
  FailureKind kind = FailureKind::lost;
  std::string sqlstate;  ///< empty if the server did not say
  std::string message;
};

/// Call inside `catch (...)`. Whatever is not known to have been rolled back counts as lost.
Failure current_failure(bool connection_open);

/// For those who only read: what the caller may do.
Error to_error(const Failure& failure);

}  // namespace backstitch::postgres
