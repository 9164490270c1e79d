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

std::unique_ptr<BIO, decltype(&BIO_free)> make_text() {
  return {BIO_new(BIO_s_mem()), &BIO_free};
}

std::string content_of(BIO& text) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(&text, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace

Identity make_identity(const IdentityTraits& traits) {
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509& certificate = *made.certificate;
  X509_set_version(&certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(&certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(&certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(&certificate), traits.valid_for_s);
  X509_set_pubkey(&certificate, made.key.get());
  X509_NAME* name = X509_get_subject_name(&certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("hostile"), -1, -1, 0);
  X509_set_issuer_name(&certificate, name);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, NID_subject_alt_name, traits.names);
  if (X509_sign(&certificate, made.key.get(), EVP_sha256()) == 0)
    throw std::runtime_error("the certificate cannot be signed");
  return made;
}

std::string pem_of(X509& certificate) {
  const auto text = make_text();
  PEM_write_bio_X509(text.get(), &certificate);
  return content_of(*text);
}

std::string pem_of(const Identity& identity) {
  const auto text = make_text();
  PEM_write_bio_PrivateKey(text.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return pem_of(*identity.certificate) + content_of(*text);
}

}  // namespace backstitch::hostile
