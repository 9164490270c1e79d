#include "bench_load.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <queue>
#include <sstream>
#include <thread>

namespace backstitch::app {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t batch_max = 500;
constexpr std::size_t senders = 4;
constexpr std::chrono::milliseconds poll_every{4};
constexpr std::chrono::milliseconds refused_pause{50};

Json step(const char* name, const std::string& http) {
  return {
      {"name", name},
      {"action", {{"service", "bench"}, {"http", http}, {"body", {{"amount", "${input.amount}"}}}}},
      {"compensation", {{"http", "DELETE /bench/${saga.root}-" + std::string(name)}}}};
}

Json definition(const std::string& workload) {
  const bool refused = workload == "W2";
  const std::string last =
      refused ? "PUT /bench-refuse/${saga.root}-c" : "PUT /bench/${saga.root}-c";
  return {{"dsl", 1},
          {"name", refused ? "bench.w2" : "bench.w1"},
          {"version", 1},
          {"services", {{"bench", {{"use", "bench"}}}}},
          {"input",
           {{"type", "object"},
            {"properties", {{"amount", {{"type", "integer"}}}}},
            {"required", {"amount"}}}},
          {"steps",
           {step("a", "PUT /bench/${saga.root}-a"), step("b", "PUT /bench/${saga.root}-b"),
            step("c", last)}}};
}

std::string definition_name(const std::string& workload) {
  return workload == "W2" ? "bench.w2" : "bench.w1";
}

/// User and system time of a process, in milliseconds; 0 for one that is gone.
double cpu_ms(int pid, int* parent = nullptr) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto after_name = text.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(after_name + 2));
  std::string skipped;
  int parent_pid = 0;
  fields >> skipped >> parent_pid;
  for (int i = 0; i < 9; ++i) fields >> skipped;
  double user = 0, system = 0, dead_user = 0, dead_system = 0;
  fields >> user >> system >> dead_user >> dead_system;
  if (parent != nullptr) *parent = parent_pid;
  return (user + system + dead_user + dead_system) * 1000.0 /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double cpu_ms_with_children(int pid) {
  if (pid == 0) return 0;
  double total = cpu_ms(pid);
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) return total;
  while (const auto* entry = ::readdir(directory)) {
    const int candidate = std::atoi(entry->d_name);
    int parent = 0;
    if (candidate > 0) {
      const double own = cpu_ms(candidate, &parent);
      if (parent == pid) total += own;
    }
  }
  ::closedir(directory);
  return total;
}

struct Snapshot {
  Steady::time_point at;
  std::map<std::string, double> counters;
  double engine_cpu = 0;
  double postgres_cpu = 0;
};

Result<Snapshot> snapshot(BenchTarget& target, const LoadOptions& options) {
  auto values = target.counters();
  if (!values) return std::move(values).error();
  double engine_cpu = 0;
  for (const int pid : options.engine_pids) engine_cpu += cpu_ms(pid);
  return Snapshot{Steady::now(), std::move(*values), engine_cpu,
                  cpu_ms_with_children(options.postgres_pid)};
}

double percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto index =
      static_cast<std::size_t>(std::lround(share * static_cast<double>(sorted.size() - 1)));
  return sorted[index];
}

LoadResult result_of(const Snapshot& from, const Snapshot& to, std::vector<double> latencies) {
  const auto delta = [&](const char* name) {
    return to.counters.at(name) - from.counters.at(name);
  };
  const double seconds = std::chrono::duration<double>(to.at - from.at).count();
  const double ended = std::max(delta("sagas_ended_total"), 1.0);
  std::sort(latencies.begin(), latencies.end());
  return {.sagas_per_second = delta("sagas_ended_total") / seconds,
          .p50_ms = percentile(latencies, 0.50),
          .p99_ms = percentile(latencies, 0.99),
          .engine_cpu_ms = (to.engine_cpu - from.engine_cpu) / ended,
          .postgres_cpu_ms = (to.postgres_cpu - from.postgres_cpu) / ended,
          .appends_per_saga = delta("appends_total") / ended,
          .commits_per_saga = delta("commits_total") / ended,
          .mean_batch = delta("appends_total") / std::max(delta("commits_total"), 1.0)};
}

/// Latencies of sagas run one after the other.
class Probe {
 public:
  Probe(BenchTarget& target, const LoadOptions& options)
      : single_(target.single(definition_name(options.workload))) {
    thread_ = std::thread([this] { run(); });
  }
  ~Probe() { stop(); }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  /// From now on times are kept.
  void measure() { measuring_ = true; }
  /// In milliseconds.
  std::vector<double> stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return std::move(latencies_);
  }

 private:
  void run() {
    while (!stopping_) {
      const auto began = Steady::now();
      if (!single_()) {
        std::this_thread::sleep_for(refused_pause);
      } else if (measuring_) {
        latencies_.push_back(
            std::chrono::duration<double, std::milli>(Steady::now() - began).count());
      }
    }
  }

  BenchTarget::Single single_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> measuring_{false};
  std::vector<double> latencies_;
  std::thread thread_;
};

