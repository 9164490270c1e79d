#include <atomic>

#include <backstitch/postgres/store.hpp>

#include "condition.hpp"
#include "failure_log.hpp"
#include "figure_reader.hpp"
#include "hosts.hpp"
#include "lane.hpp"
#include "listener.hpp"
#include "notifier.hpp"
#include "queries.hpp"
#include "startup_checks.hpp"
#include "worker_pool.hpp"

namespace backstitch::postgres {
namespace {

using namespace engine;

constexpr std::size_t reads_waiting_max = 4096;
constexpr std::size_t renewals_waiting_max = 64;
constexpr std::size_t polls_waiting_max = 4;

/// What all sessions of a store share.
struct Common {
  std::shared_ptr<OpenSessions> registry;
  std::shared_ptr<Lineage> lineage;
  bool read_only = false;

  SessionOptions finished(SessionOptions session) const {
    session.registry = registry;
    // What is only looked at may be of any lineage.
    if (read_only)
      session.settings.emplace_back("default_transaction_read_only", "on");
    else
      session.lineage = lineage;
    return session;
  }
};

std::string session_name(const Options& options, std::string_view role) {
  return application_name(options.incarnation, role, options.node);
}

SessionOptions lane_session(const Options& options, std::size_t lane, const Common& common) {
  auto session = Lane::session_options(options.database_url, session_name(options, "lane"),
                                       Lanes{options.lanes}.name_of(lane));
  session.allow_unsafe = options.allow_unsafe;
  return common.finished(std::move(session));
}

SessionOptions reader_session(const Options& options, const Common& common) {
  // Planned with the values at hand: see list().
  return common.finished(
      {options.database_url,
       session_name(options, "reader"),
       "reader",
       {{"plan_cache_mode", "force_custom_plan"}, {"jit", "off"}, {"statement_timeout", "10s"}},
       15000,
       std::nullopt});
}

SessionOptions inbox_session(const Options& options, const Common& common) {
  return common.finished({options.database_url, session_name(options, "inbox"), "inbox",
                          inbox_settings(), 15000, std::nullopt});
}

SessionOptions lease_session(const Options& options, const char* role, const Common& common) {
  return common.finished({options.database_url,
                          session_name(options, role),
                          role,
                          {{"jit", "off"}, {"statement_timeout", "5s"}},
                          3000,
                          std::nullopt});
}

SessionOptions figures_session(const Options& options, const Common& common) {
  auto session =
      FigureReader::session_options(options.database_url, session_name(options, "gauges"));
  return common.finished(std::move(session));
}

Result<Done> enter(Session& session, Lineage& lineage, const Options& options) {
  if (options.read_only) return Done{};
  const std::string missing = lineage.identity().missing;
  if (options.require_identity && !missing.empty()) {
    return Error{
        ErrorCode::invalid, "database-identity-unknown",
        "the database does not tell which server it is, so a failover or a restore could go "
        "unnoticed: grant execute on function " +
            missing + ", or start without --require-identity"};
  }
  Result<Done> begun = begin_work(session, lineage, options.adopt);
  if (begun && options.adopt && options.observer != nullptr)
    options.observer->note(Level::warning, "database-adopted",
                           {{"lineage", std::to_string(lineage.latest_number())},
                            {"database", lineage.identity().text()}});
  return begun;
}

void check(const std::vector<Append>& batch) {
  for (const Append& item : batch) {
    std::int64_t last = item.expected.get();
    for (const EventRecord& event : item.events) {
      BACKSTITCH_INVARIANT(event.sequence.get() == ++last, "events of an append follow each other");
    }
    BACKSTITCH_INVARIANT(
        !item.events.empty() || item.inbox || item.only_asks ||
            (item.row && !item.start && !item.audit),
        "only a change of the row, a settled command or a question comes without an event");
  }
}

}  // namespace

struct PostgresStore::Parts {
  Parts(const Options& options, Common shared, std::vector<std::unique_ptr<Session>> opened)
      : log(options.observer),
        common(std::move(shared)),
        leases({lease_session(options, "lease", common), 1, renewals_waiting_max}, log, &health,
               meters),
        readers({reader_session(options, common), options.readers, reads_waiting_max}, log, nullptr,
                meters),
        inbox({inbox_session(options, common), 1, polls_waiting_max}, log, nullptr, meters),
        notifier(readers),
        listener(lease_session(options, "listener", common), log, meters),
        figures(figures_session(options, common), options.figures_every, log, meters) {
    for (std::size_t i = 0; i < opened.size(); ++i) {
      lanes.push_back(std::make_unique<Lane>(lane_session(options, i, common), std::move(opened[i]),
                                             membership, gate, log, health, meters));
    }
  }

