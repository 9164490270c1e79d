#include <backstitch/system/failpoint.hpp>

#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace backstitch::system {
namespace {

std::int64_t from_environment() {
  const char* value = std::getenv("BACKSTITCH_KILL_AT");
  if (value == nullptr) return 0;
  const std::string_view text(value);
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && rest == text.data() + text.size() && number > 0 ? number : 0;
}

std::atomic<std::int64_t> reached{0};

}  // namespace

const std::int64_t kill_at = from_environment();

void reach_failpoint(const char* name) {
  if (++reached != kill_at) return;
  const std::string line =
      "killed at failpoint " + std::to_string(kill_at) + ": " + std::string(name) + "\n";
  // Straight to the kernel: whatever is buffered is lost, as it would be.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  ::raise(SIGKILL);
}

}  // namespace backstitch::system
