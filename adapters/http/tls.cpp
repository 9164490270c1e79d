#include "tls.hpp"

#include <utility>

#include <boost/asio/buffer.hpp>

#include "secret.hpp"

namespace backstitch::http {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

Error tls_error(const std::string& message) {
  return {ErrorCode::invalid, "tls-invalid", message};
}

Result<Done> use_client_certificate(ssl::context& context, const std::string& name,
                                    const std::string& pem) {
  error_code error;
  context.use_certificate_chain(boost::asio::buffer(pem), error);
  if (!error) context.use_private_key(boost::asio::buffer(pem), ssl::context::pem, error);
  if (error) {
    return tls_error("The secret `" + name +
                     "` is not a PEM certificate chain with its key: " + error.message());
  }
  return Done{};
}

}  // namespace

Result<Certificates> find_certificates(const dsl::Tls& tls, const engine::Secrets* secrets,
                                       std::string_view service) {
  Certificates found;
  if (!tls.ca.empty()) {
    auto pem = find_secret(secrets, tls.ca, service);
    if (!pem) return pem.error();
    found.ca = std::move(*pem);
  }
  if (!tls.client_cert.empty()) {
    auto pem = find_secret(secrets, tls.client_cert, service);
    if (!pem) return pem.error();
    found.client = std::move(*pem);
  }
  return found;
}

Result<std::shared_ptr<ssl::context>> make_tls_context(const dsl::Tls& tls,
                                                       const Certificates& certificates) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 |
                       ssl::context::no_sslv3 | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 |
                       SSL_OP_NO_RENEGOTIATION);
  if (tls.version_min == "1.3") context->set_options(ssl::context::no_tlsv1_2);
  error_code error;
  if (tls.ca.empty()) {
    context->set_default_verify_paths(error);
    if (error) return tls_error("The system's authorities cannot be read: " + error.message());
  } else {
    context->add_certificate_authority(boost::asio::buffer(certificates.ca), error);
    if (error)
      return tls_error("The secret `" + tls.ca + "` is not a PEM certificate: " + error.message());
  }
  if (!tls.client_cert.empty()) {
    if (auto used = use_client_certificate(*context, tls.client_cert, certificates.client); !used)
      return used.error();
  }
  return context;
}

}  // namespace backstitch::http
