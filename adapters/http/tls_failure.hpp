#pragma once
#include <openssl/ssl.h>

#include <string>

#include <boost/system/error_code.hpp>

namespace backstitch::http {

/// Whether the peer rejected the handshake or our certificate, by a fatal alert that says so. With
/// TLS 1.3 a client may send its request before the server has judged its certificate (RFC 8446,
/// 4.4.2.4): the alert comes then instead of an answer, and the server has not read the request.
bool is_handshake_rejection(const boost::system::error_code& error);

/// The error for people: with the number of an alert from the peer, or with OpenSSL's reason for
/// which we did not accept the certificate of the peer.
std::string describe_tls_failure(const SSL* session, const boost::system::error_code& error);

}  // namespace backstitch::http
