#include <backstitch/base/digest.hpp>
#include <backstitch/engine/runtime/engine.hpp>

#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/masking.hpp>
#include <backstitch/engine/ports/incarnation.hpp>
#include <backstitch/engine/runtime/look_up.hpp>

#include "admission.hpp"
#include "forwarder.hpp"
#include "inbox_poller.hpp"
#include "reactor.hpp"
#include "shard_owner.hpp"
#include "watchdog.hpp"

namespace backstitch::engine {

struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  Impl(Ports ports, const Options& options)
      : node{std::move(ports), options}, registry(*node.ports.catalog, options, node.workers()) {
    BACKSTITCH_INVARIANT(!node.ports.reactors.empty(), "an engine has a reactor");
    node.identity = {options.node, options.incarnation.empty()
                                       ? random_incarnation(*node.ports.random)
                                       : options.incarnation};
    for (std::size_t i = 0; i < node.ports.reactors.size(); ++i) {
      reactors.push_back(std::make_shared<Reactor>(node, registry, i));
    }
    owner = std::make_shared<ShardOwner>(node, registry, reactors);
    watchdog = std::make_shared<Watchdog>(node, reactors);
    node.forwarder = std::make_shared<Forwarder>(node);
    node.inbox = std::make_shared<InboxPoller>(node, reactors);
  }

  Executor& executor_of(std::size_t reactor) { return *node.ports.reactors[reactor].executor; }
  std::size_t reactor_of(SagaId saga) const { return saga.shard() % reactors.size(); }

  void open(std::function<void(Result<Done>)> done) {
    node.ports.catalog->secret(
        [self = shared_from_this(), done = std::move(done)](Result<std::string> secret) mutable {
          auto& upkeep = self->node.upkeep();
          upkeep.post([self = std::move(self), done = std::move(done),
                       secret = std::move(secret)]() mutable {
            if (!secret) return done(secret.error());
            const auto key_for = [&](const char* purpose) {
              return hex_of(hmac_sha256(*secret, purpose));
            };
            self->node.callbacks = std::make_shared<const CallbackSeal>(key_for("callbacks"));
            self->registry.set_key_secret(key_for("keys"));
            self->read_catalog(std::move(done));
          });
        });
  }

  void read_catalog(std::function<void(Result<Done>)> done) {
    registry.refresh(
        [self = shared_from_this(), done = std::move(done)](Result<Done> refreshed) mutable {
          auto& upkeep = self->node.upkeep();
          upkeep.post([self = std::move(self), done = std::move(done),
                       refreshed = std::move(refreshed)]() mutable {
            if (!refreshed) return done(refreshed.error());
            self->begin(std::move(done));
          });
        });
  }

  void begin(std::function<void(Result<Done>)> done) {
    if (node.options.read_only) return begin_reading(done);
    node.inbox->open();
    watchdog->begin();
    owner->open([self = shared_from_this(), done = std::move(done)](const Result<Done>& opened) {
      self->executor_of(0).post([self, opened, done] {
        self->ready = opened.has_value();
        if (opened) self->keep_catalog_fresh();
        done(opened);
      });
    });
  }

  void begin_reading(const std::function<void(Result<Done>)>& done) {
    watchdog->begin();
    executor_of(0).post([self = shared_from_this(), done] {
      self->ready = true;
      self->keep_catalog_fresh();
      done(Done{});
    });
  }

