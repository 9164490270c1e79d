#pragma once
/// Which connections the listener keeps, and how much memory they may hold for their peers.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <backstitch/base/result.hpp>
#include <backstitch/rest/server.hpp>

namespace backstitch::rest {

/// What a connection is doing. While it waits for its peer it may be closed to make room.
enum class Phase : std::uint8_t {
  idle,       ///< no request is in progress: none has arrived, or the last one is answered
  receiving,  ///< the head of a request has arrived, and not yet all of its body
  sending,    ///< the peer has not read all of the answer
  busy,       ///< the engine is at work, or the caller of `?wait` waits
};

/// Bounds the connections, in all and of each peer, and the bytes of bodies and answers that they
/// hold for their peers. At a bound of connections the longest idle one is closed; at the bound of
/// bytes the slowest peer's.
///
/// A connection that finds no room gets into a reserve, where only probes are answered, so that a
/// monitor always comes through.
/// Threads: any. A request costs writes to an atomic of its own connection; the lock is for
/// accepting, closing and making room.
class Connections : public std::enable_shared_from_this<Connections> {
 public:
  class Ticket;
  static constexpr std::size_t reserve_max = 16;

  explicit Connections(const Options& options);

  /// @param address of the peer, as text
  /// @param close   posts the end of the connection: called once at most, on any thread
  /// @return null: there is no room, not even in the reserve
  std::shared_ptr<Ticket> admit(const std::string& address, std::function<void()> close);

  /// Prometheus text.
  std::string metrics_text() const;

 private:
  struct Entry;
  using Closers = std::vector<std::function<void()>>;

  std::optional<Error> refusal_of(const Entry& entry, bool is_proxy, Closers& closers);
  bool close_idle(Closers& closers, const std::function<bool(const Entry&)>& fits);
  void close_slow(Closers& closers, const Entry& caller);
  bool evict(Entry& entry, std::uint64_t seen, Closers& closers);
  void count(Entry& entry);
  void uncount(Entry& entry);
  void remove(Entry& entry);
  bool hold(Entry& entry, std::size_t bytes);
  std::size_t peer_count(const std::string& peer) const;

  const std::size_t total_max_;
  const std::size_t peer_max_;
  const std::size_t held_max_;
  const std::set<std::string> proxies_;

  mutable std::mutex mutex_;  ///< of what follows, up to the atomics
  std::list<Entry*> entries_;
  std::map<std::string, std::size_t> peers_;  ///< how many ordinary connections each has
  std::size_t ordinary_ = 0;
  std::size_t reserved_ = 0;

  std::atomic<std::size_t> held_{0};
  std::atomic<std::uint64_t> closed_idle_{0}, closed_slow_{0}, refused_{0};
};

/// The right of one connection to exist, which ends with the ticket. Used on the connection's own
/// thread.
class Connections::Ticket {
 public:
  explicit Ticket(std::shared_ptr<Connections> connections);
  ~Ticket();
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

  /// @return false: the connection is being closed to make room; nothing more may be done on it
  bool enter(Phase phase);
  /// How much the connection holds for its peer from now on, instead of before.
  /// @return false: it is over the bound, and there is no slower peer
  bool hold(std::size_t bytes);
  /// Why the connection is in the reserve, where only probes are answered; nothing: it is not.
  const std::optional<Error>& refusal() const;

 private:
  friend class Connections;
  std::shared_ptr<Connections> connections_;
  std::unique_ptr<Entry> entry_;
};

/// The canonical text of an IP address. @return nothing for what is none
std::optional<std::string> canonical_address(const std::string& text);

}  // namespace backstitch::rest
