#pragma once
#include <string>

#include <backstitch/base/result.hpp>

#include "failure.hpp"

namespace backstitch::postgres {

/// What is the matter with the database, in our own words: what the server says may quote anything
/// and is translated.
std::string sentence_of(const Failure& failure);

/// The same as the reason why the store cannot be used: unavailable/database-unreachable, or
/// database-failing where the server answers.
Error unreachable_reason(const Failure& failure);

/// For whoever runs `migrate` or `serve` and waits for it: with what the server said, without
/// passwords. ErrorCode::unavailable if waiting may help, ErrorCode::invalid if only a change of
/// the configuration or of the database does.
Error to_operator_error(const Failure& failure);

}  // namespace backstitch::postgres
