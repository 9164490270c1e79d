#include "bench_load.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>
#include <queue>
#include <sstream>
#include <thread>

#include "bench_probe.hpp"

namespace backstitch::app {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t batch_max = 500;
constexpr std::size_t senders = 4;
constexpr std::chrono::milliseconds poll_every{4};

Json step(const char* name, const std::string& http) {
  return {
      {"name", name},
      {"action", {{"service", "bench"}, {"http", http}, {"body", {{"amount", "${input.amount}"}}}}},
      {"compensation", {{"http", "DELETE /bench/${saga.id}-" + std::string(name)}}}};
}

Json definition(const std::string& workload) {
  const bool refused = workload == "W2";
  const std::string last = refused ? "PUT /bench-refuse/${saga.id}-c" : "PUT /bench/${saga.id}-c";
  return {{"dsl", 1},
          {"name", refused ? "bench.w2" : "bench.w1"},
          {"version", 1},
          {"services", {{"bench", {{"use", "bench"}}}}},
          {"input",
           {{"type", "object"},
            {"properties", {{"amount", {{"type", "integer"}}}}},
            {"required", {"amount"}}}},
          {"steps",
           {step("a", "PUT /bench/${saga.id}-a"), step("b", "PUT /bench/${saga.id}-b"),
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

/// The server's counters, by name.
Result<std::map<std::string, double>> counters(client::Client& client) {
  auto text = client.metrics();
  if (!text) return std::move(text).error();
  std::map<std::string, double> values;
  std::istringstream lines(*text);
  std::string line;
  while (std::getline(lines, line)) {
    const auto space = line.rfind(' ');
    if (!line.empty() && line.front() != '#' && space != std::string::npos) {
      values[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
    }
  }
  return values;
}

struct Snapshot {
  Steady::time_point at;
  std::map<std::string, double> counters;
  double engine_cpu = 0;
  double postgres_cpu = 0;
};

Result<Snapshot> snapshot(client::Client& client, const LoadOptions& options) {
  auto values = counters(client);
  if (!values) return std::move(values).error();
  return Snapshot{Steady::now(), std::move(*values),
                  options.engine_pid > 0 ? cpu_ms(options.engine_pid) : 0,
                  cpu_ms_with_children(options.postgres_pid)};
}

double percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const auto index = static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5);
  return sorted[index];
}

LoadResult result_of(const Snapshot& from, const Snapshot& to, std::vector<double> latencies) {
  const auto delta = [&](const char* name) {
    const std::string full = std::string("backstitch_") + name;
    return to.counters.at(full) - from.counters.at(full);
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

/// Sends batches of starts from a few threads, so that a slow commit does not hold up the next
/// batch.
class Senders {
 public:
  explicit Senders(const LoadOptions& options) {
    for (std::size_t i = 0; i < senders; ++i) {
      threads_.emplace_back([this, &options] { run(options); });
    }
  }
  ~Senders() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
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
  void run(const LoadOptions& options) {
    client::Client client({.server = options.server, .token = options.token});
    const Json one{{"definition", definition_name(options.workload)}, {"input", {{"amount", 100}}}};
    while (true) {
      std::size_t count = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        count = queue_.front();
        queue_.pop();
      }
      const auto results = client.start_batch(Json(count, one));
      std::size_t refused = results ? 0 : count;
      if (results) {
        for (const auto& result : *results) refused += result.value("status", 0) == 201 ? 0 : 1;
      }
      started_ -= refused;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::size_t> queue_;
  bool stopping_ = false;
  std::atomic<std::size_t> started_{0};
  std::vector<std::thread> threads_;
};

/// Keeps `in_flight` sagas going until `until`.
Result<Done> keep_going(client::Client& client, Senders& load, double ended_before,
                        std::size_t in_flight, Steady::time_point until) {
  const std::size_t worth_sending = std::max<std::size_t>(1, in_flight / 20);
  while (Steady::now() < until) {
    const auto now = counters(client);
    if (!now) return now.error();
    const auto ended =
        static_cast<std::size_t>(now->at("backstitch_sagas_ended_total") - ended_before);
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

Result<LoadResult> run_single(const LoadOptions& options, client::Client& client) {
  Probe probe(options.server, options.token, definition_name(options.workload));
  std::this_thread::sleep_until(after(options.warm_up_seconds));
  const auto from = snapshot(client, options);
  if (!from) return from.error();
  probe.measure();
  std::this_thread::sleep_until(after(options.seconds));
  const auto to = snapshot(client, options);
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

Result<Done> prepare_load(client::Client& client, const std::string& participants) {
  const auto stored = client.put_service("bench", Json{{"baseUrl", participants}}.dump());
  if (!stored) return stored.error();
  for (const char* workload : {"W1", "W2"}) {
    const auto registered = client.register_definition(definition(workload).dump(), true);
    if (!registered) return registered.error();
  }
  return Done{};
}

Result<LoadResult> run_load(const LoadOptions& options) {
  client::Client client({.server = options.server, .token = options.token});
  if (options.in_flight <= 1) return run_single(options, client);
  const auto before = counters(client);
  if (!before) return before.error();
  const double ended_before = before->at("backstitch_sagas_ended_total");
  Senders load(options);
  Probe probe(options.server, options.token, definition_name(options.workload));
  if (auto warm =
          keep_going(client, load, ended_before, options.in_flight, after(options.warm_up_seconds));
      !warm) {
    return warm.error();
  }
  const auto from = snapshot(client, options);
  if (!from) return from.error();
  probe.measure();
  if (auto run = keep_going(client, load, ended_before, options.in_flight, after(options.seconds));
      !run) {
    return run.error();
  }
  const auto to = snapshot(client, options);
  if (!to) return to.error();
  return result_of(*from, *to, probe.stop());
}

}  // namespace backstitch::app
