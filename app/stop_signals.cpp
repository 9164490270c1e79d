#include "stop_signals.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "exit_code.hpp"
#include "process.hpp"

namespace backstitch::app {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

void end_on_signal(int signal) {
  ::_exit(128 + signal);
}

}  // namespace

void StopSignals::block() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

StopSignals::StopSignals(Options options)
    : options_(std::move(options)), thread_([this] { run(); }) {}

StopSignals::~StopSignals() {
  ended_ = true;
  ::pthread_kill(thread_.native_handle(), SIGHUP);  // wakes it
  thread_.join();
}

void StopSignals::begin_serving() {
  const std::lock_guard lock(mutex_);
  phase_ = asked_ ? Phase::stopping : Phase::serving;
  deadline_ = asked_ ? Clock::now() + options_.stop_max : Clock::time_point::max();
}

bool StopSignals::wait_for(Duration time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return asked_; });
}

void StopSignals::run() {
  while (!ended_) {
    const int signal = next_signal();
    if (ended_) return;
    if (signal == SIGHUP && options_.on_hangup) {
      options_.on_hangup();
      continue;
    }
    const std::lock_guard lock(mutex_);
    if (signal > 0) on_signal();
    if (Clock::now() >= deadline_) on_deadline();
  }
}

int StopSignals::next_signal() {
  const sigset_t set = stop_signals();
  std::unique_lock lock(mutex_);
  const auto until = deadline_;
  lock.unlock();
  // Only this thread sets a deadline; begin_serving() moves it to a later time, or takes it away.
  if (until == Clock::time_point::max()) return ::sigwaitinfo(&set, nullptr);
  const auto left = std::max(until - Clock::now(), Clock::duration(0));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec time{static_cast<std::time_t>(seconds.count()),
                      static_cast<long>(std::chrono::nanoseconds(left - seconds).count())};
  return ::sigtimedwait(&set, nullptr, &time);
}

void StopSignals::on_signal() {
  if (phase_ == Phase::stopping) end_at_once("ended by a second signal", exit_forced);
  if (asked_) return on_deadline();
  asked_ = true;
  const bool is_serving = phase_ == Phase::serving;
  if (is_serving) phase_ = Phase::stopping;
  deadline_ = Clock::now() + (is_serving ? options_.stop_max : options_.start_grace);
  changed_.notify_all();
}

void StopSignals::on_deadline() {
  if (phase_ == Phase::starting) end_at_once("stopped by a signal during the start", exit_done);
  end_at_once("ended: the stop took longer than " + to_text(options_.stop_max), exit_forced);
}

void end_on_signals_as_init() {
  if (::getpid() != 1) return;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, end_on_signal);
}

}  // namespace backstitch::app
