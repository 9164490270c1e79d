#include <backstitch/postgres/private_cluster.hpp>

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>
#include <vector>

namespace backstitch::postgres {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

constexpr int major_min = 15;
constexpr std::chrono::seconds start_max{60};
constexpr std::chrono::seconds stop_max{20};
constexpr std::chrono::milliseconds poll_every{20};
constexpr std::size_t log_bytes_shown = 1'000;

Error failure(const std::string& message) {
  return {ErrorCode::unavailable, "private-cluster-failed", message};
}

/// Where Debian puts the newest PostgreSQL that will do.
std::optional<fs::path> find_binaries() {
  std::optional<fs::path> best;
  int best_major = major_min - 1;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    const std::string name = entry.path().filename().string();
    int major = 0;
    std::from_chars(name.data(), name.data() + name.size(), major);
    if (major > best_major && fs::exists(entry.path() / "bin" / "postgres")) {
      best_major = major;
      best = entry.path() / "bin";
    }
  }
  return best;
}

/// The user to become, if this is root.
const passwd* unprivileged_user() {
  return ::getuid() == 0 ? ::getpwnam("postgres") : nullptr;
}

/// Only async-signal-safe calls from here to exec: the parent may have threads.
[[noreturn]] void become(const passwd* user, int output, char* const* arguments) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setpgid(0, 0);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  const bool became =
      user == nullptr ||
      (::setgroups(0, nullptr) == 0 && ::setgid(user->pw_gid) == 0 && ::setuid(user->pw_uid) == 0);
  // After the change of user, which would clear it: an orphan would hold the directory.
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (became && ::chdir("/") == 0) ::execv(arguments[0], arguments);
  ::_exit(127);
}

pid_t launch(const Arguments& command, const fs::path& log) {
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  std::vector<char*> arguments;
  for (const auto& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  const passwd* user = unprivileged_user();
  const pid_t child = ::fork();
  if (child == 0) become(user, output, arguments.data());
  if (output >= 0) ::close(output);
  return child;
}

bool run(const Arguments& command, const fs::path& log) {
  const pid_t child = launch(command, log);
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string last_words(const fs::path& log) {
  std::ifstream file(log, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (text.size() > log_bytes_shown) text = text.substr(text.size() - log_bytes_shown);
  return text.empty() ? std::string{} : " It said: " + text;
}

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(probe, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(probe);
  return bound ? ntohs(address.sin_port) : 0;
}

Result<Done> prepare_directory(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return failure("Cannot make " + directory.string() + ": " + error.message() + ".");
  if (::getuid() != 0) return Done{};
  const passwd* user = unprivileged_user();
  if (user == nullptr) {
    return failure(
        "PostgreSQL refuses root, and there is no `postgres` user; install Debian's postgresql.");
  }
  if (::chown(directory.c_str(), user->pw_uid, user->pw_gid) != 0) {
    return failure("Cannot hand " + directory.string() +
                   " to the postgres user: " + std::strerror(errno) + ".");
  }
  return Done{};
}

bool answers(const std::string& url) {
  return ::PQping(url.c_str()) == PQPING_OK;
}

Result<Done> create_database(const std::string& maintenance_url) {
  PGconn* connection = ::PQconnectdb(maintenance_url.c_str());
  PGresult* found = ::PQexec(connection, "select 1 from pg_database where datname = 'backstitch'");
  const bool there = ::PQresultStatus(found) == PGRES_TUPLES_OK && ::PQntuples(found) == 1;
  ::PQclear(found);
  bool made = there;
  if (!there) {
    PGresult* created = ::PQexec(connection, "create database backstitch");
    made = ::PQresultStatus(created) == PGRES_COMMAND_OK;
    ::PQclear(created);
  }
  const std::string reason = ::PQerrorMessage(connection);
  ::PQfinish(connection);
  if (!made) return failure("Cannot create the database: " + reason);
  return Done{};
}

}  // namespace

struct PrivateCluster::Impl {
  ~Impl() { stop(); }

  /// Waits for `most`; true if the server is gone.
  bool gone_within(std::chrono::seconds most) const {
    const auto until = std::chrono::steady_clock::now() + most;
    while (std::chrono::steady_clock::now() < until) {
      if (::waitpid(server, nullptr, WNOHANG) != 0) return true;
      std::this_thread::sleep_for(poll_every);
    }
    return false;
  }

  void stop() {
    if (server <= 0) return;
    ::kill(server, SIGINT);  // fast shutdown: sessions end, everything is written
    if (!gone_within(stop_max)) {
      ::kill(server, SIGKILL);
      ::waitpid(server, nullptr, 0);
    }
    server = 0;
  }

  pid_t server = 0;
  std::string url;
};

PrivateCluster::PrivateCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PrivateCluster::PrivateCluster(PrivateCluster&&) noexcept = default;
PrivateCluster& PrivateCluster::operator=(PrivateCluster&&) noexcept = default;
PrivateCluster::~PrivateCluster() = default;
const std::string& PrivateCluster::url() const {
  return impl_->url;
}
int PrivateCluster::pid() const {
  return impl_->server;
}

Result<PrivateCluster> PrivateCluster::start(const Options& options) {
  const auto binaries = find_binaries();
  if (!binaries)
    return failure("PostgreSQL 15 or later is not installed; install Debian's postgresql.");
  const fs::path directory = fs::absolute(options.directory);
  if (auto prepared = prepare_directory(directory); !prepared) return std::move(prepared).error();
  const fs::path data = directory / "data";
  const fs::path log = directory / "postgres.log";
  std::error_code ignored;
  if (!fs::exists(data / "PG_VERSION", ignored) &&
      !run({*binaries / "initdb", "-D", data, "-U", "backstitch", "--auth=trust", "--encoding=UTF8",
            "--no-instructions"},
           log)) {
    return failure("initdb failed in " + data.string() + "." + last_words(log));
  }
  const std::string port = std::to_string(free_port());
  auto impl = std::make_unique<Impl>();
  impl->server =
      launch({*binaries / "postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
              "-c", "unix_socket_directories=" + directory.string(), "-c", "max_connections=60"},
             log);
  const std::string host = "postgresql://backstitch@127.0.0.1:" + port;
  const auto until = std::chrono::steady_clock::now() + start_max;
  while (!answers(host + "/postgres")) {
    if (impl->server <= 0 || ::waitpid(impl->server, nullptr, WNOHANG) != 0) {
      impl->server = 0;
      return failure("PostgreSQL did not start in " + directory.string() + "." + last_words(log));
    }
    if (std::chrono::steady_clock::now() > until)
      return failure("PostgreSQL does not answer." + last_words(log));
    std::this_thread::sleep_for(poll_every);
  }
  if (auto created = create_database(host + "/postgres"); !created)
    return std::move(created).error();
  impl->url = host + "/backstitch";
  return PrivateCluster(std::move(impl));
}

}  // namespace backstitch::postgres
