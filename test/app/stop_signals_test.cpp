#include <doctest/doctest.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <optional>

#include "exit_code.hpp"
#include "process.hpp"
#include "stop_signals.hpp"

namespace backstitch::app {
namespace {

constexpr Duration never{3'600'000};
constexpr Duration soon{20};
constexpr int returned = 42;
constexpr int not_permitted = 43;
constexpr unsigned test_max_s = 60;  // SIGALRM then ends the child

/// What becomes of a process: its exit code, or 128 and the signal that ended it.
int end_of(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(test_max_s);
    body();
    ::_exit(returned);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The same as PID 1 of a namespace. @return nothing where that is not permitted
std::optional<int> end_as_init(const std::function<void()>& body) {
  const int end = end_of([&] {
    if (::unshare(CLONE_NEWPID) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
      ::_exit(not_permitted);
    ::_exit(end_of(body));
  });
  if (end == not_permitted) {
    MESSAGE("skipped: no PID namespace may be made here");
    return std::nullopt;
  }
  return end;
}

void raise_in_process(int signal) {
  ::kill(::getpid(), signal);
}

[[noreturn]] void be_stuck() {
  for (;;) ::pause();
}

void stop_twice() {
  StopSignals::block();
  StopSignals signals({.stop_max = never});
  signals.begin_serving();
  raise_in_process(SIGTERM);
  signals.wait_for(never);
  raise_in_process(SIGTERM);
  be_stuck();
}

void stop_for_too_long() {
  StopSignals::block();
  StopSignals signals({.stop_max = soon});
  signals.begin_serving();
  raise_in_process(SIGTERM);
  be_stuck();
}

TEST_CASE("a signal ends a start that hangs, and that is no failure") {
  for (const int signal : {SIGINT, SIGTERM}) {
    CHECK(end_of([&] {
            StopSignals::block();
            const StopSignals signals({.start_grace = soon});
            raise_in_process(signal);
            be_stuck();
          }) == exit_done);
  }
}

TEST_CASE("a second signal ends a start at once") {
  CHECK(end_of([] {
          StopSignals::block();
          const StopSignals signals({.start_grace = never});
          // Two of a kind at once are one.
          raise_in_process(SIGTERM);
          raise_in_process(SIGINT);
          be_stuck();
        }) == exit_done);
}

TEST_CASE("a start that is complete within the grace is stopped in order") {
  CHECK(end_of([] {
          StopSignals::block();
          StopSignals signals({.start_grace = never});
          raise_in_process(SIGTERM);
          signals.begin_serving();
          if (!signals.wait_for(never)) be_stuck();
        }) == returned);
}

TEST_CASE(
    "a second signal and the end of its time cut a stop short, with an exit code of their own") {
  CHECK(end_of(stop_twice) == exit_forced);
  CHECK(end_of(stop_for_too_long) == exit_forced);
}

TEST_CASE("a stop is bounded as PID 1, too") {
  if (const auto end = end_as_init(stop_twice)) CHECK(*end == exit_forced);
  if (const auto end = end_as_init(stop_for_too_long)) CHECK(*end == exit_forced);
}

TEST_CASE("a stop is cut short although standard error takes nothing") {
  CHECK(end_of([] {
          std::array<int, 2> pipe{};
          if (::pipe2(pipe.data(), O_NONBLOCK) != 0) return;
          const std::array<char, 4'096> page{};
          while (::write(pipe[1], page.data(), page.size()) > 0) {
          }
          ::fcntl(pipe[1], F_SETFL, 0);
          ::dup2(pipe[1], STDERR_FILENO);
          stop_twice();
        }) == exit_forced);
}

TEST_CASE("SIGHUP is what the server makes of it") {
  CHECK(end_of([] {
          StopSignals::block();
          std::atomic<bool> called = false;
          StopSignals signals({.on_hangup = [&] {
            called = true;
            called.notify_all();
          }});
          signals.begin_serving();
          raise_in_process(SIGHUP);
          called.wait(false);
          if (signals.wait_for(Duration(0))) be_stuck();
        }) == returned);
  CHECK(end_of([] {
          StopSignals::block();
          StopSignals signals({});
          signals.begin_serving();
          raise_in_process(SIGHUP);
          if (!signals.wait_for(never)) be_stuck();
        }) == returned);
}

TEST_CASE("signals end any command as PID 1") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const auto end = end_as_init([&] {
      end_on_signals_as_init();
      raise_in_process(signal);
      be_stuck();
    });
    if (end) CHECK(*end == 128 + signal);
  }
}

}  // namespace
}  // namespace backstitch::app
