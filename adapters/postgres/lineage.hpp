#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/ports/store.hpp>

#include "server_identity.hpp"
#include "session.hpp"

namespace backstitch::postgres {

/// Notices that the database is not the one any more that this process has worked with: another
/// cluster, a server that was left behind by a failover, or a promoted standby or restored copy
/// that lacks what the process was told is durable. Every session passes here before it is used.
///
/// A process counts *eras*: what it knows of the database in one is worth nothing in another. An
/// era begins when a new session finds a higher timeline, or misses the newest append or renewal
/// that this process was answered. At that moment, before the session is used, the connections of
/// all other sessions are broken, so that nothing is sent to the server that was left. A session on
/// another cluster or on a lower timeline ends the process.
///
/// Threads: any.
class Lineage {
 public:
  using Era = std::uint64_t;
  using Clock = std::chrono::steady_clock;

  Lineage(std::shared_ptr<OpenSessions> sessions, engine::Observer* observer)
      : sessions_(std::move(sessions)), observer_(observer) {}

  /// The process must not go on, and why. Both hooks run on the thread that opens a session.
  void on_foreign(std::function<void(const std::string& why)> hook);
  /// Another era has begun.
  void on_era(std::function<void()> hook);

  /// Looks at the server of a new session. @return the era that it belongs to
  /// @param began the era in which the session began to connect
  /// @throws SessionRefused on a server that must not be used; what libpqxx throws
  Era admit(Session& session, Era began);
  /// The present one; 0 before the first session.
  Era era() const { return era_.load(std::memory_order_acquire); }

  /// The newest append of a lane that the database has answered.
  void note_append(Era era, const std::string& lane, const SagaId& saga, engine::Sequence sequence);
  /// How often the database has renewed the row of a node. Another node may remove the row after an
  /// outage; the one that takes its place is counted anew.
  struct RenewalCount {
    std::int64_t row_started_at = 0;  ///< in microseconds
    std::int64_t renewals = 0;
  };
  /// The newest renewal.
  void note_renewal(Era era, const engine::NodeIdentity& node, RenewalCount count,
                    const std::vector<engine::ShardLease>& held);
  /// Retention may have removed what was appended, here or at a node that takes shards over.
  void forget_appends();

  /// The number of the lineage in the database, if it has been read in this era.
  std::optional<std::int64_t> number(Era era) const;
  /// The latest number that is known, of whichever era.
  std::int64_t latest_number() const;
  void set_number(Era era, std::int64_t number);

  ServerIdentity identity() const;
  /// How often an era began after another one.
  std::uint64_t changes() const;

 private:
  struct Witness {
    SagaId saga;
    engine::Sequence sequence;
    Clock::time_point at;
  };
  struct Renewal {
    engine::NodeIdentity node;
    RenewalCount count;
    std::optional<engine::ShardLease> lease{};
  };
  /// What a session is compared with.
  struct Known {
    Era era = 0;
    ServerIdentity identity;
    std::map<std::string, Witness> appends;  ///< by lane
    std::optional<Renewal> renewal;
  };

  Known known() const;
  static std::string what_is_missing(Session& session, const Known& known);
  static std::string why_foreign(const ServerIdentity& known, const ServerIdentity& found);
  void require_era(Era began) const;
  void begin_era(const Session& session, const ServerIdentity& identity);
  void warn_of(const ServerIdentity& identity) const;

  const std::shared_ptr<OpenSessions> sessions_;
  engine::Observer* const observer_;
  std::function<void(const std::string&)> on_foreign_;
  std::function<void()> on_era_;
  std::atomic<Era> era_{0};
  mutable std::mutex mutex_;
  Known known_;
  std::int64_t number_ = 0;
  Era number_era_ = 0;  ///< in which it was read
};

}  // namespace backstitch::postgres
