#pragma once
#include <optional>
#include <string>

namespace backstitch::postgres {

/// Why libpq must not be given this URL or connection string; nothing: it may be. A password whose
/// reserved characters are not percent-encoded ends up in the host or the port, and libpq quotes
/// both in its messages, so such a URL never gets there and no part of it is in the answer.
std::optional<std::string> flaw_of_connection_text(const std::string& text);

}  // namespace backstitch::postgres
