#include "certificate.hpp"

#include <stdexcept>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace backstitch::hostile {
namespace {

void add_extension(X509& certificate, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  if (extension == nullptr) throw std::runtime_error("an extension of the certificate is wrong");
  X509_add_ext(&certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

Identity make_identity() {
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509& certificate = *made.certificate;
  X509_set_version(&certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(&certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(&certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(&certificate), 24L * 3600);
  X509_set_pubkey(&certificate, made.key.get());
  X509_NAME* name = X509_get_subject_name(&certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("hostile"), -1, -1, 0);
  X509_set_issuer_name(&certificate, name);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  if (X509_sign(&certificate, made.key.get(), EVP_sha256()) == 0)
    throw std::runtime_error("the certificate cannot be signed");
  return made;
}

std::string pem_of(X509& certificate) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(text.get(), &certificate);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace backstitch::hostile
