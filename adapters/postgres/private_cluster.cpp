#include <backstitch/postgres/private_cluster.hpp>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "cluster_access.hpp"
#include "private_directory.hpp"

namespace backstitch::postgres {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

constexpr int major_min = 15;
constexpr std::chrono::seconds start_max{60};
constexpr std::chrono::seconds stop_max{20};
constexpr std::chrono::milliseconds poll_every{20};
constexpr std::chrono::seconds release_max{5};
constexpr std::size_t log_bytes_shown = 1'000;
constexpr std::uint16_t default_port = 5432;  // of the socket's name, where TCP is not used
constexpr const char* log_name = "postgres.log";
constexpr const char* password_name = "postgres.pgpass";
constexpr const char* socket_note = "socket-directory";

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

/// The user that runs the server: this one, or the `postgres` user of Debian's package for root.
struct ServerUser {
  std::string name;
  Owner owner;
};

Result<ServerUser> server_user() {
  const bool is_root = ::geteuid() == 0;
  const passwd* entry = is_root ? ::getpwnam("postgres") : ::getpwuid(::geteuid());
  if (entry != nullptr) return ServerUser{entry->pw_name, {entry->pw_uid, entry->pw_gid}};
  return failure(is_root ? "PostgreSQL refuses root, and there is no `postgres` user; install "
                           "Debian's postgresql."
                         : "The user of this process has no name, which PostgreSQL needs.");
}

/// What a child of this process inherits beside its command.
struct Inherited {
  int log;
  int lock;  ///< stays locked until the last process of the server has ended
};

/// Only async-signal-safe calls from here to exec: the parent may have threads.
[[noreturn]] void become(Owner owner, Inherited inherited, char* const* arguments) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setpgid(0, 0);
  ::umask(S_IRWXG | S_IRWXO);
  ::dup2(inherited.log, STDOUT_FILENO);
  ::dup2(inherited.log, STDERR_FILENO);
  ::fcntl(inherited.lock, F_SETFD, 0);
  const bool became = ::geteuid() != 0 || (::setgroups(0, nullptr) == 0 &&
                                           ::setgid(owner.group) == 0 && ::setuid(owner.user) == 0);
  // After the change of user, which would clear it: an orphan would hold the directory.
  ::prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (became && ::chdir("/") == 0) ::execv(arguments[0], arguments);
  ::_exit(127);
}

pid_t launch(const Arguments& command, Owner owner, Inherited inherited) {
  std::vector<char*> arguments;
  for (const auto& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) become(owner, inherited, arguments.data());
  return child;
}

bool run(const Arguments& command, Owner owner, Inherited inherited) {
  const pid_t child = launch(command, owner, inherited);
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string last_words(const OwnedDescriptor& log) {
  struct stat status {};
  std::string text(log_bytes_shown, '\0');
  if (::fstat(log.get(), &status) != 0) return {};
  const off_t from = std::max<off_t>(0, status.st_size - static_cast<off_t>(text.size()));
  const ssize_t size = ::pread(log.get(), text.data(), text.size(), from);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text.empty() ? std::string{} : " It said: " + text;
}

/// Waits for the server of a process that was just killed to end.
Result<OwnedDescriptor> lock_directory(const PrivateDirectory& directory) {
  auto held = directory.open_file("lock", O_RDWR, 0600);
  const auto until = std::chrono::steady_clock::now() + release_max;
  while (held && ::flock(held->get(), LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() > until) {
      return failure("Another `backstitch dev` uses " + directory.path().string() +
                     "; end it, or name another directory with --data.");
    }
    std::this_thread::sleep_for(poll_every);
  }
  return held;
}

bool fits_a_socket(const fs::path& socket_directory) {
  return (socket_directory / ".s.PGSQL.65535").string().size() < sizeof(sockaddr_un::sun_path);
}

/// @return whether it is a directory of mode 0700 that belongs to `owner`
bool is_private_to(const fs::path& path, Owner owner) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
         status.st_uid == owner.user && (status.st_mode & 07777) == S_IRWXU;
}

