#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace backstitch::examples {

/// Runs what is due later on one thread of its own, in the order of its time.
///
/// Threads: `after` from any, tasks included. The destructor drops what is not yet due and waits
/// for a task that runs. Tasks must not throw.
class Later {
 public:
  Later();
  ~Later();
  Later(const Later&) = delete;
  Later& operator=(const Later&) = delete;

  void after(std::chrono::milliseconds wait, std::function<void()> task);

 private:
  using Clock = std::chrono::steady_clock;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Clock::time_point, std::function<void()>> tasks_;
  bool ends_ = false;
  std::thread thread_;  ///< last: it uses the others
};

/// POSTs a JSON body to an http URL and returns the status of the answer; 0 if none came within
/// five seconds, or the URL is not one. Blocks.
unsigned post_json(std::string_view url, std::string_view body);

}  // namespace backstitch::examples
