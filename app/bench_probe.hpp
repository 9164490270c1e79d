#pragma once
/// The latency that a client sees, measured over a plain kept connection: the typed client adds a
/// quarter of a millisecond of its own, which is not the engine's.
#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

namespace backstitch::app {

/// Starts sagas one after the other, waits for the end of each, and takes the time.
/// Threads: one of its own; members from the thread that made it.
class Probe {
 public:
  /// @param server  http://host:port
  Probe(std::string server, std::string token, std::string definition);
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  /// From now on times are kept.
  void measure();
  /// Milliseconds of each saga that completed or was undone. Empty if no call went through.
  std::vector<double> stop();

 private:
  void run();
  void run_connected();

  std::string server_;
  std::string token_;
  std::string definition_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> measuring_{false};
  std::vector<double> latencies_;
  std::thread thread_;
};

}  // namespace backstitch::app
