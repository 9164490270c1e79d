#include "process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "exit_code.hpp"

namespace backstitch::app {

void open_standard_descriptors() {
  for (int descriptor = 0; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The lowest that is free: this one.
    if (::open("/dev/null", O_RDWR) != descriptor) std::_Exit(exit_unreachable);
  }
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
