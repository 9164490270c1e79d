#include <backstitch/base/digest.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <memory>

#include <backstitch/base/invariant.hpp>

namespace backstitch {
namespace {

constexpr std::size_t block_bytes = 64;

/// OpenSSL looks an algorithm up each time it is named, which takes longer than a short digest
/// does.
const EVP_MD* method() {
  static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

std::string_view text_of(const auto& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Of both, one after the other.
Sha256 sha256(std::string_view first, std::string_view second) {
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  Sha256 digest{};
  unsigned size = 0;
  const bool done = EVP_DigestInit_ex(context.get(), method(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), first.data(), first.size()) == 1 &&
                    EVP_DigestUpdate(context.get(), second.data(), second.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1;
  BACKSTITCH_INVARIANT(done && size == digest.size(), "SHA-256 is always there");
  return digest;
}

/// Of `key`, filled up to a block with each byte changed by `pad`, and `message`.
Sha256 padded_sha256(std::string_view key, char pad, std::string_view message) {
  std::array<char, block_bytes> block;  // NOLINT: filled at once
  block.fill(pad);
  for (std::size_t i = 0; i < key.size(); ++i) block.at(i) = static_cast<char>(pad ^ key[i]);
  return sha256(text_of(block), message);
}

}  // namespace

Sha256 sha256(std::string_view bytes) {
  return sha256(bytes, {});
}

std::string sha256_hex(std::string_view bytes) {
  return hex_of(sha256(bytes));
}

Sha256 hmac_sha256(std::string_view key, std::string_view message) {
  if (key.size() > block_bytes) {
    const Sha256 shorter = sha256(key);
    return hmac_sha256(text_of(shorter), message);
  }
  return padded_sha256(key, 0x5C, text_of(padded_sha256(key, 0x36, message)));
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex_of(const Sha256& digest, std::size_t bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes * 2);
  for (std::size_t i = 0; i < bytes; ++i) {
    text += digits[digest.at(i) >> 4];
    text += digits[digest.at(i) & 0x0FU];
  }
  return text;
}

}  // namespace backstitch
