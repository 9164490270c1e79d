#include <backstitch/engine/runtime/engine.hpp>

#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/masking.hpp>
#include <backstitch/engine/runtime/look_up.hpp>

#include "admission.hpp"
#include "forwarder.hpp"
#include "reactor.hpp"
#include "shard_owner.hpp"

namespace backstitch::engine {

struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  Impl(Ports ports, const Options& options)
      : node{std::move(ports), options}, registry(*node.ports.catalog, options) {
    BACKSTITCH_INVARIANT(!node.ports.reactors.empty(), "an engine has a reactor");
    for (std::size_t i = 0; i < node.ports.reactors.size(); ++i) {
      reactors.push_back(std::make_shared<Reactor>(node, registry, i));
    }
    owner = std::make_shared<ShardOwner>(node, reactors);
    node.forwarder = std::make_shared<Forwarder>(node);
  }

  Executor& executor_of(std::size_t reactor) { return *node.ports.reactors[reactor].executor; }
  std::size_t reactor_of(SagaId saga) const { return saga.shard() % reactors.size(); }

  void open(std::function<void(Result<Done>)> done) {
    registry.refresh(
        [self = shared_from_this(), done = std::move(done)](Result<Done> refreshed) mutable {
          auto& first = self->executor_of(0);
          first.post([self = std::move(self), done = std::move(done),
                      refreshed = std::move(refreshed)]() mutable {
            if (!refreshed) return done(refreshed.error());
            self->listen_to_inbox();
            self->owner->open([self, done = std::move(done)](const Result<Done>& opened) {
              self->ready = opened.has_value();
              if (opened) self->keep_catalog_fresh();
              done(opened);
            });
          });
        });
  }

