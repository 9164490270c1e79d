#pragma once
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <backstitch/base/invariant.hpp>

namespace backstitch {

/// What a caller can do about an error. `Error::reason` says which error it is.
enum class ErrorCode {
  invalid,          ///< the request is wrong; correct it
  not_found,        ///< the thing named does not exist
  conflict,         ///< the state forbids it; reload and decide again
  forbidden,        ///< the caller may not do this
  overloaded,       ///< refused to protect running work; try again after a while
  unavailable,      ///< something needed is away; nothing was done; try again
  outcome_unknown,  ///< it may or may not have been done; read back before repeating
  fenced,           ///< this node lost its lease; nothing was written
  internal          ///< a bug of ours
};

/// One detail of an error about a document: where (JSON pointer) and what.
struct ErrorDetail {
  std::string pointer;
  std::string code;
  std::string message;
  std::string hint{};  ///< how to put it right; may be empty
  bool operator==(const ErrorDetail&) const = default;
};

/// A failure that is expected to happen. Bugs are InvariantViolation instead.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string
      reason;  ///< stable, kebab-case or an engine code, e.g. `saga-not-found`, `EXPRESSION_FAILED`
  std::string message;  ///< names the thing, the reason and the next step
  std::vector<ErrorDetail> details{};
  std::string saga{};  ///< id of the saga that holds what was asked for; empty: no such saga
};

/// A value or an Error. The names are a subset of std::expected (C++23), so that a later switch
/// touches this header only. Not thread-safe; cheap to move.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(*-explicit-*)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(*-explicit-*)

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  /// @pre has_value()
  T& value() & { return get(); }
  const T& value() const& { return const_cast<Result*>(this)->get(); }
  T&& value() && { return std::move(get()); }
  T& operator*() & { return get(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(get()); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &value(); }

  /// @pre !has_value()
  const Error& error() const& {
    BACKSTITCH_INVARIANT(!has_value(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    BACKSTITCH_INVARIANT(!has_value(), "error() of a Result that holds a value");
    return std::move(std::get<1>(state_));
  }

 private:
  T& get() {
    BACKSTITCH_INVARIANT(has_value(), std::get<1>(state_).message);
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

/// For operations that give nothing but may fail.
struct Done {
  bool repeated = false;  ///< the same had been done already, under the same idempotency key
};

}  // namespace backstitch