  FailureLog log;
  Meters meters;
  const Common common;
  Membership membership;
  LaneGate gate;
  Health health;
  std::atomic<bool> closed{false};
  std::vector<std::unique_ptr<Lane>> lanes;
  WorkerPool leases;
  WorkerPool readers;
  WorkerPool inbox;
  Notifier notifier;
  Listener listener;
  FigureReader figures;
};

PostgresStore::PostgresStore(Options options) : options_(std::move(options)) {
  BACKSTITCH_INVARIANT(options_.lanes > 0 && options_.readers > 0,
                       "a store needs lanes and readers");
}

PostgresStore::~PostgresStore() {
  close();
}

Result<Done> PostgresStore::open() {
  BACKSTITCH_INVARIANT(parts_ == nullptr, "a store is opened once");
  std::vector<std::unique_ptr<Session>> sessions;
  const auto registry = std::make_shared<OpenSessions>();
  const Common common{registry, std::make_shared<Lineage>(registry, options_.observer),
                      options_.read_only};
  try {
    const Result<Done> hosts = check_hosts(options_.database_url);
    if (!hosts) return hosts;
    for (std::size_t i = 0; i < options_.lanes + Lanes::beside_reactors; ++i) {
      sessions.push_back(std::make_unique<Session>(lane_session(options_, i, common)));
    }
    Result<Done> checked = check_server(*sessions.front());
    if (!checked) return checked;
    Result<Done> entered = enter(*sessions.front(), *common.lineage, options_);
    if (!entered) return entered;
  } catch (const InvariantViolation&) {
    throw;
  } catch (...) {
    return to_operator_error(current_failure(false));
  }
  common.lineage->on_foreign([this](const std::string& why) { end_process(why); });
  parts_ = std::make_unique<Parts>(options_, common, std::move(sessions));
  return Done{};
}

void PostgresStore::end_process(const std::string& why) const {
  if (options_.observer != nullptr)
    options_.observer->note(Level::error, "database-foreign", {{"what", why}});
  if (options_.supervisor != nullptr)
    options_.supervisor->end_process(EndCause::must_not_run, "database-foreign", why);
}

void PostgresStore::close() {
  if (!parts_) return;
  parts_->closed = true;
  parts_->gate.abandon();
  for (const std::unique_ptr<Lane>& lane : parts_->lanes) lane->stop();
  parts_->listener.stop();
  parts_->leases.stop();
  parts_->inbox.stop();
  parts_->readers.stop();
  parts_->figures.stop();
}

PostgresStore::Parts& PostgresStore::parts() {
  BACKSTITCH_INVARIANT(parts_ != nullptr, "the store has not been opened");
  return *parts_;
}

bool PostgresStore::reachable() const {
  return parts_ && !parts_->closed && parts_->health.good();
}

Error PostgresStore::unreachable_reason() const {
  const std::optional<Error> reason = parts_ ? parts_->health.reason() : std::nullopt;
  return reason ? *reason : Store::unreachable_reason();
}

std::string PostgresStore::warning() const {
  const std::string missing = parts_ ? parts_->common.lineage->identity().missing : std::string();
  if (missing.empty()) return {};
  return "A failover or a restore of the database is noticed only if it loses the newest append of "
         "this node: the node's role lacks `grant execute on function " +
         missing + "`.";
}

StoreFigures PostgresStore::figures() const {
  StoreFigures figures;
  if (!parts_) return figures;
  constexpr double microsecond = 1e-6;
  figures.append_seconds = parts_->meters.append_us.read(microsecond);
  figures.append_batch = parts_->meters.append_batch.read(1);
  figures.errors = parts_->log.counts();
  figures.reconnects = parts_->meters.reconnects.load(std::memory_order_relaxed);
  figures.read_backs = parts_->meters.read_backs.load(std::memory_order_relaxed);
  figures.reads_waiting = parts_->readers.waiting();
  if (!options_.read_only)
    figures.is_identity_known = parts_->common.lineage->identity().is_known();
  figures.lineage_changes = parts_->common.lineage->changes();
  figures.renewals_waiting = parts_->leases.waiting();
  if (reachable()) figures.database = parts_->figures.latest();
  return figures;
}

void PostgresStore::append(std::size_t lane, std::vector<Append> batch,
                           std::function<void(std::vector<AppendResult>)> done) {
  BACKSTITCH_INVARIANT(lane < parts().lanes.size(), "there is no such lane");
  check(batch);
  parts().lanes[lane]->append(std::move(batch), std::move(done));
}

void PostgresStore::load(std::vector<SagaId> sagas,
                         std::function<void(Result<std::vector<StoredSaga>>)> done) {
  parts().readers.submit<std::vector<StoredSaga>>(
      [sagas = std::move(sagas)](Session& session) { return postgres::load(session, sagas); },
      std::move(done));
}

void PostgresStore::due(DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) {
  parts().readers.submit<std::vector<SagaId>>(
      [query = std::move(query)](Session& session) { return postgres::due(session, query); },
      std::move(done));
}

void PostgresStore::remove_expired(std::vector<Shard> shards, std::size_t limit,
                                   Duration key_retention,
                                   std::function<void(Result<std::size_t>)> done) {
  parts().readers.submit<std::size_t>(
      [&lineage = *parts().common.lineage, shards = std::move(shards), limit,
       key_retention](Session& session) {
        auto removed = postgres::remove_expired(session, shards, limit, key_retention);
        if (!removed || *removed > 0) lineage.forget_appends();
        return removed;
      },
      std::move(done));
}

void PostgresStore::renew(LeaseRequest request, std::function<void(Result<LeaseAnswer>)> done) {
  parts().membership.enter(request.node);
  parts().leases.submit<LeaseAnswer>(
      [&parts = parts(), request = std::move(request)](Session& session) {
        return postgres::renew(session, request, parts.common.registry->all(), parts.membership,
                               *parts.common.lineage);
      },
      std::move(done));
}

void PostgresStore::give_up(NodeIdentity node, std::vector<Shard> shards,
                            std::function<void(Result<Done>)> done) {
  parts().leases.submit<Done>(
      [&parts = parts(), node = std::move(node), shards = std::move(shards)](Session& session) {
        const LaneGate::Pause pause(parts.gate);
        parts.common.lineage->forget_appends();
        return postgres::give_up(session, node, shards);
      },
      [this, done = std::move(done)](Result<Done> given_up) {
        if (given_up) parts().notifier.notify(Channel::free_shards);
        done(std::move(given_up));
      });
}

void PostgresStore::prove(NodeIdentity node, std::vector<Shard> shards,
                          std::function<void(Result<Done>)> done) {
  parts().leases.submit<Done>(
      [node = std::move(node), shards = std::move(shards)](Session& session) {
        return postgres::prove(session, node, shards);
      },
      std::move(done));
}

void PostgresStore::strike(SagaId saga, bool again,
                           std::function<void(Result<std::int64_t>)> done) {
  // Asked again it would count twice.
  parts().readers.submit_once<std::int64_t>(
      [saga, again](Session& session) { return postgres::strike(session, saga, again); },
      std::move(done));
}

void PostgresStore::forgive(SagaId saga, std::function<void(Result<Done>)> done) {
  parts().readers.submit<Done>(
      [saga](Session& session) { return postgres::forgive(session, saga); }, std::move(done));
}

void PostgresStore::release(NodeIdentity node, std::function<void(Result<Done>)> done) {
  parts().leases.submit<Done>(
      // The store is about to be closed, so the notification does not wait for its turn.
      [&gate = parts().gate, node = std::move(node)](Session& session) {
        const LaneGate::Pause pause(gate);
        Result<Done> released = postgres::release(session, node);
        return released ? notify(session, Channel::free_shards) : released;
      },
      std::move(done));
}

void PostgresStore::nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) {
  parts().readers.submit<std::vector<NodeInfo>>(
      [](Session& session) { return postgres::nodes(session); }, std::move(done));
}

