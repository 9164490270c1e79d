#include "private_postgres.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

/// libpqxx 6.4 loses the result of a statement whose connection broke, about 2 kB each time.
/// The sanitizer's own name for its hook.
extern "C" const char* __lsan_default_suppressions();   // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
  return "leak:libpqxx\n";
}

namespace backstitch::test {
namespace {

namespace fs = std::filesystem;

/// Between two looks at a condition that has a deadline.
void poll_pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // poll
}

fs::path programs() {
  if (const char* given = std::getenv("BACKSTITCH_POSTGRES_BIN")) return given;
  fs::path newest;
  const fs::path debian = "/usr/lib/postgresql";
  if (fs::exists(debian)) {
    for (const auto& version : fs::directory_iterator(debian)) {
      if (fs::exists(version.path() / "bin/initdb"))
        newest = std::max(newest, version.path() / "bin");
    }
  }
  if (newest.empty())
    throw std::runtime_error("no PostgreSQL server found; set BACKSTITCH_POSTGRES_BIN");
  return newest;
}

/// A folder in memory, if the runner made one and the server need not keep anything.
fs::path parent_folder(const std::map<std::string, std::string>& settings) {
  const char* memory = std::getenv("BACKSTITCH_TEST_MEMORY");
  const auto fsync = settings.find("fsync");
  if (memory != nullptr && fsync != settings.end() && fsync->second == "off") return memory;
  return fs::temp_directory_path();
}

struct User {
  uid_t id = 0;
  gid_t group = 0;
};

std::optional<User> other_user() {
  if (geteuid() != 0) return std::nullopt;
  const passwd* entry = getpwnam("postgres");
  if (entry == nullptr) throw std::runtime_error("running as root needs a user `postgres`");
  return User{entry->pw_uid, entry->pw_gid};
}

/// Starts a program that dies with this process; its output goes to `log`.
pid_t spawn(const std::vector<std::string>& command, const std::string& folder) {
  std::vector<char*> arguments;
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  const std::string log = folder + "/log";
  const std::optional<User> user = other_user();
  const pid_t parent = getpid();

  const pid_t child = fork();
  if (child != 0) return child;
  // Only calls that are safe in a child of a process with threads.
  if (user && (setgroups(0, nullptr) != 0 || setgid(user->group) != 0 || setuid(user->id) != 0)) {
    _exit(126);
  }
  prctl(PR_SET_PDEATHSIG, SIGQUIT);  // after setuid, which clears it; SIGQUIT: immediate shutdown
  if (getppid() != parent) _exit(125);
  setpgid(0, 0);
  if (chdir(folder.c_str()) != 0) _exit(124);
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execv(arguments[0], arguments.data());
  _exit(127);
}

/// Root and the cluster's own user may connect, as `backstitch` or as the superuser.
void write_access(const std::string& data) {
  const uid_t user = other_user() ? other_user()->id : geteuid();
  std::ofstream(data + "/pg_hba.conf")
      << "local all all peer map=own\nlocal replication all peer map=own\n";
  std::ofstream map(data + "/pg_ident.conf");
  for (const std::string& name : {std::string("root"), std::string(getpwuid(user)->pw_name)})
    map << "own " << name << " backstitch\nown " << name << " postgres\n";
}

int wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// Whether the process still runs. A zombie does not: it holds no memory, and how soon it is reaped
/// is up to whichever process adopted it.
bool is_running(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const std::size_t end_of_name = stat.rfind(") ");
  return end_of_name != std::string::npos && stat.at(end_of_name + 2) != 'Z';
}

/// Server processes lead sessions of their own group, so they are found by their parent.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::ifstream list("/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) +
                     "/children");
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

}  // namespace

PrivatePostgres::PrivatePostgres(std::map<std::string, std::string> settings)
    : settings_(std::move(settings)) {
  make_folder();
  try {
    init();
    start();
    administer("create role backstitch login");
    create_database("backstitch");
  } catch (...) {
    kill();
    fs::remove_all(folder_);
    throw;
  }
}

PrivatePostgres::PrivatePostgres(StandbyOf of) : settings_(of.primary.settings_) {
  make_folder();
  try {
    copy(of.primary);
    start();
  } catch (...) {
    kill();
    fs::remove_all(folder_);
    throw;
  }
}