/// A directory with a short name, for a cluster whose own path is too long for a socket. It is
/// remembered, so that a restart keeps the address.
Result<fs::path> distant_socket_directory(const PrivateDirectory& directory, Owner owner) {
  const auto remembered = directory.read(socket_note);
  if (remembered && is_private_to(*remembered, owner)) return fs::path(*remembered);
  std::string made = "/tmp/backstitch-XXXXXX";
  if (::mkdtemp(made.data()) == nullptr || ::lchown(made.c_str(), owner.user, owner.group) != 0)
    return failure("Cannot make a directory for the socket: " + std::string(std::strerror(errno)));
  if (auto written = directory.write(socket_note, made, 0600); !written)
    return std::move(written).error();
  return fs::path(made);
}

Result<fs::path> socket_directory(const PrivateDirectory& directory, Owner owner) {
  fs::path nearby = directory.path() / "socket";
  if (!fits_a_socket(nearby)) return distant_socket_directory(directory, owner);
  if (auto made = directory.make_directory("socket", owner); !made) return std::move(made).error();
  return nearby;
}

/// The password over TCP, the same after a restart. Written as libpq's PGPASSFILE.
Result<std::string> tcp_password(const PrivateDirectory& directory, std::uint16_t port) {
  const auto former = directory.read(password_name);
  const auto colon = former ? former->rfind(':') : std::string::npos;
  auto password =
      colon == std::string::npos
          ? random_password()
          : Result<std::string>(former->substr(colon + 1, former->find('\n', colon) - colon - 1));
  if (!password) return password;
  const std::string line =
      "127.0.0.1:" + std::to_string(port) + ":*:backstitch:" + *password + "\n";
  if (auto written = directory.write(password_name, line, 0600); !written)
    return std::move(written).error();
  return password;
}

Arguments server_command(const fs::path& binaries, const PrivateDirectory& directory,
                         const ClusterAddress& address, bool tcp) {
  const std::string own = directory.path().string();
  return {binaries / "postgres",
          "-D",
          own + "/data",
          "-p",
          std::to_string(address.port),
          "-c",
          std::string("listen_addresses=") + (tcp ? "127.0.0.1" : ""),
          "-c",
          "unix_socket_directories=\"" + address.socket_directory.string() + "\"",
          "-c",
          "unix_socket_permissions=0700",
          "-c",
          "password_encryption=scram-sha-256",
          "-c",
          "hba_file=" + own + "/pg_hba.conf",
          "-c",
          "ident_file=" + own + "/pg_ident.conf",
          "-c",
          "max_connections=60"};
}

}  // namespace