void PostgresStore::on_free_shards(std::function<void()> hint) {
  parts().common.lineage->on_era(hint);
  parts().listener.listen(name_of(Channel::free_shards), std::move(hint));
}

void PostgresStore::put(InboxItem item, std::function<void(Result<std::int64_t>)> done) {
  // A command must not be put down twice, so it is not a question that may be asked again.
  parts().readers.submit_once<std::int64_t>(
      [item = std::move(item)](Session& session) { return postgres::put_command(session, item); },
      [this, done = std::move(done)](Result<std::int64_t> number) {
        if (number) parts().notifier.notify(Channel::inbox);
        done(std::move(number));
      });
}

void PostgresStore::poll(InboxQuery query, std::function<void(Result<InboxPoll>)> done) {
  parts().inbox.submit<InboxPoll>(
      [query = std::move(query)](Session& session) { return poll_inbox(session, query); },
      std::move(done));
}

void PostgresStore::start_of(SagaId saga,
                             std::function<void(Result<std::optional<InboxItem>>)> done) {
  parts().readers.submit<std::optional<InboxItem>>(
      [saga](Session& session) { return postgres::start_of(session, saga); }, std::move(done));
}

void PostgresStore::failed(InboxFailure failure, std::function<void(Result<bool>)> done) {
  // Counted twice it would be set aside early.
  parts().readers.submit_once<bool>(
      [failure = std::move(failure)](Session& session) {
        return postgres::inbox_failed(session, failure);
      },
      std::move(done));
}

