#include <backstitch/system/secrets.hpp>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>

namespace backstitch::system {
namespace {

/// A secret's name comes from a definition: it must not reach outside the directory.
bool is_plain_name(std::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

SecretsDirectory::SecretsDirectory(std::filesystem::path directory)
    : directory_(std::move(directory)) {}

std::optional<std::string> SecretsDirectory::find(std::string_view name) const {
  if (directory_.empty() || !is_plain_name(name)) return std::nullopt;
  std::ifstream file(directory_ / std::string(name), std::ios::binary);
  if (!file) return std::nullopt;
  std::string secret((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  return secret;
}

}  // namespace backstitch::system
