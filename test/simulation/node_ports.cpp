#include "node_ports.hpp"

#include <algorithm>
#include <utility>

namespace backstitch::simulation {

using namespace engine;

namespace {

Error out_of_reach() {
  return {ErrorCode::unavailable, "database-unreachable", "The database cannot be reached."};
}

}  // namespace

/// Tasks on the wire outlive the process, so they hold what they need and not this.
Duration NodePorts::way() {
  if (scene_.strikes(scene_.plan.database.slow)) return scene_.between(50, 3'000);
  return scene_.between(0, 3);
}

Duration NodePorts::way_of_append() {
  if (!scene_.strikes(scene_.plan.database.stuck)) return way();
  scene_.coverage.reached(Rare::append_stuck);
  const auto lease = scene_.plan.lease.count();
  return scene_.between(lease, lease * 3);
}

template <class T>
void NodePorts::answer(Duration after, Result<T> result, Answered<T> done) {
  auto kept = std::make_shared<Result<T>>(std::move(result));
  scene_.outside.call_after(after, [life = life_, kept, done = std::move(done)]() mutable {
    if (!life->alive) return;
    life->store_thread->post([kept, done = std::move(done)] { done(std::move(*kept)); });
  });
}

/// A call that comes to the database, or its answer that comes back: whether its session is of the
/// present era. If it is not, all sessions of the process are broken, and it is told.
bool NodePorts::is_of(std::size_t era) {
  if (life_->era != database_.era()) {
    life_->era = database_.era();
    scene_.coverage.reached(Rare::set_back_noticed);
    scene_.trace.note(life_->who.node, "notices that the database was set back");
    if (on_era_) life_->store_thread->post(on_era_);
  }
  return era == life_->era;
}

template <class T>
void NodePorts::ask(const char* what, std::function<void(Answered<T>)> work, Answered<T> done) {
  if (!database_.reachable())
    return answer<T>(scene_.between(10, 2'000), out_of_reach(), std::move(done));
  if (scene_.strikes(scene_.plan.database.error)) {
    scene_.trace.note(life_->who.node, what, " fails");
    return answer<T>(scene_.between(1, 500), out_of_reach(), std::move(done));
  }
  scene_.outside.call_after(way(), [this, life = life_, era = life_->era, what,
                                    work = std::move(work), done = std::move(done)]() mutable {
    // Whoever asked is gone; what has no effect need not be done.
    if (!life->alive) return;
    if (!database_.reachable() || !is_of(era))
      return answer<T>(Duration{10}, out_of_reach(), std::move(done));
    work([this, life, era, what, done = std::move(done)](Result<T> result) mutable {
      if (!life->alive) return;
      if (era != life->era) result = out_of_reach();
      if (scene_.strikes(scene_.plan.database.answer_error)) {
        scene_.trace.note(life->who.node, what, " took place, and its answer is lost");
        if (std::string_view(what) == "renewal") scene_.coverage.reached(Rare::renewal_answer_lost);
        result = out_of_reach();
      }
      answer<T>(way(), std::move(result), std::move(done));
    });
  });
}

void NodePorts::append(std::size_t, std::vector<Append> items,
                       std::function<void(std::vector<AppendResult>)> done) {
  auto batch = std::make_shared<Batch>();
  batch->size = items.size();
  batch->items = std::move(items);
  batch->done = std::move(done);
  batch->era = life_->era;
  batches_.push_back(batch);
  // The batch goes its way whatever becomes of its process; the ports are kept by their owner.
  scene_.outside.call_after(way_of_append(), [this, batch] { arrived(batch); });
}

void NodePorts::arrived(const std::shared_ptr<Batch>& batch) {
  if (!life_->alive && scene_.dice.below(100) < scene_.plan.database.lost_at_kill) {
    scene_.coverage.reached(Rare::batch_of_the_dead_lost);
    scene_.trace.note(life_->who.node, "a batch of the dead process is lost");
    return;
  }
  if (!database_.reachable()) {
    // The adapter tries until the database is back, as long as there is an adapter.
    if (!life_->alive) return;
    scene_.outside.call_after(database_.away_for() + way(), [this, batch] { arrived(batch); });
    return;
  }
  if (!life_->alive && batch->era != database_.era()) return;
  if (life_->alive && !is_of(batch->era))
    return answered(batch,
                    std::vector<AppendResult>(batch->size, {AppendOutcome::abandoned, {}, false}));
  // No fence is known in this era before the lease was renewed in it.
  if (life_->renewed_era != database_.era())
    return answered(batch, std::vector<AppendResult>(batch->size, {AppendOutcome::fenced}));
  const std::vector<bool> blocked = take_blocked(batch->items);
  database_.append(life_->who, std::move(batch->items),
                   [this, batch, blocked](const std::vector<AppendResult>& results) {
                     std::vector<AppendResult> all;
                     auto next = results.begin();
                     for (const bool one : blocked)
                       all.push_back(one ? AppendResult{AppendOutcome::blocked} : *next++);
                     answered(batch, std::move(all));
                   });
}

/// Open transactions of other programs hold the keys of some starts, which are taken out.
std::vector<bool> NodePorts::take_blocked(std::vector<Append>& items) {
  std::vector<bool> blocked;
  std::vector<Append> others;
  for (Append& item : items) {
    const bool has_key = item.start && !item.start->keys.empty();
    blocked.push_back(has_key && scene_.strikes(scene_.plan.database.error));
    if (blocked.back())
      scene_.coverage.reached(Rare::start_key_held);
    else
      others.push_back(std::move(item));
  }
  items = std::move(others);
  return blocked;
}

void NodePorts::answered(const std::shared_ptr<Batch>& batch, std::vector<AppendResult> results) {
  const auto one = [&](AppendOutcome outcome) {
    return std::any_of(results.begin(), results.end(),
                       [&](const auto& result) { return result.outcome == outcome; });
  };
  if (!life_->alive) {
    if (one(AppendOutcome::written)) scene_.coverage.reached(Rare::batch_of_the_dead_written);
    if (one(AppendOutcome::fenced)) scene_.coverage.reached(Rare::batch_of_the_dead_fenced);
    return;
  }
  if (life_->slept_past_lease && one(AppendOutcome::fenced))
    scene_.coverage.reached(Rare::fenced_after_pause);
  const Duration back = way_of_append();
  if (back > Duration{1'000}) scene_.coverage.reached(Rare::append_answer_late);
  scene_.outside.call_after(back, [this, life = life_, batch, results = std::move(results)] {
    if (!life->alive) return;
    life->store_thread->post([this, batch, results] {
      if (std::exchange(batch->answered, true)) return;
      std::erase(batches_, batch);
      // The session broke before the answer came.
      const bool is_lost = batch->era != life_->era;
      batch->done(
          is_lost ? std::vector<AppendResult>(batch->size, {AppendOutcome::abandoned, {}, false})
                  : results);
    });
  });
}

void NodePorts::abandon() {
  for (const auto& batch : batches_) {
    if (std::exchange(batch->answered, true)) continue;
    life_->store_thread->post([batch] {
      batch->done(std::vector<AppendResult>(batch->size, {AppendOutcome::abandoned, {}, false}));
    });
  }
  batches_.clear();
}

void NodePorts::load(std::vector<SagaId> sagas,
                     std::function<void(Result<std::vector<StoredSaga>>)> done) {
  using Loaded = std::vector<StoredSaga>;
  ask<Loaded>(
      "load",
      [this, sagas](Answered<Loaded> then) { database_.store().load(sagas, std::move(then)); },
      [this, done = std::move(done)](Result<Loaded> loaded) {
        if (!loaded) scene_.coverage.reached(Rare::load_failed);
        done(std::move(loaded));
      });
}

void NodePorts::due(DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) {
  using Ids = std::vector<SagaId>;
  ask<Ids>(
      "due", [this, query](Answered<Ids> then) { database_.store().due(query, std::move(then)); },
      std::move(done));
}

void NodePorts::remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                               std::function<void(Result<std::size_t>)> done) {
  ask<std::size_t>(
      "removal",
      [this, shards, limit, key_retention](Answered<std::size_t> then) {
        database_.store().remove_expired(shards, limit, key_retention, std::move(then));
      },
      std::move(done));
}

void NodePorts::renew(LeaseRequest request, std::function<void(Result<LeaseAnswer>)> done) {
  if (scene_.strikes(scene_.plan.database.stuck)) {
    // The answer to come says what the database's clock showed long ago.
    const auto lease = scene_.plan.lease.count();
    scene_.outside.call_after(scene_.between(lease / 2, lease * 2),
                              [this, era = life_->era, request, done = std::move(done)] {
                                if (!life_->alive) return;
                                if (!is_of(era))
                                  return answer<LeaseAnswer>(Duration{10}, out_of_reach(), done);
                                renew_lease(request, [this, done](Result<LeaseAnswer> leases) {
                                  answer<LeaseAnswer>(way_of_append(), std::move(leases), done);
                                });
                              });
    return;
  }
  ask<LeaseAnswer>(
      "renewal",
      [this, request](Answered<LeaseAnswer> then) { renew_lease(request, std::move(then)); },
      std::move(done));
}

void NodePorts::renew_lease(const LeaseRequest& request, Answered<LeaseAnswer> done) {
  database_.renew(life_->who, request,
                  [life = life_, known = request.lineage, era = database_.era(),
                   done = std::move(done)](Result<LeaseAnswer> leases) {
                    const bool is_same = known == 0 || known == leases->lineage;
                    if (is_same && !leases->namesake) life->renewed_era = era;
                    done(std::move(leases));
                  });
}

void NodePorts::give_up(NodeIdentity node, std::vector<Shard> shards,
                        std::function<void(Result<Done>)> done) {
  ask<Done>(
      "hand-over",
      [this, node, shards](Answered<Done> then) {
        database_.give_up(life_->who, node, shards, std::move(then));
      },
      std::move(done));
}

void NodePorts::prove(NodeIdentity node, std::vector<Shard> shards,
                      std::function<void(Result<Done>)> done) {
  ask<Done>(
      "proof",
      [this, node, shards](Answered<Done> then) {
        database_.store().prove(node, shards, std::move(then));
      },
      std::move(done));
}

void NodePorts::strike(SagaId saga, bool again, std::function<void(Result<std::int64_t>)> done) {
  scene_.coverage.reached(Rare::struck);
  ask<std::int64_t>(
      "strike",
      [this, saga, again](Answered<std::int64_t> then) {
        database_.store().strike(saga, again, std::move(then));
      },
      std::move(done));
}

void NodePorts::forgive(SagaId saga, std::function<void(Result<Done>)> done) {
  ask<Done>(
      "pardon",
      [this, saga](Answered<Done> then) { database_.store().forgive(saga, std::move(then)); },
      std::move(done));
}

void NodePorts::nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) {
  using All = std::vector<NodeInfo>;
  ask<All>(
      "nodes", [this](Answered<All> then) { database_.store().nodes(std::move(then)); },
      std::move(done));
}

/// A hint, which may get lost.
std::function<void()> NodePorts::told(std::function<void()> hint) {
  return [this, life = life_, hint = std::move(hint)] {
    if (!life->alive || scene_.strikes(scene_.plan.database.error * 4)) return;
    scene_.outside.call_after(way(), [life, hint] {
      if (life->alive) life->store_thread->post(hint);
    });
  };
}

void NodePorts::on_free_shards(std::function<void()> hint) {
  on_era_ = hint;
  database_.on_free_shards(told(std::move(hint)));
}
void NodePorts::on_arrival(std::function<void()> hint) {
  database_.on_arrival(told(std::move(hint)));
}

void NodePorts::put(InboxItem item, std::function<void(Result<std::int64_t>)> done) {
  ask<std::int64_t>(
      "put",
      [this, item](Answered<std::int64_t> then) { database_.store().put(item, std::move(then)); },
      [this, done = std::move(done)](Result<std::int64_t> number) {
        if (number) scene_.coverage.reached(Rare::command_by_inbox);
        done(std::move(number));
      });
}

void NodePorts::poll(InboxQuery query, std::function<void(Result<InboxPoll>)> done) {
  ask<InboxPoll>(
      "inbox",
      [this, query](Answered<InboxPoll> then) { database_.store().poll(query, std::move(then)); },
      std::move(done));
}

void NodePorts::start_of(SagaId saga, std::function<void(Result<std::optional<InboxItem>>)> done) {
  using Start = std::optional<InboxItem>;
  ask<Start>(
      "start of",
      [this, saga](Answered<Start> then) { database_.store().start_of(saga, std::move(then)); },
      std::move(done));
}

void NodePorts::failed(InboxFailure failure, std::function<void(Result<bool>)> done) {
  ask<bool>(
      "failure of a command",
      [this, failure](Answered<bool> then) { database_.store().failed(failure, std::move(then)); },
      std::move(done));
}

void NodePorts::take_answers(std::string node,
                             std::function<void(Result<std::vector<InboxAnswer>>)> done) {
  using Answers = std::vector<InboxAnswer>;
  ask<Answers>(
      "answers",
      [this, node](Answered<Answers> then) {
        database_.store().take_answers(node, std::move(then));
      },
      std::move(done));
}

void NodePorts::release(NodeIdentity node, std::function<void(Result<Done>)> done) {
  ask<Done>(
      "release",
      [this, node](Answered<Done> then) { database_.release(life_->who, node, std::move(then)); },
      std::move(done));
}

void NodePorts::list(ListQuery query, std::function<void(Result<std::vector<SagaSummary>>)> done) {
  using Page = std::vector<SagaSummary>;
  ask<Page>(
      "list",
      [this, query](Answered<Page> then) { database_.store().list(query, std::move(then)); },
      std::move(done));
}

void NodePorts::history(SagaId saga, Sequence after, std::size_t limit,
                        std::function<void(Result<HistoryPage>)> done) {
  ask<HistoryPage>(
      "history",
      [this, saga, after, limit](Answered<HistoryPage> then) {
        database_.store().history(saga, after, limit, std::move(then));
      },
      std::move(done));
}

void NodePorts::changes(std::int64_t revision, std::function<void(Result<CatalogContent>)> done) {
  ask<CatalogContent>(
      "catalogue",
      [this, revision](Answered<CatalogContent> then) {
        database_.store().changes(revision, std::move(then));
      },
      std::move(done));
}

void NodePorts::secret(std::function<void(Result<std::string>)> done) {
  ask<std::string>(
      "callback key",
      [this](Answered<std::string> then) { database_.store().secret(std::move(then)); },
      std::move(done));
}

// No node of a simulation registers anything; what is registered is there from the beginning.

void NodePorts::put_definition(StoredDefinition definition, bool activate,
                               std::function<void(Result<PutOutcome>)> done) {
  database_.store().put_definition(std::move(definition), activate, std::move(done));
}
void NodePorts::activate(std::string name, std::int64_t version,
                         std::function<void(Result<Done>)> done) {
  database_.store().activate(std::move(name), version, std::move(done));
}
void NodePorts::put_service(StoredService service, std::function<void(Result<PutOutcome>)> done) {
  database_.store().put_service(std::move(service), std::move(done));
}

}  // namespace backstitch::simulation
