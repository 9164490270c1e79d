#pragma once
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/ssl/context.hpp>

#include <backstitch/base/result.hpp>
#include <backstitch/dsl/definition.hpp>
#include <backstitch/engine/ports/secrets.hpp>

namespace backstitch::http {

/// The secrets that the context of a service is made from, as PEM; empty: the service names none.
struct Certificates {
  std::string ca;
  std::string client;  ///< the chain and its key
  bool operator==(const Certificates&) const = default;
};

/// @param service  registered name; empty: it is written in a definition and has no secrets
/// @return invalid/secret-missing
Result<Certificates> find_certificates(const dsl::Tls& tls, const engine::Secrets* secrets,
                                       std::string_view service);

/// Verification is always on; authorities are the system's, or those the service names.
/// @return invalid/tls-invalid, which names the secret that is not a certificate
Result<std::shared_ptr<boost::asio::ssl::context>> make_tls_context(
    const dsl::Tls& tls, const Certificates& certificates);

}  // namespace backstitch::http