void PostgresStore::take_answers(std::string node,
                                 std::function<void(Result<std::vector<InboxAnswer>>)> done) {
  parts().readers.submit<std::vector<InboxAnswer>>(
      [node = std::move(node)](Session& session) { return postgres::take_answers(session, node); },
      std::move(done));
}

void PostgresStore::on_arrival(std::function<void()> hint) {
  parts().listener.listen(name_of(Channel::inbox), std::move(hint));
}

void PostgresStore::list(ListQuery query,
                         std::function<void(Result<std::vector<SagaSummary>>)> done) {
  parts().readers.submit<std::vector<SagaSummary>>(
      [query = std::move(query)](Session& session) { return postgres::list(session, query); },
      std::move(done));
}

void PostgresStore::history(SagaId saga, Sequence after, std::size_t limit,
                            std::function<void(Result<HistoryPage>)> done) {
  parts().readers.submit<HistoryPage>(
      [saga, after, limit](Session& session) {
        return postgres::history(session, saga, after, limit);
      },
      std::move(done));
}

void PostgresStore::changes(std::int64_t revision,
                            std::function<void(Result<CatalogContent>)> done) {
  parts().readers.submit<CatalogContent>(
      [revision](Session& session) { return postgres::changes(session, revision); },
      std::move(done));
}

void PostgresStore::secret(std::function<void(Result<std::string>)> done) {
  parts().readers.submit<std::string>(
      [](Session& session) { return postgres::installation_secret(session); }, std::move(done));
}

void PostgresStore::put_definition(StoredDefinition definition, bool activate,
                                   std::function<void(Result<PutOutcome>)> done) {
  parts().readers.submit<PutOutcome>(
      [definition = std::move(definition), activate](Session& session) {
        return postgres::put_definition(session, definition, activate);
      },
      std::move(done));
}

void PostgresStore::activate(std::string name, std::int64_t version,
                             std::function<void(Result<Done>)> done) {
  parts().readers.submit<Done>(
      [name = std::move(name), version](Session& session) {
        return postgres::activate(session, name, version);
      },
      std::move(done));
}

void PostgresStore::put_service(StoredService service,
                                std::function<void(Result<PutOutcome>)> done) {
  parts().readers.submit<PutOutcome>(
      [service = std::move(service)](Session& session) {
        return postgres::put_service(session, service);
      },
      std::move(done));
}

}  // namespace backstitch::postgres
