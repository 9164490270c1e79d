#include "lack.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace backstitch::http {

std::optional<engine::Lack> lack_of(const boost::system::error_code& error) {
  using engine::Lack;
  namespace errc = boost::system::errc;
  if (error == errc::too_many_files_open || error == errc::too_many_files_open_in_system)
    return Lack::descriptor;
  if (error == errc::address_not_available) return Lack::port;
  if (error == errc::no_buffer_space || error == errc::not_enough_memory) return Lack::memory;
  return std::nullopt;
}

bool is_without_descriptors() {
  const int descriptor = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) ::close(descriptor);
  return descriptor < 0 && (errno == EMFILE || errno == ENFILE);
}

}  // namespace backstitch::http
