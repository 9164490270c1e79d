/// Leases.
#include "fields.hpp"
#include "queries.hpp"

namespace backstitch::postgres {
namespace {

std::vector<std::int64_t> numbers(const std::string& text) {
  std::vector<std::int64_t> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    std::int64_t value = 0;
    at = std::from_chars(at, end, value).ptr + 1;
    values.push_back(value);
  }
  return values;
}

/// A parameter that may be null.
class OptionalText {
 public:
  explicit OptionalText(const std::optional<std::int64_t>& number)
      : text_(number ? std::optional(std::to_string(*number)) : std::nullopt) {}
  const char* get() const { return text_ ? text_->c_str() : nullptr; }

 private:
  std::optional<std::string> text_;
};

}  // namespace

/// In a new era the lineage has to be entered before anything is asked of it.
std::int64_t enter_lineage(Session& session, Lineage& lineage) {
  if (const auto known = lineage.number(session.era())) return *known;
  const ServerIdentity identity = lineage.identity();
  const OptionalText system(identity.system);
  const OptionalText timeline(identity.timeline);
  const std::int64_t number = number_of(session.run_prepared(
      "enter_lineage", "select backstitch.enter_lineage($1::bigint, $2::bigint, $3::bigint)",
      system.get(), timeline.get(), lineage.latest_number())[0][0]);
  lineage.set_number(session.era(), number);
  return number;
}

namespace {

Error copied(const pqxx::row& kept, const ServerIdentity& identity) {
  const std::string difference = kept[1].c_str();
  const std::string before = "nodes worked last on system " + text_or_empty(kept[2]) +
                             ", timeline " + text_or_empty(kept[3]) + ", at " +
                             text_or_empty(kept[4]);
  const char* what = difference == "system"   ? "the database was copied to another cluster"
                     : difference == "behind" ? "the database is on an earlier timeline than before"
                                              : "the database was restored, or promoted long after "
                                                "its last node had stopped";
  return {ErrorCode::invalid, "database-copied",
          std::string(what) + ": this server is " + identity.text() + "; " + before +
              ". If nothing works on the original any more, start once with --adopt; to look into "
              "the copy only, use --read-only"};
}

}  // namespace

Result<Done> begin_work(Session& session, Lineage& lineage, bool adopt) {
  const ServerIdentity identity = lineage.identity();
  const OptionalText system(identity.system);
  const OptionalText timeline(identity.timeline);
  const pqxx::result answer =
      session.run_prepared("begin_work",
                           "select number, differs, system_identifier, timeline, alive_at"
                           " from backstitch.begin_work($1::bigint, $2::bigint, $3::boolean)",
                           system.get(), timeline.get(), adopt ? "true" : "false");
  if (!answer[0][1].is_null()) return copied(answer[0], identity);
  lineage.set_number(session.era(), number_of(answer[0][0]));
  return Done{};
}