/// Sends batches of starts from a few threads, so that a slow commit does not hold up the next
/// batch.
class Senders {
 public:
  Senders(BenchTarget& target, const LoadOptions& options)
      : target_(target), definition_(definition_name(options.workload)) {
    for (std::size_t i = 0; i < senders; ++i) threads_.emplace_back([this] { run(); });
  }
  ~Senders() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  Senders(const Senders&) = delete;
  Senders& operator=(const Senders&) = delete;

  void send(std::size_t count) {
    started_ += count;
    {
      const std::lock_guard lock(mutex_);
      queue_.push(count);
    }
    changed_.notify_one();
  }
  /// Starts that were sent less those that were refused.
  std::size_t started() const { return started_; }

 private:
  void run() {
    while (const auto count = next()) started_ -= *count - target_.start(definition_, *count);
  }

  std::optional<std::size_t> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return std::nullopt;
    const std::size_t count = queue_.front();
    queue_.pop();
    return count;
  }

  BenchTarget& target_;
  const std::string definition_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::size_t> queue_;
  bool stopping_ = false;
  std::atomic<std::size_t> started_{0};
  std::vector<std::thread> threads_;
};

/// Keeps `in_flight` sagas going until `until`.
Result<Done> keep_going(BenchTarget& target, Senders& load, double ended_before,
                        std::size_t in_flight, Steady::time_point until) {
  const std::size_t worth_sending = std::max<std::size_t>(1, in_flight / 20);
  while (Steady::now() < until) {
    const auto now = target.counters();
    if (!now) return now.error();
    const auto ended = static_cast<std::size_t>(now->at("sagas_ended_total") - ended_before);
    const std::size_t running = load.started() > ended ? load.started() - ended : 0;
    std::size_t lacking = in_flight > running ? in_flight - running : 0;
    if (lacking < worth_sending) lacking = 0;
    while (lacking > 0) {
      const std::size_t count = std::min(lacking, batch_max);
      load.send(count);
      lacking -= count;
    }
    std::this_thread::sleep_for(poll_every);
  }
  return Done{};
}

Steady::time_point after(double seconds) {
  return Steady::now() +
         std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(seconds));
}

Result<LoadResult> run_single(const LoadOptions& options, BenchTarget& target) {
  Probe probe(target, options);
  std::this_thread::sleep_until(after(options.warm_up_seconds));
  const auto from = snapshot(target, options);
  if (!from) return from.error();
  probe.measure();
  std::this_thread::sleep_until(after(options.seconds));
  const auto to = snapshot(target, options);
  if (!to) return to.error();
  return result_of(*from, *to, probe.stop());
}

}  // namespace

Json to_json(const LoadOptions& options, const LoadResult& result) {
  return {
      {"workload", options.workload},
      {"inFlight", options.in_flight},
      {"sagasPerSecond", result.sagas_per_second},
      {"p50Ms", result.p50_ms},
      {"p99Ms", result.p99_ms},
      {"cpuMsPerSaga", {{"engine", result.engine_cpu_ms}, {"postgres", result.postgres_cpu_ms}}},
      {"appendsPerSaga", result.appends_per_saga},
      {"commitsPerSaga", result.commits_per_saga},
      {"meanBatch", result.mean_batch}};
}

Result<Done> prepare_load(BenchTarget& target, const std::string& participants) {
  if (auto stored = target.put_service("bench", {{"baseUrl", participants}}); !stored)
    return stored;
  for (const char* workload : {"W1", "W2"}) {
    if (auto done = target.register_definition(definition(workload)); !done) return done;
  }
  return Done{};
}

Result<LoadResult> run_load(const LoadOptions& options, BenchTarget& target) {
  if (options.in_flight <= 1) return run_single(options, target);
  const auto before = target.counters();
  if (!before) return before.error();
  const double ended_before = before->at("sagas_ended_total");
  const auto load_for = [&](Senders& load, double seconds) {
    return keep_going(target, load, ended_before, options.in_flight, after(seconds));
  };
  Senders load(target, options);
  Probe probe(target, options);
  if (auto warm = load_for(load, options.warm_up_seconds); !warm) return warm.error();
  const auto from = snapshot(target, options);
  if (!from) return from.error();
  probe.measure();
  if (auto run = load_for(load, options.seconds); !run) return run.error();
  const auto to = snapshot(target, options);
  if (!to) return to.error();
  return result_of(*from, *to, probe.stop());
}

}  // namespace backstitch::app