  void listen_to_inbox() {
    node.ports.inbox->on_arrival([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->node.closing) return;
      for (std::size_t i = 0; i < self->reactors.size(); ++i) {
        self->executor_of(i).post([reactor = self->reactors[i]] { reactor->look_into_inbox(); });
      }
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
    executor_of(0).post(
        [self = shared_from_this(), done = std::move(done)] { self->owner->close(done); });
  }

  std::string not_ready_reason() {
    if (node.closing) return "The node is stopping.";
    if (!node.ports.store->reachable()) return "The database cannot be reached.";
    if (!ready) return "The engine is opening.";
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

  using EventsDone = std::function<void(Result<std::vector<EventRecord>>)>;

  /// The first event says whether anything is sensitive.
  void history(SagaId saga, Sequence after, std::size_t limit, EventsDone done,
               bool looked_for_start = false) {
    node.ports.reader->history(
        saga, Sequence{0}, 1,
        [self = shared_from_this(), saga, after, limit, done = std::move(done),
         looked_for_start](Result<std::vector<EventRecord>> first) mutable {
          const bool missing = first ? first->empty() : first.error().code == ErrorCode::not_found;
          if (missing && !looked_for_start)
            return self->history_of_promised(saga, after, limit, std::move(done));
          if (!first) return done(std::move(first).error());
          const auto started = missing ? Result<Event>(no_start(saga)) : decode(first->front());
          if (!started) return done(started.error());
          const auto* body = std::get_if<SagaStarted>(&started->body);
          if (body == nullptr) return done(no_start(saga));
          self->history_of(saga, *body, after, limit, std::move(done));
        });
  }

  void history_of(SagaId saga, const SagaStarted& start, Sequence after, std::size_t limit,
                  EventsDone done) {
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
  void history_of_promised(SagaId saga, Sequence after, std::size_t limit, EventsDone done) {
    node.ports.inbox->start_of(
        saga, [self = shared_from_this(), saga, after, limit,
               done = std::move(done)](const Result<std::optional<InboxItem>>& start) mutable {
          if (!start) return done(start.error());
          if (*start) return done(std::vector<EventRecord>{});
          self->history(saga, after, limit, std::move(done), true);
        });
  }

  /// What is searched for may have come with any event.
  void masked_history(SagaId saga, Sequence after, std::size_t limit, EventsDone done) {
    reactors[reactor_of(saga)]->read(saga, [self = shared_from_this(), saga, after, limit,
                                            done = std::move(done)](Result<FoldedLog> log) mutable {
      if (!log) return done(std::move(log).error());
      self->node.ports.reader->history(
          saga, after, limit,
          [masking = Masking(*log->program.definition, log->state),
           done = std::move(done)](Result<std::vector<EventRecord>> events) {
            if (!events) return done(std::move(events).error());
            for (auto& event : *events) event = masking.masked(std::move(event));
            done(std::move(events));
          });
    });
  }

  static Error no_start(SagaId saga) {
    return {ErrorCode::internal, "log-corrupt", "The log of " + saga.text() + " has no start."};
  }

  Node node;
  Registry registry;
  std::vector<std::shared_ptr<Reactor>> reactors;
  std::shared_ptr<ShardOwner> owner;
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

void Engine::start(std::size_t reactor, StartRequest request,
                   std::function<void(Result<StartReply>)> done) {
  const std::size_t index = impl_->reactor_for_start(reactor);
  impl_->reactors[index]->counters.starting.fetch_add(1, std::memory_order_relaxed);
  impl_->executor_of(index).post([target = impl_->reactors[index], request = std::move(request),
                                  done = std::move(done)]() mutable {
    auto settled = [target, done = std::move(done)](Result<StartReply> reply) {
      target->counters.starting.fetch_sub(1, std::memory_order_relaxed);
      done(std::move(reply));
    };
    target->start(std::move(request), std::move(settled));
  });
}

void Engine::command(SagaId saga, Command command, std::function<void(Result<Done>)> done,
                     std::string idempotency_key) {
  const std::size_t index = impl_->reactor_of(saga);
  StimulusBody body = std::visit([](auto& one) -> StimulusBody { return std::move(one); }, command);
  impl_->executor_of(index).post([target = impl_->reactors[index], saga, body = std::move(body),
                                  done = std::move(done),
                                  origin = Origin{0, false, std::move(idempotency_key)}]() mutable {
    auto admitted = admit_command(std::move(body));
    if (!admitted) return done(std::move(admitted).error());
    if (auto flaw = key_flaw(origin.idempotency_key)) return done(std::move(*flaw));
    target->command(saga, std::move(*admitted), std::move(done), std::move(origin));
  });
}

void Engine::plan(SagaId saga, Command command, std::function<void(Result<explore::Plan>)> done) {
  const std::size_t index = impl_->reactor_of(saga);
  StimulusBody body = std::visit([](auto& one) -> StimulusBody { return std::move(one); }, command);
  impl_->executor_of(index).post(
      [target = impl_->reactors[index], saga, body = std::move(body),
       done = std::move(done)]() mutable { target->plan(saga, std::move(body), std::move(done)); });
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
                     std::function<void(Result<std::vector<EventRecord>>)> done) {
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
Registry& Engine::registry() {
  return impl_->registry;
}
SagaReader& Engine::reader() {
  return *impl_->node.ports.reader;
}

Counters Engine::counters() const {
  Counters total;
  for (const auto& reactor : impl_->reactors) {
    const auto& one = reactor->counters;
    total.starts += one.starts.load(std::memory_order_relaxed);
    total.starts_refused += one.starts_refused.load(std::memory_order_relaxed);
    total.ended += one.ended.load(std::memory_order_relaxed);
    total.appends += one.appends.load(std::memory_order_relaxed);
    total.commits += one.commits.load(std::memory_order_relaxed);
    total.calls += one.calls.load(std::memory_order_relaxed);
    total.shards_held += one.shards.load(std::memory_order_relaxed);
  }
  total.resident = impl_->node.resident.load(std::memory_order_relaxed);
  return total;
}

}  // namespace backstitch::engine