  void keep_catalog_fresh() {
    executor_of(0).call_after(node.options.catalog_refresh_every, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->node.closing) return;
      self->registry.refresh([weak](const Result<Done>&) {
        const auto alive = weak.lock();
        if (!alive) return;
        alive->executor_of(0).post([alive] { alive->keep_catalog_fresh(); });
      });
    });
  }

  void close(std::function<void()> done) {
    if (node.closing.exchange(true)) return done();
    for (std::size_t i = 0; i < reactors.size(); ++i)
      executor_of(i).post([reactor = reactors[i]] { reactor->answer_everybody(); });
    node.forwarder->answer_everybody();
    node.upkeep().post([self = shared_from_this(), done = std::move(done)] {
      if (self->node.options.read_only) return done();
      self->owner->close(done);
    });
  }

  std::string not_ready_reason() {
    if (node.closing) return "The node is stopping.";
    if (const auto hindrance = node.hindrance()) return hindrance->message;
    if (!ready) return "The engine is opening.";
    if (node.options.read_only) return "";
    std::uint64_t shards = 0;
    for (const auto& reactor : reactors)
      shards += reactor->counters.shards.load(std::memory_order_relaxed);
    return shards > 0 ? "" : "This node holds no shards.";
  }

  /// The caller's own reactor saves a hop between threads; it yields to another one that has less
  /// to do (the power of two choices, Mitzenmacher 2001), or a busy connection's would get it all.
  std::size_t reactor_for_start(std::size_t own) {
    const auto load = [this](std::size_t i) {
      const auto& counters = reactors[i]->counters;
      return counters.sagas.load(std::memory_order_relaxed) +
             counters.starting.load(std::memory_order_relaxed);
    };
    const std::size_t other = next.fetch_add(1, std::memory_order_relaxed) % reactors.size();
    return own < reactors.size() && load(own) <= load(other) ? own : other;
  }

  using HistoryDone = std::function<void(Result<HistoryPage>)>;

  /// The first event says whether anything is sensitive.
  void history(SagaId saga, Sequence after, std::size_t limit, HistoryDone done,
               bool looked_for_start = false) {
    node.ports.reader->history(
        saga, Sequence{0}, 1,
        [self = shared_from_this(), saga, after, limit, done = std::move(done),
         looked_for_start](Result<HistoryPage> first) mutable {
          const bool missing =
              first ? first->events.empty() : first.error().code == ErrorCode::not_found;
          if (missing && !looked_for_start)
            return self->history_of_promised(saga, after, limit, std::move(done));
          if (!first) return done(std::move(first).error());
          const auto started =
              missing ? Result<Event>(no_start(saga)) : decode(first->events.front());
          if (!started) return done(started.error());
          const auto* body = std::get_if<SagaStarted>(&started->body);
          if (body == nullptr) return done(no_start(saga));
          self->history_of(saga, *body, after, limit, std::move(done));
        });
  }

  void history_of(SagaId saga, const SagaStarted& start, Sequence after, std::size_t limit,
                  HistoryDone done) {
    look_up(
        registry,
        [self = shared_from_this(), definition = start.definition, version = start.version] {
          return self->registry.program(definition, version);
        },
        [self = shared_from_this(), saga, after, limit, sensitive = start.sensitive,
         done = std::move(done)](const Result<Program>& program) mutable {
          if (!program) return done(program.error());
          if (taints_of(*program->definition, sensitive))
            return self->masked_history(saga, after, limit, std::move(done));
          self->node.ports.reader->history(saga, after, limit, std::move(done));
        });
  }

  /// A start by SQL that has not been taken up is a saga without a history. If there is none now it
  /// may have been taken up between the two looks.
  void history_of_promised(SagaId saga, Sequence after, std::size_t limit, HistoryDone done) {
    node.ports.inbox->start_of(
        saga, [self = shared_from_this(), saga, after, limit,
               done = std::move(done)](const Result<std::optional<InboxItem>>& start) mutable {
          if (!start) return done(start.error());
          if (*start) return done(HistoryPage{});
          self->history(saga, after, limit, std::move(done), true);
        });
  }

  /// What is searched for may have come with any event.
  void masked_history(SagaId saga, Sequence after, std::size_t limit, HistoryDone done) {
    reactors[reactor_of(saga)]->read(saga, [self = shared_from_this(), saga, after, limit,
                                            done = std::move(done)](Result<FoldedLog> log) mutable {
      if (!log) return done(std::move(log).error());
      self->node.ports.reader->history(saga, after, limit,
                                       [masking = Masking(*log->program.definition, log->state),
                                        done = std::move(done)](Result<HistoryPage> page) {
                                         if (!page) return done(std::move(page).error());
                                         for (auto& event : page->events)
                                           event = masking.masked(std::move(event));
                                         done(std::move(page));
                                       });
    });
  }

  /// From here on nothing knows the token: not the inbox, not the log.
  std::optional<Error> unseal(Callback& callback, SagaId saga) const {
    const auto seal = node.callbacks.load();
    if (!seal) return Error{ErrorCode::unavailable, "not-ready", "The engine is opening."};
    auto handle = seal->handle(callback.token);
    if (!handle)
      return Error{ErrorCode::not_found, "callback-unknown", "No step waits for this callback."};
    callback.token = std::move(*handle);
    seal->take_out(callback.response, saga);
    return std::nullopt;
  }

  static Error no_start(SagaId saga) {
    return {ErrorCode::internal, "log-corrupt", "The log of " + saga.text() + " has no start."};
  }

  Node node;
  Registry registry;
  std::vector<std::shared_ptr<Reactor>> reactors;
  std::shared_ptr<ShardOwner> owner;
  std::shared_ptr<Watchdog> watchdog;
  std::atomic<bool> ready{false};
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> next_wait{1};
};

