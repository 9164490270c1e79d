#include <backstitch/system/secrets.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace backstitch::system {
namespace {

constexpr std::string_view list_suffix = ".services";

/// A secret's name comes from a document: it must not reach outside the directory.
bool is_secret_name(std::string_view name) {
  if (name.empty() || name.front() == '.' || name.ends_with(list_suffix)) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

/// @param list  names, one a line
bool lists(std::string_view list, std::string_view wanted) {
  constexpr std::string_view blanks = " \t\r\n";
  while (!list.empty()) {
    const auto end = std::min(list.find('\n'), list.size());
    std::string_view line = list.substr(0, end);
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    line = line.substr(0, line.find_last_not_of(blanks) + 1);
    if (line == wanted) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// An open file, closed with this object.
class File {
 public:
  /// Without waiting for a writer, should it be a pipe.
  explicit File(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  bool is_open() const { return descriptor_ >= 0; }

  /// Why the file is not read; empty: it may be. @param forbidden_mode  bits that it must not have
  std::string flaw(mode_t forbidden_mode) const {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return std::strerror(errno);
    if (!S_ISREG(status.st_mode)) return "it is not a regular file";
    if ((status.st_mode & forbidden_mode) != 0)
      return (forbidden_mode & S_IROTH) != 0
                 ? "every user can use it; take that away with chmod o-rwx"
                 : "other users can write to it; use chmod go-w";
    if (static_cast<std::size_t>(status.st_size) > secret_bytes_max)
      return "it exceeds " + std::to_string(secret_bytes_max) + " bytes";
    return {};
  }

  /// @return nothing if it cannot be read, or has grown past the limit
  std::optional<std::string> text() const {
    std::string text(secret_bytes_max + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
      const ssize_t now = ::read(descriptor_, text.data() + size, text.size() - size);
      if (now < 0 && errno == EINTR) continue;
      if (now < 0) return std::nullopt;
      if (now == 0) break;
      size += static_cast<std::size_t>(now);
    }
    if (size > secret_bytes_max) return std::nullopt;
    text.resize(size);
    return text;
  }

 private:
  int descriptor_;
};

struct Reading {
  std::optional<std::string> text;
  int error = 0;     ///< of the system, if the file cannot be opened
  std::string flaw;  ///< why there is no text
};

Reading read_file(const std::string& path, mode_t forbidden_mode) {
  const File file(path);
  if (!file.is_open()) return {std::nullopt, errno, std::strerror(errno)};
  std::string flaw = file.flaw(forbidden_mode);
  if (!flaw.empty()) return {std::nullopt, 0, std::move(flaw)};
  auto text = file.text();
  if (!text) return {std::nullopt, 0, "it cannot be read"};
  return {std::move(text), 0, {}};
}

void remove_final_line_breaks(std::string& text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
}

}  // namespace

Result<std::string> read_secret(const std::string& path) {
  Reading reading = read_file(path, S_IRWXO);
  if (!reading.text) {
    return Error{ErrorCode::invalid, "file-unreadable",
                 "cannot read " + path + ": " + reading.flaw};
  }
  remove_final_line_breaks(*reading.text);
  return std::move(*reading.text);
}

SecretsDirectory::SecretsDirectory(std::filesystem::path directory, OnRefused on_refused)
    : directory_(std::move(directory)), on_refused_(std::move(on_refused)) {}

std::optional<std::string> SecretsDirectory::find(std::string_view name,
                                                  std::string_view service) const {
  if (directory_.empty() || service.empty() || !is_secret_name(name)) return std::nullopt;
  const auto services = read(std::string(name).append(list_suffix), S_IWGRP | S_IWOTH);
  if (!services || !lists(*services, service)) return std::nullopt;
  auto secret = read(std::string(name), S_IRWXO);
  if (secret) remove_final_line_breaks(*secret);
  return secret;
}

std::optional<std::string> SecretsDirectory::read(const std::string& name,
                                                  mode_t forbidden_mode) const {
  const std::string path = directory_ / name;
  Reading reading = read_file(path, forbidden_mode);
  if (reading.error != ENOENT) note(path, reading.flaw);
  return std::move(reading.text);
}

/// An empty reason: it is not refused.
void SecretsDirectory::note(const std::string& path, const std::string& why) const {
  if (!on_refused_) return;
  const std::lock_guard lock(mutex_);
  if (why.empty()) {
    refused_.erase(path);
  } else if (std::string& told = refused_[path]; told != why) {
    told = why;
    on_refused_(path, why);
  }
}

}  // namespace backstitch::system
