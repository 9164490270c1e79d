// Secrets as files: which services may use which, and which files are refused.
#include <backstitch/system/secrets.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include <doctest/doctest.h>

using backstitch::system::secret_bytes_max;
using backstitch::system::SecretsDirectory;

namespace {

namespace fs = std::filesystem;

/// A directory of secrets, removed with this object.
struct Files {
  Files() {
    std::string pattern = fs::temp_directory_path() / "backstitch-secrets-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder = pattern;
  }
  ~Files() { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(folder / name, std::ios::binary) << text;
    REQUIRE(::chmod((folder / name).c_str(), mode) == 0);
  }
  SecretsDirectory secrets() {
    return SecretsDirectory(folder, [this](const std::string& path, const std::string& why) {
      refused.push_back(fs::path(path).filename().string() + ": " + why);
    });
  }

  fs::path folder;
  std::vector<std::string> refused;
};

}  // namespace

TEST_CASE("a secret is for the services of its list, and a final line break is not part of it") {
  Files files;
  files.write("token", "t0p\n");
  files.write("token.services", "bank\n  shop \r\n\nlast", 0644);
  const auto secrets = files.secrets();
  for (const char* service : {"bank", "shop", "last"}) {
    CAPTURE(service);
    CHECK(secrets.find("token", service) == "t0p");
  }
  for (const char* service : {"", "ban", "bank ", "bankshop", "Bank", "bank\nshop", "token", "*"}) {
    CAPTURE(service);
    CHECK_FALSE(secrets.find("token", service));
  }
  CHECK(files.refused.empty());
}

TEST_CASE("without a list no service may use a secret, nor a service that is not registered") {
  Files files;
  files.write("bare", "x");
  files.write("empty", "x");
  files.write("empty.services", "\n\n");
  CHECK_FALSE(files.secrets().find("bare", "bank"));
  CHECK_FALSE(files.secrets().find("bare", ""));
  CHECK_FALSE(files.secrets().find("empty", "bank"));
  CHECK_FALSE(files.secrets().find("empty", ""));
}

TEST_CASE("the names of lists, paths and hidden files are not the names of secrets") {
  Files files;
  for (const char* name : {"token", "token.services", ".hidden", "a.services"}) {
    files.write(name, "bank");
    files.write(std::string(name) + ".services", "bank");
  }
  fs::create_directory(files.folder / "sub");
  files.write("sub/token", "x");
  files.write("sub/token.services", "bank");
  const auto secrets = files.secrets();
  CHECK(secrets.find("token", "bank"));
  const std::string absolute = files.folder / "token";
  for (const std::string& name :
       {std::string("token.services"), std::string("a.services"), std::string(".hidden"),
        std::string("sub/token"), std::string("../") + files.folder.filename().string() + "/token",
        absolute, std::string(""), std::string("."), std::string(".."),
        std::string("to\0ken", 6)}) {
    CAPTURE(name);
    CHECK_FALSE(secrets.find(name, "bank"));
  }
}

TEST_CASE("a file that every user can read is refused, with a reason told once") {
  Files files;
  files.write("token", "x", 0604);
  files.write("token.services", "bank");
  const auto secrets = files.secrets();
  CHECK_FALSE(secrets.find("token", "bank"));
  CHECK_FALSE(secrets.find("token", "bank"));
  CHECK(files.refused ==
        std::vector<std::string>{"token: every user can use it; take that away with chmod o-rwx"});
  files.write("token", "x", 0640);
  CHECK(secrets.find("token", "bank") == "x");
  files.write("token", "x", 0602);
  CHECK_FALSE(secrets.find("token", "bank"));
  CHECK(files.refused.size() == 2);
}

TEST_CASE("a list that another user can write is refused") {
  Files files;
  files.write("token", "x");
  for (const mode_t mode : {0620, 0602}) {
    files.write("token.services", "bank", mode);
    CHECK_FALSE(files.secrets().find("token", "bank"));
  }
  CHECK(files.refused.size() == 2);
  CHECK(files.refused.front() == "token.services: other users can write to it; use chmod go-w");
}

TEST_CASE("only regular files of a bounded size are read") {
  Files files;
  for (const char* name : {"folder", "pipe", "socket", "large", "fits", "loop", "link"})
    files.write(std::string(name) + ".services", "bank");
  fs::create_directory(files.folder / "folder");
  REQUIRE(mkfifo((files.folder / "pipe").c_str(), 0600) == 0);
  files.write("large", std::string(secret_bytes_max + 1, 'x'));
  files.write("fits", std::string(secret_bytes_max, 'x'));
  fs::create_symlink("loop", files.folder / "loop");
  fs::create_symlink("fits", files.folder / "link");
  const auto secrets = files.secrets();
  for (const char* name : {"folder", "pipe", "socket", "large", "loop"}) {
    CAPTURE(name);
    CHECK_FALSE(secrets.find(name, "bank"));
  }
  CHECK(secrets.find("fits", "bank")->size() == secret_bytes_max);
  // As containers mount them.
  CHECK(secrets.find("link", "bank")->size() == secret_bytes_max);
  CHECK(files.refused.size() == 4);
}

TEST_CASE("a directory in the place of the list is refused like a missing one") {
  Files files;
  files.write("token", "x");
  fs::create_directory(files.folder / "token.services");
  CHECK_FALSE(files.secrets().find("token", "bank"));
}

TEST_CASE("a rotated secret is read at its next use") {
  Files files;
  files.write("token", "old");
  files.write("token.services", "bank");
  const auto secrets = files.secrets();
  CHECK(secrets.find("token", "bank") == "old");
  files.write("token", "new");
  CHECK(secrets.find("token", "bank") == "new");
  files.write("token.services", "shop");
  CHECK_FALSE(secrets.find("token", "bank"));
}

TEST_CASE("without a directory there are no secrets") {
  CHECK_FALSE(SecretsDirectory("").find("token", "bank"));
  CHECK_FALSE(SecretsDirectory("/nonexistent").find("token", "bank"));
}