struct PrivateCluster::Impl {
  Impl(PrivateDirectory where, OwnedDescriptor held, OwnedDescriptor output, ServerUser runs_as)
      : directory(std::move(where)),
        lock(std::move(held)),
        log(std::move(output)),
        user(std::move(runs_as)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { stop(); }

  static Result<std::unique_ptr<Impl>> open(const fs::path& path) {
    auto user = server_user();
    if (!user) return std::move(user).error();
    auto directory = PrivateDirectory::open(path, user->owner.user != ::geteuid());
    if (!directory) return std::move(directory).error();
    auto lock = lock_directory(*directory);
    if (!lock) return std::move(lock).error();
    auto log = directory->open_file(log_name, O_RDWR | O_APPEND, 0600);
    if (!log) return std::move(log).error();
    return std::make_unique<Impl>(std::move(*directory), std::move(*lock), std::move(*log),
                                  std::move(*user));
  }

  Error failed(const std::string& what) const { return failure(what + "." + last_words(log)); }

  Result<Done> make_data(const fs::path& binaries) const {
    const fs::path data = directory.path() / "data";
    const fs::path begun = directory.path() / "data.new";
    std::error_code error;
    // Under the lock, so nothing works on it: whoever began it was ended.
    fs::remove_all(begun, error);
    if (error) return failure("Cannot remove " + begun.string() + ": " + error.message() + ".");
    if (fs::exists(data / "PG_VERSION", error))
      return directory.make_directory("data", user.owner);  // checks its owner
    if (auto made = directory.make_directory("data.new", user.owner); !made) return made;
    // The same whatever the locale of the shell is.
    if (!run({binaries / "initdb", "-D", begun, "-U", cluster_superuser, "--auth-local=peer",
              "--auth-host=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--lc-messages=C",
              "--no-instructions"},
             user.owner, {log.get(), lock.get()}))
      return failed("initdb failed in " + begun.string());
    fs::rename(begun, data, error);
    if (error) return failure("Cannot make " + data.string() + ": " + error.message() + ".");
    return Done{};
  }

  Result<Done> write_access(bool tcp) const {
    // Readable by all, so that the database's user can read them: there is no secret in them.
    if (auto written = directory.write("pg_hba.conf", host_access(tcp), 0644); !written)
      return written;
    return directory.write("pg_ident.conf", identity_map(user.name), 0644);
  }

  Result<Done> launch_server(const fs::path& binaries, const ClusterAddress& address, bool tcp) {
    server = launch(server_command(binaries, directory, address, tcp), user.owner,
                    {log.get(), lock.get()});
    const auto until = std::chrono::steady_clock::now() + start_max;
    while (!accepts_connections(address)) {
      if (server <= 0 || ::waitpid(server, nullptr, WNOHANG) != 0) {
        server = 0;
        return failed("PostgreSQL did not start in " + directory.path().string());
      }
      if (std::chrono::steady_clock::now() > until) return failed("PostgreSQL does not answer");
      std::this_thread::sleep_for(poll_every);
    }
    return Done{};
  }

  Result<Done> start(std::uint16_t tcp_port) {
    const auto binaries = find_binaries();
    if (!binaries)
      return failure("PostgreSQL 15 or later is not installed; install Debian's postgresql.");
    const bool tcp = tcp_port != 0;
    auto sockets = socket_directory(directory, user.owner);
    if (!sockets) return std::move(sockets).error();
    auto password = tcp ? tcp_password(directory, tcp_port) : Result<std::string>(std::string{});
    if (!password) return std::move(password).error();
    const ClusterAddress address{*sockets, tcp ? tcp_port : default_port};
    if (auto made = make_data(*binaries); !made) return made;
    if (auto written = write_access(tcp); !written) return written;
    if (auto launched = launch_server(*binaries, address, tcp); !launched) return launched;
    url = socket_url(address, "backstitch", "backstitch");
    if (tcp) password_file = directory.path() / password_name;
    return prepare_database(address, *password);
  }

  Result<Done> check() {
    if (server > 0 && ::waitpid(server, nullptr, WNOHANG) == 0) return Done{};
    server = 0;
    return failed("PostgreSQL has ended in " + directory.path().string());
  }

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

  PrivateDirectory directory;
  OwnedDescriptor lock;
  OwnedDescriptor log;
  ServerUser user;
  pid_t server = 0;
  std::string url;
  fs::path password_file;
};

PrivateCluster::PrivateCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PrivateCluster::PrivateCluster(PrivateCluster&&) noexcept = default;
PrivateCluster& PrivateCluster::operator=(PrivateCluster&&) noexcept = default;
PrivateCluster::~PrivateCluster() = default;
const std::string& PrivateCluster::url() const {
  return impl_->url;
}
Result<Done> PrivateCluster::check() {
  return impl_->check();
}
const fs::path& PrivateCluster::password_file() const {
  return impl_->password_file;
}

Result<PrivateCluster> PrivateCluster::start(const Options& options) {
  auto impl = Impl::open(options.directory);
  if (!impl) return std::move(impl).error();
  if (auto started = (*impl)->start(options.tcp_port); !started) return std::move(started).error();
  return PrivateCluster(std::move(*impl));
}

}  // namespace backstitch::postgres
