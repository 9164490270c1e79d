#pragma once
#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/x509.h>

namespace backstitch::hostile {

struct IdentityTraits {
  const char* names = "IP:127.0.0.1,DNS:localhost";
  long valid_for_s = 24L * 3600;  ///< may have passed
};

/// A key and a certificate that it signs itself.
struct Identity {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr, &EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, &X509_free};
};
Identity make_identity(const IdentityTraits& traits = {});
std::string pem_of(X509& certificate);
/// The certificate and its key.
std::string pem_of(const Identity& identity);

}  // namespace backstitch::hostile
