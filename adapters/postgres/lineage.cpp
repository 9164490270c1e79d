#include "lineage.hpp"

#include <utility>
#include <vector>

#include "failure.hpp"

namespace backstitch::postgres {
namespace {

/// An append that is older is not looked for: retention may have removed it.
constexpr std::chrono::minutes append_age_max{1};

Error foreign(const std::string& why) {
  return {ErrorCode::invalid, "database-foreign",
          why +
              "; this process must not go on with it. See that every node is connected to the "
              "database that is to be used, and start them again"};
}

/// @return empty: all of them are there, or stand in a page that cannot be read, which tells
/// nothing
std::string lost_append(Session& session, const std::vector<std::string>& sagas,
                        const std::vector<std::string>& sequences) {
  constexpr std::string_view corrupted = "XX";
  if (sagas.empty()) return {};
  try {
    const pqxx::result lost = session.run_prepared(
        "missing_appends",
        "select w.saga, w.sequence from unnest($1::uuid[], $2::bigint[]) w(saga, sequence)"
        " where not exists (select 1 from backstitch.saga_log l"
        " where l.saga_id = w.saga and l.sequence = w.sequence) limit 1",
        array_literal(sagas), array_literal(sequences));
    if (lost.empty()) return {};
    return "it has lost an append that was durable: event " + std::string(lost[0][1].c_str()) +
           " of saga " + lost[0][0].c_str();
  } catch (const pqxx::sql_error&) {
    if (!current_failure(session.is_open()).sqlstate.starts_with(corrupted)) throw;
    return {};
  }
}

}  // namespace

void Lineage::on_foreign(std::function<void(const std::string& why)> hook) {
  const std::lock_guard lock(mutex_);
  on_foreign_ = std::move(hook);
}

void Lineage::on_era(std::function<void()> hook) {
  const std::lock_guard lock(mutex_);
  on_era_ = std::move(hook);
}

Lineage::Era Lineage::admit(Session& session, Era began) {
  const Known before = known();
  const ServerIdentity found = read_identity(session);
  const std::string missing = what_is_missing(session, before);

  std::unique_lock lock(mutex_);
  require_era(began);
  if (began == 0) {
    begin_era(session, found);
    lock.unlock();
    warn_of(found);
    return era();
  }
  if (const std::string why = why_foreign(known_.identity, found); !why.empty()) {
    const auto on_foreign = on_foreign_;
    lock.unlock();
    if (on_foreign) on_foreign(why);
    throw SessionRefused(foreign(why));
  }
  const bool is_same = found.agrees_with(known_.identity);
  if (is_same && missing.empty()) {
    known_.identity.learn(found);
    return known_.era;
  }
  const std::string why = is_same
                              ? missing
                              : "the database is on timeline " + std::to_string(*found.timeline) +
                                    " now, after " + std::to_string(*known_.identity.timeline) +
                                    (missing.empty() ? std::string() : ", and " + missing);
  begin_era(session, found);
  const Era begun = known_.era;
  const auto on_era = on_era_;
  lock.unlock();
  if (observer_ != nullptr) {
    observer_->note(engine::Level::error, "database-lineage-changed",
                    {{"why", why}, {"database", found.text()}});
  }
  if (on_era) on_era();
  return begun;
}

/// If another session has begun an era meanwhile, this one may have been led to the server before
/// that. @pre the lock is held
void Lineage::require_era(Era began) const {
  if (known_.era != began)
    throw pqxx::broken_connection("the database has changed while the session was opened");
}

/// All at once: a later era may begin as soon as the lock is free.
void Lineage::begin_era(const Session& session, const ServerIdentity& identity) {
  known_ = {known_.era + 1, identity, {}, {}};
  era_.store(known_.era, std::memory_order_release);
  sessions_->break_all_but(session.backend());
}

void Lineage::warn_of(const ServerIdentity& identity) const {
  if (observer_ == nullptr || identity.is_known()) return;
  observer_->note(engine::Level::warning, "database-identity-unknown",
                  {{"missing", "grant execute on function " + identity.missing},
                   {"what",
                    "a failover or a restore is noticed only if it loses the newest append of this "
                    "node"}});
}

Lineage::Known Lineage::known() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

/// @return empty: nothing. Why it is another server than the one that is known
std::string Lineage::why_foreign(const ServerIdentity& known, const ServerIdentity& found) {
  if (known.system && found.system && *known.system != *found.system) {
    return "the database is on another cluster now: system identifier " +
           std::to_string(*found.system) + " after " + std::to_string(*known.system);
  }
  if (known.timeline && found.timeline && *found.timeline < *known.timeline) {
    return "the database was left behind by a failover: it is on timeline " +
           std::to_string(*found.timeline) + ", after this node has worked on timeline " +
           std::to_string(*known.timeline);
  }
  return {};
}

/// @return empty: all that this process was answered last is there
std::string Lineage::what_is_missing(Session& session, const Known& known) {
  std::vector<std::string> sagas;
  std::vector<std::string> sequences;
  const auto now = Clock::now();
  for (const auto& [lane, witness] : known.appends) {
    if (now - witness.at > append_age_max) continue;
    sagas.push_back(witness.saga.text());
    sequences.push_back(std::to_string(witness.sequence.get()));
  }
  if (const std::string lost = lost_append(session, sagas, sequences); !lost.empty()) return lost;
  if (!known.renewal) return {};
  // Another process may have taken the row over or removed it. Then it has raised the epochs.
  const auto& [node, count, lease] = *known.renewal;
  const pqxx::result older = session.run_prepared(
      "missing_renewal",
      "select 1 where exists (select 1 from backstitch.node n where n.name = $1::text"
      " and n.incarnation = $2::uuid and n.renewals < $3::bigint"
      " and (extract(epoch from n.started_at) * 1000000)::bigint = $4::bigint)"
      " or exists (select 1 from backstitch.shard s where s.shard = $5::smallint"
      " and s.epoch < $6::bigint)",
      node.name, node.incarnation, count.renewals, count.row_started_at,
      lease ? static_cast<int>(lease->shard) : -1, lease ? lease->epoch.get() : 0);
  return older.empty() ? std::string() : "it has lost a lease that this node had renewed";
}

void Lineage::note_append(Era era, const std::string& lane, const SagaId& saga,
                          engine::Sequence sequence) {
  const std::lock_guard lock(mutex_);
  if (era == known_.era) known_.appends[lane] = {saga, sequence, Clock::now()};
}

void Lineage::note_renewal(Era era, const engine::NodeIdentity& node, RenewalCount count,
                           const std::vector<engine::ShardLease>& held) {
  const std::lock_guard lock(mutex_);
  if (era != known_.era) return;
  known_.renewal = {node, count, {}};
  if (!held.empty()) known_.renewal->lease = held.front();
}

void Lineage::forget_appends() {
  const std::lock_guard lock(mutex_);
  known_.appends.clear();
}

std::optional<std::int64_t> Lineage::number(Era era) const {
  const std::lock_guard lock(mutex_);
  if (number_era_ != era || era == 0) return std::nullopt;
  return number_;
}

std::int64_t Lineage::latest_number() const {
  const std::lock_guard lock(mutex_);
  return number_;
}

void Lineage::set_number(Era era, std::int64_t number) {
  const std::lock_guard lock(mutex_);
  if (era < number_era_) return;
  number_era_ = era;
  number_ = number;
}

ServerIdentity Lineage::identity() const {
  const std::lock_guard lock(mutex_);
  return known_.identity;
}

std::uint64_t Lineage::changes() const {
  const Era present = era();
  return present == 0 ? 0 : present - 1;
}

}  // namespace backstitch::postgres
