#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "exit_code.hpp"
#include "terminal.hpp"

namespace backstitch::app {

void open_standard_descriptors() {
  for (int descriptor = 0; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    const int flags = descriptor == STDOUT_FILENO ? O_RDONLY : O_RDWR;
    // The lowest that is free: this one.
    if (::open("/dev/null", flags) != descriptor) std::_Exit(exit_unreachable);
  }
}

namespace {

/// Whether a descriptor that is written to is in that state, as poll() names it, at this moment.
bool is_now(int descriptor, short state) {
  pollfd output{descriptor, POLLOUT, 0};
  return ::poll(&output, 1, 0) > 0 && (output.revents & state) != 0;
}

}  // namespace

int with_output_written(int exit_code) {
  const bool is_flushed = std::fflush(stdout) == 0;
  if (is_flushed && std::ferror(stdout) == 0) return exit_code;
  const bool is_reader_gone = is_now(STDOUT_FILENO, POLLERR);
  if (!is_reader_gone) {
    print(stderr,
          "%s Standard output could not be written, or not all of it; is the disk full? "
          "[output-lost]\n",
          Terminal().paint(Style::bad, "error:").c_str());
  }
  return exit_code == exit_done ? exit_bad : exit_code;
}

void forbid_core_dumps() {
  ::prctl(PR_SET_DUMPABLE, 0);
}

void allow_core_dumps() {
  ::prctl(PR_SET_DUMPABLE, 1);
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlimit raised{limit.rlim_max, limit.rlim_max};
  return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

namespace {

/// How long a line may take to be written before the process ends without it.
constexpr unsigned last_line_max_s = 1;

std::atomic<int> forced_exit_code = exit_broken;

void end_without_a_line(int) {
  ::_exit(forced_exit_code);
}

void write_last_line(std::string_view what) {
  std::array<char, 1'024> line{};
  const int size = std::snprintf(line.data(), line.size(), "backstitch: %.*s\n",
                                 static_cast<int>(std::min(what.size(), line.size())), what.data());
  const auto written = std::min(static_cast<std::size_t>(size), line.size() - 1);
  line[written - 1] = '\n';
  static_cast<void>(!::write(STDERR_FILENO, line.data(), written));
}

}  // namespace

void end_at_once(std::string_view what, int exit_code) {
  // The log may be written by a thread that does not get to it any more, or that fills the pipe
  // before this line: a handler then ends the process, also as PID 1, which has no default actions.
  forced_exit_code = exit_code;
  std::signal(SIGALRM, end_without_a_line);
  ::alarm(last_line_max_s);
  if (is_now(STDERR_FILENO, POLLOUT)) write_last_line(what);
  ::_exit(exit_code);
}

void end_on_unhandled_exceptions() {
  std::set_terminate([] {
    std::string what = "an exception that nothing handles";
    try {
      if (std::current_exception()) std::rethrow_exception(std::current_exception());
    } catch (const std::exception& error) {
      what = std::string("a bug: ") + error.what();
    } catch (...) {
    }
    end_at_once(what, exit_broken);
  });
}

Result<std::size_t> client_connections(std::size_t descriptor_limit, std::size_t wanted) {
  const std::size_t left = descriptor_limit - std::min(descriptor_limit, descriptors_reserved);
  const std::size_t most = left / 2;
  if (most >= client_connections_min) return std::min(wanted, most);
  return Error{ErrorCode::unavailable, "descriptor-limit-too-low",
               "Only " + std::to_string(descriptor_limit) + " files may be open; at least " +
                   std::to_string(descriptors_reserved + 2 * client_connections_min) +
                   " are needed. Raise the hard limit: ulimit -Hn, LimitNOFILE."};
}

}  // namespace backstitch::app
