#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/store.hpp>

#include "blocked_keys.hpp"

namespace backstitch::engine {

/// What goes through many sagas in one task leaves the reactor to others after so long.
inline constexpr Duration turn_max{20};

/// Group commit: collects the appends of one reactor's sagas. While one batch is in flight to the
/// store the next one grows, so batches get larger with the load and nothing waits for a timer.
/// Used on the reactor's thread only.
///
/// An append at which the store fails is repeated until it is known what is at fault. If the store
/// writes nothing, it is the store: the appends wait here and are tried one at a time, with a
/// back-off. If it has written another one since, it depends on what the store says. If it fails at
/// the content, it is the append: `refused`. If it lacks something, such as space, others may have
/// had room where this one had none: it is tried apart from them for some seconds, and then
/// `failed`, never `refused`. If everything that waits has failed alone by its content, nothing can
/// tell: now and then a transition of a saga is answered `failed`, so that the saga may try a small
/// append instead, which proves nothing of others. A start that somebody waits for is `failed`
/// after a few tries.
class Journal {
 public:
  using AppendDone = std::function<void(const AppendResult&)>;
  enum class Tries {
    until_judged,
    once  ///< before all others, and `failed` if the store fails at it
  };

  Journal(Store& store, std::size_t lane, Executor& executor, std::size_t batch_max)
      : shared_(std::make_shared<Shared>(store, executor, lane, batch_max)) {}
  ~Journal() { shared_->closed = true; }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// `done` on the reactor's thread once the append is durable or known not to be.
  void append(Append append, AppendDone done, Tries tries = Tries::until_judged);

  /// Lets go of what has not been sent, callbacks included.
  void abandon() {
    shared_->queue.clear();
    const auto apart = std::exchange(shared_->apart, {});
    shared_->count_unanswered();
    std::exchange(shared_->waiting, {});
  }

  std::size_t waiting() const { return shared_->queue.size() + shared_->apart.size(); }
  std::uint64_t appends() const { return shared_->appends; }
  std::uint64_t commits() const { return shared_->commits; }
  /// Appends of which it is not known yet whether they are durable. Any thread.
  std::size_t unanswered() const { return shared_->unanswered.load(std::memory_order_relaxed); }

 private:
  /// Who waits for an append, and what became of it so far.
  struct Waiting {
    AppendDone done;
    Tries tries = Tries::until_judged;
    std::uint32_t failed_alone = 0;
    std::uint32_t tries_apart = 0;
    bool by_content = false;  ///< it failed so the last time
    /// Set once the store has failed at it: Shared::proofs at that time.
    std::optional<std::uint64_t> failed_at{};
  };
  using Answered = std::shared_ptr<std::vector<Waiting>>;

  /// Outlives the journal until the batch in flight has been answered.
  struct Shared {
    Shared(Store& to, Executor& on, std::size_t in, std::size_t max)
        : store(to), executor(on), lane(in), batch_max(max) {}
    void count_unanswered() {
      unanswered.store(queue.size() + apart.size() + in_flight, std::memory_order_relaxed);
    }

    Store& store;
    Executor& executor;
    const std::size_t lane;
    const std::size_t batch_max;
    std::vector<Append> queue{};
    std::vector<Waiting> waiting{};  ///< for those of the queue, in its order
    /// What is tried again after a while of its own, by numbers that are given here.
    std::map<std::uint64_t, std::pair<Append, Waiting>> apart{};
    std::uint64_t put_apart = 0;
    std::size_t in_flight = 0;  ///< appends of the batch that the store has
    std::atomic<std::size_t> unanswered{0};
    bool closed = false;
    bool posted = false;
    std::uint64_t appends = 0;
    std::uint64_t commits = 0;
    std::uint64_t proofs = 0;  ///< batches of which something was written that was not tried once
    Duration back_off{0};  ///< not zero: of the last batch something failed, nothing was written
    bool backing_off = false;
    Duration sacrifice_wait{0};
    SteadyTime sacrifice_at{};
  };
  using SharedPtr = std::shared_ptr<Shared>;
  static void send_soon(const SharedPtr& shared);
  static void send(const SharedPtr& shared);
  static void send_next(const SharedPtr& shared);
  static void answered(const SharedPtr& shared, const Answered& waiting,
                       std::vector<AppendResult> results);
  enum class Next { answer, try_again, try_apart };
  static void judge(const SharedPtr& shared, std::vector<Waiting>& waiting,
                    std::vector<AppendResult>& results);
  static Next after_failure(Waiting& waiting, AppendResult& result, std::uint64_t proofs,
                            bool alone);
  static void try_apart(const SharedPtr& shared, Append append, Waiting waiting);
  static void sacrifice(const SharedPtr& shared);
  static void answer(const SharedPtr& shared, const Answered& waiting,
                     const std::vector<AppendResult>& results, std::size_t from);

  SharedPtr shared_;
};

/// The journals of one reactor: an append that may meet another transaction's lock is not in the
/// way of one that cannot. Which lane it takes is decided here and nowhere else.
class Journals {
 public:
  /// @param blocked of the node, which all its reactors share
  Journals(Store& store, std::size_t reactor, Lanes lanes, Executor& executor,
           std::size_t batch_max, BlockedKeys& blocked);

  void append(Append append, Journal::AppendDone done,
              Journal::Tries tries = Journal::Tries::until_judged);
  void abandon();

  std::size_t waiting() const;
  std::uint64_t appends() const;
  std::uint64_t commits() const;
  /// Adds what is not known to be durable to the number of each lane. Any thread.
  void add_unanswered(std::vector<std::uint64_t>& by_lane) const;

 private:
  void append_with_keys(Append append, Journal::AppendDone done);

  BlockedKeys& blocked_;
  const std::size_t reactor_;
  const Lanes lanes_;
  Journal own_;
  std::array<Journal, Lanes::for_keys> with_keys_;
  Journal with_blocked_keys_;
};

}  // namespace backstitch::engine
