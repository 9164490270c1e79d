#pragma once
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <backstitch/base/result.hpp>

namespace backstitch::postgres {

/// A file descriptor that is closed with this object.
class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(int descriptor) : descriptor_(descriptor) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OwnedDescriptor();
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// The user and group that a file or process belongs to.
struct Owner {
  uid_t user;
  gid_t group;
};

/// A directory in which only the user of this process can create, replace or rename files, so that
/// no file in it can be another user's trap. Every file is opened by that user, relative to the
/// directory's descriptor and without following a symbolic link. Threads: one.
class PrivateDirectory {
 public:
  /// Creates the directory if it is missing.
  /// @param searchable whether other users may open files in it by name
  /// @return an error if the directory is a symbolic link or another user's, or if another user can
  /// rename it or write to it
  static Result<PrivateDirectory> open(const std::filesystem::path& path, bool searchable);

  const std::filesystem::path& path() const { return path_; }
  /// Creates the file if it is missing. @param flags of open(2), the kind of access
  Result<OwnedDescriptor> open_file(const std::string& name, int flags, mode_t mode) const;
  /// Creates or replaces the file.
  Result<Done> write(const std::string& name, const std::string& text, mode_t mode) const;
  /// @return nothing if there is no such file
  std::optional<std::string> read(const std::string& name) const;
  /// Creates a directory of mode 0700 for `owner`. One that exists must belong to `owner` already.
  Result<Done> make_directory(const std::string& name, Owner owner) const;

 private:
  PrivateDirectory(std::filesystem::path path, OwnedDescriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}
  std::filesystem::path path_;
  OwnedDescriptor descriptor_;
};

}  // namespace backstitch::postgres
