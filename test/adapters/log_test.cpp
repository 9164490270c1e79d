#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include <backstitch/telemetry/log.hpp>

namespace backstitch::telemetry {
namespace {

/// A pipe in the place of standard error.
class StandardError {
 public:
  StandardError() : former_(::dup(STDERR_FILENO)) {
    REQUIRE(::pipe2(pipe_.data(), O_NONBLOCK) == 0);
    ::dup2(pipe_[1], STDERR_FILENO);
  }
  ~StandardError() {
    ::dup2(former_, STDERR_FILENO);
    for (const int descriptor : {former_, pipe_[0], pipe_[1]}) ::close(descriptor);
  }
  StandardError(const StandardError&) = delete;
  StandardError& operator=(const StandardError&) = delete;

  /// Whoever writes from now on waits for a reader.
  void fill() const {
    const std::array<char, 4'096> page{};
    while (::write(pipe_[1], page.data(), page.size()) > 0) {
    }
    ::fcntl(pipe_[1], F_SETFL, 0);
  }
  std::string read() const {
    std::string text(65'536, '\0');
    const auto size = ::read(pipe_[0], text.data(), text.size());
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

 private:
  int former_;
  std::array<int, 2> pipe_{};
};

TEST_CASE("closing the log writes what is queued") {
  const StandardError error;
  LogObserver log({});
  for (int i = 0; i < 3; ++i) log.note(engine::Level::info, "noted", {});
  CHECK(log.close(std::chrono::minutes(1)));
  const std::string text = error.read();
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
}

TEST_CASE("a log that nobody reads drops and counts lines, and closing it takes bounded time") {
  // In a process of its own: the thread that writes the log never ends.
  constexpr int kept_the_promise = 42;
  const pid_t child = ::fork();
  if (child == 0) {
    const StandardError error;
    error.fill();
    LogObserver log({});
    const bool none_dropped = log.dropped() == 0;
    for (int i = 0; i < 20'000; ++i) log.note(engine::Level::info, "noted", {});
    const bool are_dropped = log.dropped() > 10'000;
    ::_exit(none_dropped && are_dropped && !log.close(Duration(50)) ? kept_the_promise : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == kept_the_promise);
}

}  // namespace
}  // namespace backstitch::telemetry
