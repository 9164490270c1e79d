#pragma once
#include <cstddef>
#include <string>

#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>
#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/parse.hpp>

namespace backstitch::engine {

/// Every tunable of the engine, with its default. All bounds are per node.
struct Options {
  std::string node = "node-1";  ///< stable across restarts of the same place
  Duration lease{10'000};
  Duration lease_renewal{3'000};
  std::size_t shards_max = shard_count;
  std::string address{};         ///< where this node listens, for people to see
  Duration handover_max{5'000};  ///< how long shards for others wait for answers on their way

  std::size_t starts_waiting_max =
      4'000;  ///< accepted, first append not committed yet; beyond: overloaded
  std::size_t journal_queue_max =
      20'000;                     ///< appends waiting on one reactor; beyond: starts are refused
  std::size_t batch_max = 1'000;  ///< appends in one transaction
  std::size_t sagas_resident_max =
      100'000;  ///< in memory, all reactors; beyond: starts are refused

  std::size_t inbox_taken_max = 1'000;  ///< commands of the inbox being carried out, a reactor
  Duration command_answer_max{10'000};  ///< how long a command for another node's saga is awaited

  Duration residence{5'000};  ///< a saga that waits longer leaves memory
  Duration due_scan_every{1'000};
  /// The usual scan looks back so far; one of everything is made as often.
  Duration due_lookback{60'000};
  Duration removal_every{30'000};  ///< of ended sagas whose retention is over
  Duration catalog_refresh_every{1'000};
  std::size_t waiters_max = 10'000;  ///< calls that wait for an end, a reactor
  /// How long a stopping node's sagas go on while anything is on its way to them.
  Duration drain_max{10'000};

  /// Where participants post the answers of pending calls: `https://saga.example`.
  std::string callback_base{};
  std::size_t input_bytes_max = 256 * 1024;
  dsl::DefinitionLimits definition_limits{};
  /// What the checker may ask: URLs, secrets, local operations. Services and definitions are filled
  /// in by the registry.
  dsl::CheckContext environment{};
};

}  // namespace backstitch::engine
