#pragma once
#include <cstddef>
#include <string>

#include <backstitch/base/saga_id.hpp>
#include <backstitch/base/time.hpp>
#include <backstitch/dsl/check.hpp>
#include <backstitch/dsl/parse.hpp>
#include <backstitch/engine/machine/machine.hpp>

namespace backstitch::engine {

/// Every tunable of the engine, with its default. All bounds are per node.
struct Options {
  std::string node = "node-1";  ///< stable across restarts of the same place
  std::string incarnation{};    ///< of this start, a UUID; empty: the engine makes one
  Duration lease{10'000};
  Duration lease_renewal{3'000};
  /// How long after a renewal was asked for the node acts on its shards.
  Duration acting_time() const { return lease * 2 / 3; }
  /// A node that lives so long after it has worked on what it found in a shard was not brought down
  /// by that.
  Duration proven_after{30'000};
  Duration reactor_silent_max{30'000};  ///< a reactor that does not turn for so long is stuck
  std::size_t shards_max = shard_count;
  /// Takes no shards, starts nothing and takes no command: what is stored can be read.
  bool read_only = false;
  std::string address{};         ///< where this node listens, for people to see
  Duration handover_max{5'000};  ///< how long shards for others wait for answers on their way

  std::size_t starts_waiting_max =
      4'000;  ///< accepted, first append not committed yet; beyond: overloaded
  std::size_t journal_queue_max =
      20'000;                     ///< appends waiting on one reactor; beyond: starts are refused
  std::size_t batch_max = 1'000;  ///< appends in one transaction
  std::size_t sagas_resident_max =
      100'000;  ///< in memory, all reactors; beyond: starts are refused

  std::size_t inbox_taken_max = 2'000;  ///< items of the inbox that are in progress
  /// The inbox is polled so often for `inbox_busy_for` after the node has found something in it.
  Duration inbox_poll_busy{100};
  Duration inbox_poll_idle{1'000};  ///< and otherwise so often
  Duration inbox_busy_for{10'000};
  Duration command_answer_max{10'000};  ///< how long a command for another node's saga is awaited

  Duration residence{5'000};  ///< a saga that waits longer leaves memory
  Duration due_scan_every{1'000};
  /// The usual scan looks back so far; one of everything is made as often.
  Duration due_lookback{60'000};
  /// For how long the keys of a saga are known after it was removed.
  Duration key_retention = std::chrono::hours(365 * 24);
  Duration removal_every{30'000};  ///< of ended sagas whose retention is over
  Duration catalog_refresh_every{1'000};
  std::size_t waiters_max = 10'000;  ///< calls that wait for an end, a reactor
  /// How long a stopping node's sagas go on while anything is on its way to them.
  Duration drain_max{10'000};

  /// Where participants post the answers of pending calls: `https://saga.example`.
  std::string callback_base{};
  std::uint32_t transition_steps_max = engine::transition_steps_max;  ///< less: cut more often
  std::size_t input_bytes_max = 256 * 1024;
  /// Starts have an idempotency key or a business key, but for those of sub-saga and of SQL: each
  /// of those is made once, with its parent's event or its caller's transaction.
  bool require_keys = false;
  dsl::DefinitionLimits definition_limits{};
  /// What the checker may ask: URLs, secrets, local operations. Services and definitions are filled
  /// in by the registry.
  dsl::CheckContext environment{};
};

}  // namespace backstitch::engine
