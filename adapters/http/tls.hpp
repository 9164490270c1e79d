#pragma once
#include <memory>
#include <string_view>

#include <boost/asio/ssl/context.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/ports/secrets.hpp>

namespace backstitch::http {

/// Verification is always on; authorities are the system's, or the one the service names.
/// @param service  registered name; empty: it is written in a definition and has no secrets
Result<std::shared_ptr<boost::asio::ssl::context>> make_tls_context(const dsl::Tls& tls,
                                                                    const engine::Secrets* secrets,
                                                                    std::string_view service);

}  // namespace backstitch::http
