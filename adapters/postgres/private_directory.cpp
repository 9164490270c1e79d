#include "private_directory.hpp"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace backstitch::postgres {
namespace {

namespace fs = std::filesystem;

Error refusal(const std::string& message) {
  return {ErrorCode::unavailable, "private-directory-refused", message};
}

Error system_refusal(const std::string& what) {
  return refusal("Cannot " + what + ": " + std::strerror(errno) + ".");
}

std::string user_name(uid_t user) {
  const passwd* entry = ::getpwuid(user);
  return entry != nullptr ? entry->pw_name : std::to_string(user);
}

/// Who can write to a directory can rename what is in it.
Result<Done> check_ancestor(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return system_refusal("look at " + path.string());
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return refusal(path.string() + " belongs to the user " + user_name(status.st_uid) +
                   ", who could replace what is in it; name another directory with --data.");
  }
  if ((status.st_mode & S_IWOTH) != 0 && (status.st_mode & S_ISVTX) == 0) {
    return refusal(path.string() +
                   " can be written by every user, who could replace what is in it; name another "
                   "directory with --data.");
  }
  return Done{};
}

Result<Done> check_ancestors(const fs::path& parent) {
  fs::path ancestor;
  for (const auto& part : parent) {
    ancestor /= part;
    if (auto safe = check_ancestor(ancestor); !safe) return safe;
  }
  return Done{};
}

Result<Done> check_owned(const fs::path& path, const struct stat& status, uid_t owner) {
  if (status.st_uid == owner) return Done{};
  return refusal(path.string() + " belongs to the user " + user_name(status.st_uid) + ", not to " +
                 user_name(owner) + "; name another directory with --data, or remove this one.");
}

Result<Done> make_searchable(const OwnedDescriptor& directory, const struct stat& status) {
  constexpr mode_t search = S_IXGRP | S_IXOTH;
  const mode_t mode = status.st_mode & 07777;
  if ((mode & search) == search || ::fchmod(directory.get(), mode | search) == 0) return Done{};
  return system_refusal("let the database's user into the directory");
}

/// Those that are missing. @param searchable by all, whatever the umask is
Result<Done> make_parents(const fs::path& path, bool searchable) {
  std::error_code error;
  if (fs::exists(path, error)) return Done{};
  if (auto made = make_parents(path.parent_path(), searchable); !made) return made;
  if (::mkdir(path.c_str(), 0755) != 0)
    return errno == EEXIST ? Result<Done>(Done{}) : system_refusal("make " + path.string());
  if (searchable && ::chmod(path.c_str(), 0755) != 0)
    return system_refusal("let the database's user into " + path.string());
  return Done{};
}

}  // namespace

OwnedDescriptor::~OwnedDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<PrivateDirectory> PrivateDirectory::open(const fs::path& given, bool searchable) {
  std::error_code error;
  fs::path path = fs::absolute(given).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (auto made = make_parents(path.parent_path(), searchable); !made)
    return std::move(made).error();
  const fs::path parent = fs::canonical(path.parent_path(), error);
  if (error) return refusal("Cannot find " + path.string() + ": " + error.message() + ".");
  path = parent / path.filename();
  if (auto safe = check_ancestors(parent); !safe) return std::move(safe).error();
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return system_refusal("make " + path.string());
  OwnedDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory.get() < 0 && (errno == ELOOP || errno == ENOTDIR)) {
    return refusal(path.string() +
                   " is not a directory, or is a symbolic link; name the directory itself.");
  }
  struct stat status {};
  if (directory.get() < 0 || ::fstat(directory.get(), &status) != 0)
    return system_refusal("open " + path.string());
  if (auto owned = check_owned(path, status, ::geteuid()); !owned) return std::move(owned).error();
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return refusal("Other users can write to " + path.string() +
                   "; take that away with `chmod go-w`, or name another directory with --data.");
  }
  if (searchable) {
    if (auto made = make_searchable(directory, status); !made) return std::move(made).error();
  }
  return PrivateDirectory(std::move(path), std::move(directory));
}

Result<OwnedDescriptor> PrivateDirectory::open_file(const std::string& name, int flags,
                                                    mode_t mode) const {
  OwnedDescriptor file(::openat(descriptor_.get(), name.c_str(),
                                flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, mode));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
    return system_refusal("open " + (path_ / name).string());
  if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) {
    return refusal((path_ / name).string() + " is not a regular file of the user " +
                   user_name(::geteuid()) + "; remove it.");
  }
  return file;
}

Result<Done> PrivateDirectory::write(const std::string& name, const std::string& text,
                                     mode_t mode) const {
  const auto file = open_file(name, O_WRONLY | O_TRUNC, mode);
  if (!file) return file.error();
  const bool written =
      ::fchmod(file->get(), mode) == 0 &&
      ::write(file->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written) return system_refusal("write " + (path_ / name).string());
  return Done{};
}

std::optional<std::string> PrivateDirectory::read(const std::string& name) const {
  constexpr std::size_t bytes_max = 4'096;  // of files that this program wrote
  const OwnedDescriptor file(
      ::openat(descriptor_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  std::array<char, bytes_max> text{};
  const ssize_t size = file.get() < 0 ? -1 : ::read(file.get(), text.data(), text.size());
  if (size < 0) return std::nullopt;
  return std::string(text.data(), static_cast<std::size_t>(size));
}

Result<Done> PrivateDirectory::make_directory(const std::string& name, Owner owner) const {
  const bool made = ::mkdirat(descriptor_.get(), name.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return system_refusal("make " + (path_ / name).string());
  const OwnedDescriptor directory(
      ::openat(descriptor_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (directory.get() < 0 || ::fstat(directory.get(), &status) != 0)
    return system_refusal("open " + (path_ / name).string());
  const bool is_fresh = status.st_uid == ::geteuid();
  if (!is_fresh) {
    if (auto owned = check_owned(path_ / name, status, owner.user); !owned) return owned;
  }
  const bool handed_over = !is_fresh || ::fchown(directory.get(), owner.user, owner.group) == 0;
  if (!handed_over || ::fchmod(directory.get(), 0700) != 0)
    return system_refusal("hand " + (path_ / name).string() + " to the database's user");
  return Done{};
}

}  // namespace backstitch::postgres
