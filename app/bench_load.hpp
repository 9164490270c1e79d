#pragma once
/// The load of `backstitch bench`: a closed loop of sagas.
#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/result.hpp>

#include "bench_target.hpp"

namespace backstitch::app {

struct LoadOptions {
  std::string workload =
      "W1";  ///< W1: three forward calls; W2: the third is refused, two are undone
  std::size_t in_flight = 1;
  double seconds = 10;
  double warm_up_seconds = 2;
  std::vector<int> engine_pids;  ///< none: CPU is not measured
  int postgres_pid = 0;          ///< the postmaster; its children count
};

struct LoadResult {
  double sagas_per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double engine_cpu_ms = 0;    ///< a saga
  double postgres_cpu_ms = 0;  ///< a saga
  double appends_per_saga = 0;
  double commits_per_saga = 0;
  double mean_batch = 0;
};
Json to_json(const LoadOptions& options, const LoadResult& result);

/// Registers the two workloads and the service they call.
Result<Done> prepare_load(BenchTarget& target, const std::string& participants);
/// Runs one level. Blocks for the warm-up and the seconds. Latency is what a caller sees: of every
/// saga at one in flight, else of a probe that runs one saga after the other beside the load.
Result<LoadResult> run_load(const LoadOptions& options, BenchTarget& target);

}  // namespace backstitch::app
