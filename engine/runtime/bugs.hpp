#pragma once
/// An exception is never how the engine says what has gone wrong with a saga: it is a bug, and must
/// not take along the other sagas of its thread.
#include <exception>
#include <string>

#include <backstitch/base/result.hpp>

namespace backstitch::engine {

/// What the exception that is being handled says.
inline std::string what_is_handled() {
  try {
    throw;
  } catch (const std::exception& bug) {
    return bug.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

/// The reason of a saga that is suspended for one.
inline constexpr const char* engine_bug = "ENGINE_BUG";

}  // namespace backstitch::engine