Engine::Engine(Ports ports, Options options)
    : impl_(std::make_shared<Impl>(std::move(ports), options)) {}
/// What is queued holds the engine, and the engine what is queued.
Engine::~Engine() {
  impl_->owner->abandon();
  for (const auto& reactor : impl_->reactors) reactor->abandon();
  impl_->node.call_queues.abandon();
}

void Engine::open(std::function<void(Result<Done>)> done) {
  impl_->open(std::move(done));
}
void Engine::close(std::function<void()> done) {
  impl_->close(std::move(done));
}
std::string Engine::not_ready_reason() const {
  return impl_->not_ready_reason();
}

bool Engine::is_read_only() const {
  return impl_->node.options.read_only;
}
std::string Engine::store_warning() const {
  return impl_->node.ports.store->warning();
}

void Engine::start(std::size_t reactor, StartRequest request,
                   std::function<void(Result<StartReply>)> done) {
  const std::size_t index = impl_->reactor_for_start(reactor);
  impl_->reactors[index]->counters.starting.fetch_add(1, std::memory_order_relaxed);
  impl_->executor_of(index).post([target = impl_->reactors[index], request = std::move(request),
                                  done = std::move(done), is_read_only = is_read_only()]() mutable {
    auto settled = [target, done = std::move(done)](Result<StartReply> reply) {
      target->counters.starting.fetch_sub(1, std::memory_order_relaxed);
      if (!reply) target->count_refused(reply.error());
      done(std::move(reply));
    };
    if (is_read_only) return settled(node_is_read_only());
    target->start(std::move(request), std::move(settled));
  });
}

void Engine::command(SagaId saga, Command command, std::function<void(Result<Done>)> done,
                     std::string idempotency_key) {
  const std::size_t index = impl_->reactor_of(saga);
  StimulusBody body = std::visit([](auto& one) -> StimulusBody { return std::move(one); }, command);
  impl_->executor_of(index).post([impl = impl_, target = impl_->reactors[index], saga,
                                  body = std::move(body), done = std::move(done),
                                  origin = Origin{0, false, std::move(idempotency_key)}]() mutable {
    if (impl->node.options.read_only) return done(node_is_read_only());
    if (auto* callback = std::get_if<Callback>(&body)) {
      if (auto refused = impl->unseal(*callback, saga)) return done(std::move(*refused));
    }
    auto admitted = admit_command(std::move(body));
    if (!admitted) return done(std::move(admitted).error());
    if (auto flaw = key_flaw(origin.idempotency_key)) return done(std::move(*flaw));
    target->command(saga, std::move(*admitted), std::move(done), std::move(origin));
  });
}

void Engine::plan(SagaId saga, Command command, std::function<void(Result<explore::Plan>)> done) {
  const std::size_t index = impl_->reactor_of(saga);
  StimulusBody body = std::visit([](auto& one) -> StimulusBody { return std::move(one); }, command);
  impl_->executor_of(index).post([impl = impl_, target = impl_->reactors[index], saga,
                                  body = std::move(body), done = std::move(done)]() mutable {
    // Its clock is that of the renewals.
    if (impl->node.options.read_only) return done(node_is_read_only());
    target->plan(saga, std::move(body), std::move(done));
  });
}

std::uint64_t Engine::await_end(SagaId saga, Duration wait,
                                std::function<void(Result<Json>)> done) {
  const std::size_t index = impl_->reactor_of(saga);
  const std::uint64_t number = impl_->next_wait.fetch_add(1, std::memory_order_relaxed);
  impl_->executor_of(index).post(
      [target = impl_->reactors[index], saga, number, wait, done = std::move(done)]() mutable {
        target->await_end(saga, number, wait, std::move(done));
      });
  return number;
}

