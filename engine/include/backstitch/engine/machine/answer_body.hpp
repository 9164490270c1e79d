#pragma once
/// How the bytes of a complete answer become the body that rules and templates see. One reading for
/// every way in: calls over HTTP, callbacks, stand-ins. Pure; any thread.
#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>

namespace backstitch::engine {

struct AnswerBody {
  Json value;              ///< JSON; text for a body that is not JSON; null for none
  std::string unreadable;  ///< why the body is not JSON, for the history; empty: it is, or is empty
};

/// Text that is not JSON is kept up to this size, in UTF-8.
inline constexpr std::size_t answer_text_bytes_max = std::size_t{64} * 1024;

/// Of a text that is quoted where it tells who answered.
inline constexpr std::size_t answer_quoted_bytes_max = 200;
/// Of a header that is kept for the same.
inline constexpr std::size_t answer_header_bytes_max = 64;

/// The first `answer_quoted_bytes_max` bytes of a text, between two characters; each run of white
/// space and control characters is one space.
std::string quoted_beginning(std::string_view text);

/// Never fails: the status line decides the outcome, so an unreadable body is a body. A body is
/// read as JSON if its media type says so, or if it has none and begins like an object or array. An
/// empty or white-space body is null and readable.
/// @param content_type the header's value, empty for none; `charset` matters for Latin-1 only
/// @param content_encoding the header's value, empty for none; nothing is decompressed
AnswerBody read_body(std::string_view content_type, std::string_view content_encoding,
                     const std::string& bytes);

/// The same for a body that a participant in this process has built. A body that JSON text could
/// not hold becomes null and unreadable.
AnswerBody admitted_body(Json value, std::string unreadable);

/// Of an answer whose body is larger than the service's `maxResponseBytes`.
AnswerBody oversized_body(std::size_t bytes_max);

}  // namespace backstitch::engine
