#pragma once
/// Reading what a request says, with errors that name the parameter.
#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>

#include "message.hpp"

namespace backstitch::rest {

/// not_found/saga-not-found also for text that is no id: such a saga cannot exist.
Result<SagaId> saga_id_of(const std::string& text);
Result<std::int64_t> version_of(const std::string& text);
/// A query parameter with a number between `least` and `most`; absent: `otherwise`.
Result<std::size_t> number_in(const Request& request, const std::string& name, std::size_t least,
                              std::size_t most, std::size_t otherwise);
Result<std::optional<Duration>> duration_in(const Request& request, const std::string& name,
                                            Duration most);
Result<std::optional<TimePoint>> time_in(const Request& request, const std::string& name);
/// The saga that the page before ended at; nothing for the first page.
Result<std::optional<SagaId>> cursor_in(const Request& request);
Error cursor_error();
/// Lists that are not of sagas: how many items, and the last one of the page before.
struct ListPosition {
  std::size_t limit = 0;
  std::string after{};  ///< empty: from the beginning
};
Result<ListPosition> position_in(const Request& request);
Result<bool> flag_in(const Request& request, const std::string& name);

/// The header `Idempotency-Key`; empty: there is none.
Result<std::string> idempotency_key_of(const Request& request);

/// The body as a JSON object with no keys but `allowed`.
Result<Json> object_body(const Request& request, std::initializer_list<const char*> allowed,
                         std::size_t bytes_max, bool may_be_empty = false);
Error invalid(std::string reason, std::string message, std::string pointer = {});
Result<Done> only_keys(const Json& object, std::initializer_list<const char*> allowed);
Result<std::optional<std::string>> text_member(const Json& object, const char* name,
                                               std::size_t most);

}  // namespace backstitch::rest