void Engine::stop_waiting(SagaId saga, std::uint64_t wait) {
  const std::size_t index = impl_->reactor_of(saga);
  impl_->executor_of(index).post(
      [target = impl_->reactors[index], saga, wait] { target->stop_waiting(saga, wait); });
}

void Engine::view(SagaId saga, std::function<void(Result<Json>)> done) {
  const std::size_t index = impl_->reactor_of(saga);
  impl_->executor_of(index).post(
      [target = impl_->reactors[index], saga, done = std::move(done)]() mutable {
        target->view(saga, std::move(done));
      });
}
void Engine::history(SagaId saga, Sequence after, std::size_t limit,
                     std::function<void(Result<HistoryPage>)> done) {
  impl_->history(saga, after, limit, std::move(done));
}
void Engine::compare(CompatibilityQuery query,
                     std::function<void(Result<CompatibilityPage>)> done) {
  look_up(
      impl_->registry,
      [impl = impl_, query] { return impl->registry.program(query.definition, query.version); },
      [impl = impl_, query, done = std::move(done)](const Result<Program>& program) mutable {
        if (!program) return done(program.error());
        const auto& ports = impl->node.ports;
        compare_running(impl->registry, *ports.reader, *ports.store, std::move(query),
                        [impl, done = std::move(done)](Result<CompatibilityPage> page) {
                          done(std::move(page));
                        });
      });
}
void Engine::service_use(const std::string& service, std::function<void(Result<ServiceUse>)> done) {
  count_service_use(impl_->registry, *impl_->node.ports.reader, service,
                    [keep = impl_, done = std::move(done)](Result<ServiceUse> use) { done(use); });
}
void Engine::nodes(std::function<void(Result<std::vector<NodeInfo>>)> done) {
  impl_->node.ports.leases->nodes(std::move(done));
}
std::vector<SagaId> Engine::set_aside(std::size_t most) const {
  return impl_->node.set_aside.first(most);
}
Registry& Engine::registry() {
  return impl_->registry;
}
Workers& Engine::workers() {
  return impl_->node.workers();
}
Observer& Engine::observer() {
  return *impl_->node.ports.observer;
}
SagaReader& Engine::reader() {
  return *impl_->node.ports.reader;
}

Counters Engine::counters() const {
  Counters total;
  const Node& node = impl_->node;
  total.appends_waiting.resize(impl_->reactors.size() + Lanes::beside_reactors);
  for (const auto& reactor : impl_->reactors) {
    reactor->add_unanswered_appends(total.appends_waiting);
    const auto& one = reactor->counters;
    total.starts += one.starts.load(std::memory_order_relaxed);
    total.starts_refused += one.starts_refused.load(std::memory_order_relaxed);
    total.starts_invalid += one.starts_invalid.load(std::memory_order_relaxed);
    total.ended += one.ended.load(std::memory_order_relaxed);
    total.appends += one.appends.load(std::memory_order_relaxed);
    total.commits += one.commits.load(std::memory_order_relaxed);
    total.calls += one.calls.load(std::memory_order_relaxed);
    total.inbox_refused += one.inbox_refused.load(std::memory_order_relaxed);
    total.inbox_set_aside += one.inbox_set_aside.load(std::memory_order_relaxed);
    total.removals_failed += one.removals_failed.load(std::memory_order_relaxed);
    total.bugs += one.bugs.load(std::memory_order_relaxed);
    total.transitions_cut += one.transitions_cut.load(std::memory_order_relaxed);
    total.shards_held += one.shards.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < lack_count; ++i)
      total.calls_unsent[i] += one.calls_unsent[i].load(std::memory_order_relaxed);
  }
  for (const auto& ports : node.ports.reactors) {
    const CarrierCounters one = ports.participants->counters();
    total.carriers.unrequested += one.unrequested;
    total.carriers.addresses_kept += one.addresses_kept;
  }
  total.starts_blocked = node.blocked_keys.starts();
  total.set_aside = node.set_aside.size();
  total.resident = node.resident.load(std::memory_order_relaxed);
  if (const auto until = node.term.until()) {
    total.lease_age = std::chrono::duration_cast<Duration>(node.upkeep().now() -
                                                           (*until - node.options.acting_time()));
  }
  total.store = node.ports.store->figures();
  return total;
}

}  // namespace backstitch::engine
