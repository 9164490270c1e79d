#include "tls_failure.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <optional>

#include <boost/asio/ssl/error.hpp>

namespace backstitch::http {
namespace {

using boost::system::error_code;

std::optional<int> reason_of(const error_code& error) {
  if (error.category() != boost::asio::error::get_ssl_category()) return std::nullopt;
  const auto packed = static_cast<unsigned long>(static_cast<unsigned>(error.value()));
  if (ERR_GET_LIB(packed) != ERR_LIB_SSL) return std::nullopt;
  return ERR_GET_REASON(packed);
}

/// OpenSSL reports a fatal alert from the peer as a reason beyond this offset.
std::optional<int> alert_of(const error_code& error) {
  const auto reason = reason_of(error);
  if (!reason || *reason < SSL_AD_REASON_OFFSET || *reason > SSL_AD_REASON_OFFSET + 255)
    return std::nullopt;
  return *reason - SSL_AD_REASON_OFFSET;
}

}  // namespace

bool is_handshake_rejection(const error_code& error) {
  static constexpr std::array rejections = {
      SSL_AD_HANDSHAKE_FAILURE,       SSL_AD_BAD_CERTIFICATE,
      SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
      SSL_AD_CERTIFICATE_EXPIRED,     SSL_AD_CERTIFICATE_UNKNOWN,
      SSL_AD_ILLEGAL_PARAMETER,       SSL_AD_UNKNOWN_CA,
      SSL_AD_ACCESS_DENIED,           SSL_AD_PROTOCOL_VERSION,
      SSL_AD_INSUFFICIENT_SECURITY,   SSL_AD_CERTIFICATE_REQUIRED};
  const auto alert = alert_of(error);
  return alert && std::find(rejections.begin(), rejections.end(), *alert) != rejections.end();
}

std::string describe_tls_failure(const SSL* session, const error_code& error) {
  if (const auto alert = alert_of(error))
    return error.message() + " (TLS alert " + std::to_string(*alert) + " from the participant)";
  const long verified = SSL_get_verify_result(session);
  if (reason_of(error) != SSL_R_CERTIFICATE_VERIFY_FAILED || verified == X509_V_OK)
    return error.message();
  return error.message() + ": " + X509_verify_cert_error_string(verified);
}

}  // namespace backstitch::http
