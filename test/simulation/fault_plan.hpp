#pragma once
#include <cstddef>
#include <string>

#include <backstitch/base/time.hpp>

#include "../support/dice.hpp"

namespace backstitch::simulation {

/// What goes wrong, and how often. Drawn from the seed: each kind of fault is there or is not, so
/// that some seeds are calm, some have one trouble only, and some have all of them.
struct FaultPlan {
  bool drain = true;       ///< faults stop, and everything has to end; else they never stop
  Duration faults_for{0};  ///< how long they go on; in safety mode: the whole run
  std::size_t nodes = 1;
  std::size_t reactors = 1;
  bool spares = false;  ///< every node takes all it can get; else each has its share
  Duration lease{10'000};
  std::size_t sagas = 4;
  Duration lost_tail{0};  ///< mean time between two; zero: never
  bool cuts = false;      ///< every transition is cut after its first event

  /// Of 1,000 calls of the kind.
  struct Database {
    std::size_t slow = 0;          ///< takes up to seconds, either way
    std::size_t stuck = 0;         ///< takes longer than a lease
    std::size_t error = 0;         ///< load, due, renew, …: an error, before the work
    std::size_t answer_error = 0;  ///< an error, after the work
    std::size_t lacks = 0;         ///< appends, others being written: as where a disk is full
    std::size_t lost_at_kill = 0;  ///< batches on their way when their node dies: percent lost
  } database;
  /// Mean time between two; zero: never.
  struct Events {
    Duration kill{0};
    Duration pause{0};
    Duration stop{0};
    Duration outage{0};
    Duration clock_jump{0};
    Duration service_down{0};
  } events;
  /// Of 1,000 calls.
  struct Network {
    std::size_t refused = 0;       ///< nothing was sent
    std::size_t request_lost = 0;  ///< nothing arrives
    std::size_t answer_lost = 0;   ///< done, and nobody hears of it
    std::size_t reset = 0;         ///< at once, done or not
    std::size_t twice = 0;         ///< arrives twice
    std::size_t late = 0;          ///< arrives after the attempt was given up
    std::size_t garbled = 0;       ///< the answer's body is replaced, its status kept
    std::size_t intermediary = 0;  ///< of services with `answers`: it speaks in their place
  } network;
  /// Of 1,000 calls, or actions where it says so.
  struct Participants {
    std::size_t refuses = 0;  ///< actions
    std::size_t unknown = 0;  ///< answers 500, done or not
    std::size_t busy = 0;     ///< answers 429 or 503
    std::size_t pending = 0;  ///< actions that can be answered later
    std::size_t undo_fails = 0;
    std::size_t strays = 0;  ///< repeated calls and questions that an intermediary answers
  } participants;
  /// Percent of sagas.
  struct Outside {
    std::size_t cancels = 0;
    std::size_t signals = 0;
    std::size_t operators = 0;  ///< of looks at what is suspended
    std::size_t repeats = 0;    ///< of starts
    bool clumsy = false;        ///< signals, commands and callbacks that nobody waits for
  } outside;

  /// Nothing delays a node or what it writes: times in the logs are those of the participants.
  bool is_timely() const;
  static FaultPlan drawn(test::Dice& dice, test::Dice& more);

  std::string text() const;
};

}  // namespace backstitch::simulation