PrivatePostgres::~PrivatePostgres() {
  kill();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void PrivatePostgres::make_folder() {
  std::string pattern = (parent_folder(settings_) / "backstitch-pg-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  folder_ = pattern;
  const std::optional<User> user = other_user();
  if (user && chown(folder_.c_str(), user->id, user->group) != 0)
    throw std::runtime_error("chown failed");
}

void PrivatePostgres::run(const std::vector<std::string>& command) {
  if (wait_for(spawn(command, folder_)) == 0) return;
  std::ifstream log(folder_ + "/log");
  throw std::runtime_error(command.front() +
                           " failed: " + std::string(std::istreambuf_iterator<char>(log), {}));
}

void PrivatePostgres::copy(const PrivatePostgres& primary) {
  run({programs() / "pg_basebackup", "--pgdata=" + folder_ + "/data", "--write-recovery-conf",
       "--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-password",
       "--dbname=" + as_superuser(primary.url("postgres"))});
  std::ofstream(folder_ + "/data/postgresql.conf", std::ios::app)
      << "unix_socket_directories = '" << folder_ << "'\n";
}

void PrivatePostgres::init() {
  run({programs() / "initdb", "--pgdata=" + folder_ + "/data", "--auth-local=peer",
       "--auth-host=reject", "--no-sync", "--username=postgres", "--encoding=UTF8",
       "--locale=C.UTF-8", "--no-instructions"});
  write_access(folder_ + "/data");
  std::ofstream conf(folder_ + "/data/postgresql.conf", std::ios::app);
  conf << "listen_addresses = ''\nport = " << port_of_server << "\nunix_socket_directories = '"
       << folder_
       << "'\nunix_socket_permissions = 0700\nshared_buffers = '32MB'\nmax_connections = 60\n"
       // After a crash, one call syncs what would otherwise be thousands of files.
       << "recovery_init_sync_method = 'syncfs'\n";
  for (const auto& [name, value] : settings_) conf << name << " = '" << value << "'\n";
}

void PrivatePostgres::start() {
  server_ = spawn({programs() / "postgres", "-D", folder_ + "/data"}, folder_);
  await_ready();
}

void PrivatePostgres::await_ready() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  for (;;) {
    try {
      const pqxx::connection connection(as_superuser(url("postgres")));
      return;
    } catch (const pqxx::broken_connection&) {
      int status = 0;
      const bool ended = waitpid(server_, &status, WNOHANG) == server_;
      if (ended) server_ = 0;
      if (ended || std::chrono::steady_clock::now() > deadline) {
        std::ifstream log(folder_ + "/log");
        throw std::runtime_error("PostgreSQL did not start: " +
                                 std::string(std::istreambuf_iterator<char>(log), {}));
      }
      poll_pause();
    }
  }
}

void PrivatePostgres::kill() {
  if (server_ == 0) return;
  // The postmaster first, so that it starts nothing new; what it had started is then known.
  ::kill(server_, SIGSTOP);
  const std::vector<pid_t> children = children_of(server_);
  ::kill(server_, SIGKILL);
  for (const pid_t child : children) ::kill(child, SIGKILL);
  wait_for(server_);
  server_ = 0;
  // The next start refuses while an old process still holds the shared memory.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (const pid_t child : children) {
    while (is_running(child) && std::chrono::steady_clock::now() < deadline) poll_pause();
  }
}

std::string PrivatePostgres::url(const std::string& database) const {
  return "host=" + folder_ + " port=" + std::to_string(port_of_server) +
         " user=backstitch dbname=" + database;
}

std::string PrivatePostgres::socket(int port) const {
  return folder_ + "/.s.PGSQL." + std::to_string(port);
}

void PrivatePostgres::administer(const std::string& statement) {
  pqxx::connection connection(as_superuser(url("postgres")));
  pqxx::nontransaction(connection).exec(statement);
}

std::string PrivatePostgres::asked(const std::string& query, const std::string& database) {
  pqxx::connection connection(as_superuser(url(database)));
  return pqxx::nontransaction(connection).exec(query)[0][0].c_str();
}

void PrivatePostgres::promote() {
  if (asked("select pg_promote(true, 120)") != "t")
    throw std::runtime_error("the standby was not promoted");
}

std::string PrivatePostgres::create_database(const std::string& name, const std::string& original) {
  administer("create database \"" + name + "\" owner backstitch template \"" + original + "\"");
  return url(name);
}

void PrivatePostgres::drop_database(const std::string& name) {
  administer("drop database \"" + name + "\"");
}

namespace {

/// @param from the beginning of the option, which is not the first
std::string with_option(std::string url, const std::string& from, const std::string& value) {
  const std::size_t begin = url.find(from) + from.size();
  return url.replace(begin, url.find(' ', begin) - begin, value);
}

}  // namespace

std::string as_superuser(std::string url) {
  return with_option(std::move(url), " user=", "postgres");
}

std::string with_port(std::string url, int port) {
  return with_option(std::move(url), " port=", std::to_string(port));
}

}  // namespace backstitch::test
