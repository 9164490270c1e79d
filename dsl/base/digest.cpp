#include <backstitch/base/digest.hpp>

#include <openssl/evp.h>

#include <backstitch/base/invariant.hpp>

namespace backstitch {

std::array<std::uint8_t, 32> sha256(std::string_view bytes) {
  std::array<std::uint8_t, 32> digest{};
  unsigned size = 0;
  const int done =
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  BACKSTITCH_INVARIANT(done == 1 && size == digest.size(), "SHA-256 is always there");
  return digest;
}

std::string sha256_hex(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : sha256(bytes)) {
    text += digits[byte >> 4];
    text += digits[byte & 0x0FU];
  }
  return text;
}

}  // namespace backstitch
