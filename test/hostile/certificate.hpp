#pragma once
#include <memory>
#include <string>

#include <openssl/evp.h>
#include <openssl/x509.h>

namespace backstitch::hostile {

/// A key and a certificate for 127.0.0.1 and localhost that it signs itself, made now.
struct Identity {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr, &EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, &X509_free};
};
Identity make_identity();
std::string pem_of(X509& certificate);

}  // namespace backstitch::hostile
