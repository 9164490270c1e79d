#pragma once
/// What one saga may take up. docs/language.md lists these; beyond them a start or signal is
/// refused, and a step fails with LIMIT_EXCEEDED.
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/dsl/definition.hpp>

namespace backstitch::engine {

inline constexpr std::size_t definition_name_bytes_max = 128;
inline constexpr std::size_t start_key_bytes_max = 255;  ///< business keys and idempotency keys
inline constexpr std::size_t labels_max = 16;
inline constexpr std::size_t label_name_bytes_max = 64;
inline constexpr std::size_t label_bytes_max = 1024;
inline constexpr std::size_t signal_name_bytes_max = 128;
inline constexpr std::size_t output_bytes_max = 256 * 1024;
inline constexpr std::size_t captured_bytes_max = 64 * 1024;
/// Of the message of a failure, which headers and bodies of compensations may carry.
inline constexpr std::size_t message_bytes_max = 4 * 1024;
/// Of a failure that is tried again: an attempt adds at most two events of 512 bytes.
inline constexpr std::size_t repeated_message_bytes_max = 160;
/// Of the details of one failure, and of the beginning that is kept of larger ones. Once a saga
/// keeps so many of them, only small ones are kept whole, and once its data fill half of what they
/// may, none: or the next steps would have no room.
inline constexpr std::size_t details_bytes_max = 64 * 1024;
inline constexpr std::size_t details_beginning_max = 1024;
inline constexpr std::size_t details_small_max = 8 * 1024;
inline constexpr std::size_t details_all_max = 1024 * 1024;
inline constexpr std::size_t signal_bytes_max = 64 * 1024;
inline constexpr std::size_t state_bytes_max = 8 * 1024 * 1024;
inline constexpr std::size_t signals_of_name_max = 100;
inline constexpr std::size_t signals_max = 1'000;
inline constexpr std::size_t branches_open_max = 64;
inline constexpr std::uint32_t saga_depth_max = 8;
/// Repeated attempts are not counted. A forEach of ten thousand items with a call each takes thirty
/// thousand.
inline constexpr std::int64_t events_max = dsl::saga_events_max;

/// An invalid part of a request: the error and its one detail say the same.
Error flawed(const char* reason, std::string message, std::string pointer);
/// `A label has at most 1024 bytes.`
std::string at_most_bytes(const char* what, std::size_t most);
/// What no saga's label, label name or key can be: invalid/start-invalid with a detail.
std::optional<Error> label_flaw(const std::map<std::string, std::string>& labels);
std::optional<Error> business_key_flaw(const std::string& key);

/// How many bytes a value has as compact JSON text.
std::size_t json_size(const Json& value);
/// The text cut to so many bytes between two characters of its UTF-8.
std::string cut_text(std::string text, std::size_t most);
/// The same to `message_bytes_max`.
std::string cut_message(std::string text);
/// The same to `repeated_message_bytes_max`.
std::string cut_repeated_message(std::string text);
/// Details over `most` bytes as {"truncated": true, "bytes": N,
/// "beginning": "…"}: how much JSON text it was, and the beginning of it.
Json bounded_details(Json details, std::size_t most);

}  // namespace backstitch::engine
