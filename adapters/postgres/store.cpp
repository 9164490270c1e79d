#include <atomic>

#include <backstitch/postgres/store.hpp>

#include "lane.hpp"
#include "listener.hpp"
#include "queries.hpp"
#include "startup_checks.hpp"
#include "worker_pool.hpp"

namespace backstitch::postgres {
namespace {

using namespace engine;

constexpr std::size_t reads_waiting_max = 4096;
constexpr std::size_t renewals_waiting_max = 64;

SessionOptions reader_session(const Options& options) {
  // Planned with the values at hand: see list().
  return {options.database_url,
          options.application_name,
          {{"plan_cache_mode", "force_custom_plan"}, {"jit", "off"}, {"statement_timeout", "10s"}},
          15000};
}

SessionOptions lease_session(const Options& options) {
  return {options.database_url,
          options.application_name,
          {{"jit", "off"}, {"statement_timeout", "5s"}},
          3000};
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
  Parts(const Options& options, std::vector<std::unique_ptr<Session>> sessions)
      : leases({lease_session(options), 1, renewals_waiting_max}, &health),
        readers({reader_session(options), options.readers, reads_waiting_max}, nullptr),
        listener(lease_session(options)) {
    for (std::unique_ptr<Session>& session : sessions) {
      lanes.push_back(std::make_unique<Lane>(
          Lane::session_options(options.database_url, options.application_name), std::move(session),
          node, health));
    }
  }

  NodeName node;
  Health health;
  std::atomic<bool> closed{false};
  std::vector<std::unique_ptr<Lane>> lanes;
  WorkerPool leases;
  WorkerPool readers;
  Listener listener;
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
  const SessionOptions session =
      Lane::session_options(options_.database_url, options_.application_name);
  try {
    for (std::size_t i = 0; i < options_.lanes; ++i) {
      sessions.push_back(std::make_unique<Session>(session));
    }
    Result<Done> checked = check_server(*sessions.front(), options_.allow_unsafe);
    if (!checked) return checked;
  } catch (const InvariantViolation&) {
    throw;
  } catch (...) {
    return to_error(current_failure(false));
  }
  parts_ = std::make_unique<Parts>(options_, std::move(sessions));
  return Done{};
}

void PostgresStore::close() {
  if (!parts_) return;
  parts_->closed = true;
  for (const std::unique_ptr<Lane>& lane : parts_->lanes) lane->stop();
  parts_->listener.stop();
  parts_->leases.stop();
  parts_->readers.stop();
}

PostgresStore::Parts& PostgresStore::parts() {
  BACKSTITCH_INVARIANT(parts_ != nullptr, "the store has not been opened");
  return *parts_;
}

bool PostgresStore::reachable() const {
  return parts_ && !parts_->closed && parts_->health.good();
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
                                   std::function<void(Result<std::size_t>)> done) {
  parts().readers.submit<std::size_t>(
      [shards = std::move(shards), limit](Session& session) {
        return postgres::remove_expired(session, shards, limit);
      },
      std::move(done));
}

void PostgresStore::renew(LeaseRequest request, std::function<void(Result<LeaseAnswer>)> done) {
  parts().node.set(request.node);
  parts().leases.submit<LeaseAnswer>(
      [request = std::move(request)](Session& session) {
        return postgres::renew(session, request);
      },
      std::move(done));
}

void PostgresStore::give_up(std::string node, std::vector<Shard> shards,
                            std::function<void(Result<Done>)> done) {
  parts().leases.submit<Done>(
      [node = std::move(node), shards = std::move(shards)](Session& session) {
        return postgres::give_up(session, node, shards);
      },
      std::move(done));
}

void PostgresStore::release(std::string node, std::function<void(Result<Done>)> done) {
  parts().leases.submit<Done>(
      [node = std::move(node)](Session& session) { return postgres::release(session, node); },
      std::move(done));
}

void PostgresStore::nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) {
  parts().readers.submit<std::vector<NodeInfo>>(
      [](Session& session) { return postgres::nodes(session); }, std::move(done));
}

void PostgresStore::on_free_shards(std::function<void()> hint) {
  parts().listener.listen("backstitch_shards", std::move(hint));
}

void PostgresStore::put(InboxItem item, std::function<void(Result<std::int64_t>)> done) {
  // A command must not be put down twice, so it is not a question that may be asked again.
  parts().readers.submit_once<std::int64_t>(
      [item = std::move(item)](Session& session) { return postgres::put_command(session, item); },
      std::move(done));
}

void PostgresStore::waiting(InboxQuery query,
                            std::function<void(Result<std::vector<InboxItem>>)> done) {
  parts().readers.submit<std::vector<InboxItem>>(
      [query = std::move(query)](Session& session) { return postgres::waiting(session, query); },
      std::move(done));
}

void PostgresStore::start_of(SagaId saga,
                             std::function<void(Result<std::optional<InboxItem>>)> done) {
  parts().readers.submit<std::optional<InboxItem>>(
      [saga](Session& session) { return postgres::start_of(session, saga); }, std::move(done));
}

void PostgresStore::take_answers(std::string node,
                                 std::function<void(Result<std::vector<InboxAnswer>>)> done) {
  parts().readers.submit<std::vector<InboxAnswer>>(
      [node = std::move(node)](Session& session) { return postgres::take_answers(session, node); },
      std::move(done));
}

void PostgresStore::on_arrival(std::function<void()> hint) {
  parts().listener.listen("backstitch_inbox", std::move(hint));
}

void PostgresStore::list(ListQuery query,
                         std::function<void(Result<std::vector<SagaSummary>>)> done) {
  parts().readers.submit<std::vector<SagaSummary>>(
      [query = std::move(query)](Session& session) { return postgres::list(session, query); },
      std::move(done));
}

void PostgresStore::history(SagaId saga, Sequence after, std::size_t limit,
                            std::function<void(Result<std::vector<EventRecord>>)> done) {
  parts().readers.submit<std::vector<EventRecord>>(
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