Result<engine::LeaseAnswer> renew(Session& session, const engine::LeaseRequest& request,
                                  const std::vector<Backend>& sessions, Membership& membership,
                                  Lineage& lineage) {
  enter_lineage(session, lineage);
  static const std::string sql =
      "select database_now, shards, epochs, surplus, suspects, generation, namesake,"
      " namesake_renewed_at, lineage, renewals, hold, row_started_at"
      " from backstitch.renew_leases($1::text, $2::uuid, $3::boolean, $4::bigint, $5::int,"
      " $6::text, $7::int[], $8::bigint[], $9::bigint, $10::bigint)";
  std::vector<std::string> pids;
  std::vector<std::string> starts;
  for (const Backend& backend : sessions) {
    pids.push_back(std::to_string(backend.pid));
    starts.push_back(backend.started_at);
  }
  const pqxx::result answer = session.run_prepared(
      "renew", sql, request.node.name, request.node.incarnation, request.first ? "true" : "false",
      request.lease.count(), request.shards_max, request.address, array_literal(pids),
      array_literal(starts), request.lineage, request.epoch_floor.get());
  engine::LeaseAnswer leases;
  leases.lineage = number_of(answer[0][8]);
  lineage.set_number(session.era(), leases.lineage);
  if (request.lineage != 0 && leases.lineage != request.lineage) return leases;
  leases.database_now = time_of(answer[0][0]);
  if (!answer[0][6].is_null()) {
    leases.namesake = engine::Namesake{text_or_empty(answer[0][6]), time_of(answer[0][7])};
    return leases;
  }
  leases.on_hold = flag_of(answer[0][10]);
  membership.learn(request.node, number_of(answer[0][5]), session.era());
  const std::vector<std::int64_t> shards = numbers(text_or_empty(answer[0][1]));
  const std::vector<std::int64_t> epochs = numbers(text_or_empty(answer[0][2]));
  for (std::size_t i = 0; i < shards.size(); ++i)
    leases.held.push_back({static_cast<Shard>(shards[i]), engine::Epoch(epochs.at(i))});
  leases.surplus = static_cast<std::size_t>(number_of(answer[0][3]));
  for (const auto shard : numbers(text_or_empty(answer[0][4]))) {
    for (auto& lease : leases.held) lease.suspect = lease.suspect || lease.shard == shard;
  }
  lineage.note_renewal(session.era(), request.node,
                       {number_of(answer[0][11]), number_of(answer[0][9])}, leases.held);
  return leases;
}

Result<Done> give_up(Session& session, const engine::NodeIdentity& node,
                     const std::vector<Shard>& shards) {
  session.run_prepared("give_up",
                       "select backstitch.give_up_shards($1::text, $2::uuid, $3::smallint[])",
                       node.name, node.incarnation, shards_literal(shards));
  return Done{};
}

Result<Done> prove(Session& session, const engine::NodeIdentity& node,
                   const std::vector<Shard>& shards) {
  session.run_prepared("prove",
                       "select backstitch.prove_shards($1::text, $2::uuid, $3::smallint[])",
                       node.name, node.incarnation, shards_literal(shards));
  return Done{};
}

Result<std::int64_t> strike(Session& session, const SagaId& saga, bool again) {
  return number_of(
      session.run_prepared("strike", "select coalesce(backstitch.strike($1::uuid, $2::boolean), 0)",
                           saga.text(), again)[0][0]);
}

Result<Done> forgive(Session& session, const SagaId& saga) {
  session.run_prepared("forgive", "delete from backstitch.strike where saga_id = $1::uuid",
                       saga.text());
  return Done{};
}

Result<Done> release(Session& session, const engine::NodeIdentity& node) {
  session.run_prepared("release", "select backstitch.release_leases($1::text, $2::uuid)", node.name,
                       node.incarnation);
  return Done{};
}

Result<std::vector<engine::NodeInfo>> nodes(Session& session) {
  static const std::string sql =
      "select n.name, n.address, (select count(*) from backstitch.shard s where s.node = n.name), "
      "n.shards_max, " BACKSTITCH_MILLISECONDS("n.started_at") ", " BACKSTITCH_MILLISECONDS(
          "n.renewed_at") ", " BACKSTITCH_MILLISECONDS("n.expires_at") R"(, n.expires_at > now()
      from backstitch.node n order by n.name)";
  std::vector<engine::NodeInfo> all;
  for (const auto& row : session.run_prepared("nodes", sql)) {
    engine::NodeInfo& node = all.emplace_back();
    node.name = text_or_empty(row[0]);
    node.address = text_or_empty(row[1]);
    node.shards = static_cast<std::size_t>(number_of(row[2]));
    node.shards_max = static_cast<std::size_t>(number_of(row[3]));
    node.started_at = time_of(row[4]);
    node.renewed_at = time_of(row[5]);
    node.expires_at = time_of(row[6]);
    node.alive = flag_of(row[7]);
  }
  return all;
}

}  // namespace backstitch::postgres
