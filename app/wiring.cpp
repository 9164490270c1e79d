#include "wiring.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/base/authority_text.hpp>
#include <backstitch/engine/ports/incarnation.hpp>
#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/http/egress.hpp>
#include <backstitch/http/egress_proxy.hpp>
#include <backstitch/http/participants.hpp>
#include <backstitch/postgres/store.hpp>
#include <backstitch/rest/server.hpp>
#include <backstitch/system/random.hpp>
#include <backstitch/system/secrets.hpp>
#include <backstitch/system/worker_threads.hpp>

#include "exit_code.hpp"
#include "process.hpp"
#include "version.hpp"

namespace backstitch::app {
namespace {

constexpr std::chrono::seconds open_max{60};
constexpr unsigned stop_max_s = 29;  // all of it
constexpr std::chrono::seconds close_max{20};
constexpr Duration answers_out_max{3'000};
/// Characters of the incarnation in the names of sessions, which have 63 bytes for all.
constexpr std::size_t incarnation_shown = 18;

std::size_t reactor_count(std::size_t wanted) {
  if (wanted > 0) return wanted;
  return std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, reactors_max);
}

/// Checking documents may take half of the machine: the rest is the sagas'.
system::WorkerThreads::Options worker_options() {
  return {.threads = std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 4)};
}

/// The same name after a restart in the same place, so that its shards come back at once.
std::string node_name(const ServerConfig& config, std::uint16_t port) {
  if (!config.node.empty()) return config.node;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) return "node:" + std::to_string(port);
  return std::string(host.data()) + ":" + std::to_string(port);
}

/// Whatever cannot go on ends at once: other nodes take the sagas over, and a service manager
/// starts this one again. Nothing is unwound, because a thread may be stuck.
class ProcessSupervisor final : public engine::Supervisor {
 public:
  void end_process(engine::EndCause cause, std::string_view event, std::string_view what) override {
    end_at_once(std::string(event) + ": " + std::string(what),
                cause == engine::EndCause::must_not_run ? exit_bad : exit_broken);
  }
};

/// Runs an operation with a callback to its end. @return nothing if `most` passed first
template <class T>
std::optional<T> wait_for(std::chrono::seconds most,
                          const std::function<void(std::function<void(T)>)>& run) {
  struct Slot {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<T> value;
  };
  auto slot = std::make_shared<Slot>();
  run([slot](T value) {
    const std::lock_guard lock(slot->mutex);
    slot->value = std::move(value);
    slot->ready.notify_all();
  });
  std::unique_lock lock(slot->mutex);
  slot->ready.wait_for(lock, most, [&] { return slot->value.has_value(); });
  return std::move(slot->value);
}

}  // namespace

struct Node::Impl {
  Impl(ServerConfig given, engine::Observer& notes)
      : config(std::move(given)),
        observer(notes),
        secrets(config.secrets,
                [this](const std::string& path, const std::string& why) {
                  observer.note(engine::Level::warning, "secret-refused",
                                {{"file", path}, {"why", why}});
                }),
        workers(worker_options()) {
    egress = std::make_shared<http::EgressPolicy>(http::EgressPolicy::Options{
        .allow_hosts = config.allow_hosts, .allow_loopback_http = config.allow_loopback});
  }

  Result<Done> set_egress_proxy() {
    if (config.egress_proxy.empty()) {
      if (config.no_egress_proxy.empty()) return Done{};
      return Error{ErrorCode::invalid, "option-invalid",
                   "--no-egress-proxy has no meaning without --egress-proxy."};
    }
    auto proxy = http::EgressProxy::of(config.egress_proxy, config.no_egress_proxy);
    if (!proxy) return proxy.error();
    egress_proxy = std::make_shared<http::EgressProxy>(std::move(*proxy));
    return Done{};
  }

  Result<Done> connect() {
    if (auto set = set_egress_proxy(); !set) return set;
    store = std::make_unique<postgres::PostgresStore>(
        postgres::Options{.database_url = config.database,
                          .lanes = reactor_count(config.reactors),
                          .node = node_name(config, config.port),
                          .allow_unsafe = config.allow_unsafe,
                          .observer = &observer,
                          .supervisor = &supervisor,
                          .adopt = config.adopt,
                          .read_only = config.read_only,
                          .require_identity = config.require_identity,
                          .incarnation = incarnation.substr(0, incarnation_shown)});
    auto opened = store->open();
    if (!opened) store.reset();
    return opened;
  }

  void make_reactors() {
    for (std::size_t i = 0; i < reactor_count(config.reactors); ++i) {
      reactors.push_back(std::make_unique<asio::Reactor>());
      participants.push_back(std::make_unique<http::HttpParticipants>(
          *reactors.back(), http::Options{.egress = egress,
                                          .egress_proxy = egress_proxy,
                                          .secrets = &secrets,
                                          .version = version,
                                          .node = carriers,
                                          .observer = &observer}));
    }
  }

  engine::Ports ports() {
    engine::Ports all{.store = store.get(),
                      .leases = store.get(),
                      .inbox = store.get(),
                      .reader = store.get(),
                      .catalog = store.get(),
                      .random = &random,
                      .observer = &observer,
                      .workers = &workers,
                      .upkeep = &upkeep,
                      .supervisor = &supervisor};
    for (std::size_t i = 0; i < reactors.size(); ++i) {
      all.reactors.push_back({reactors[i].get(), participants[i].get()});
    }
    return all;
  }

  engine::Options engine_options() {
    engine::Options options;
    options.node = node_name(config, config.port);
    options.incarnation = incarnation;
    if (config.port != 0) options.address = authority_text(config.host, config.port);
    options.read_only = config.read_only;
    if (config.shards_max > 0) options.shards_max = config.shards_max;
    if (config.key_retention.count() > 0) options.key_retention = config.key_retention;
    if (config.lease.count() > 0) {
      options.lease = config.lease;
      options.lease_renewal = std::min(options.lease_renewal, config.lease * 3 / 10);
    }
    if (config.starts_waiting_max > 0) options.starts_waiting_max = config.starts_waiting_max;
    if (config.sagas_resident_max > 0) options.sagas_resident_max = config.sagas_resident_max;
    options.require_keys = config.require_keys;
    options.environment.refuse_url = [policy = egress](const std::string& url) {
      return policy->check_url(url);
    };
    options.environment.has_secret = [this](const std::string& name, const std::string& service) {
      return secrets.find(name, service).has_value();
    };
    return options;
  }

  Result<Done> open() {
    if (!store) {
      if (auto connected = connect(); !connected) return connected;
    }
    make_reactors();
    engine = std::make_unique<engine::Engine>(ports(), engine_options());
    for (auto& reactor : reactors) threads.emplace_back([r = reactor.get()] { r->run(); });
    workers.start();
    threads.emplace_back([this] { upkeep.run(); });
    return Done{};
  }

  Result<Done> start() {
    auto opened =
        wait_for<Result<Done>>(open_max, [this](auto done) { engine->open(std::move(done)); });
    if (opened) return std::move(*opened);
    return Error{ErrorCode::unavailable, "open-timeout",
                 "The engine did not become ready; is another node holding every shard?"};
  }

  void drain() {
    if (std::exchange(drained, true) || !engine || threads.empty()) return;
    wait_for<Done>(close_max, [this](auto done) { engine->close([done] { done({}); }); });
  }

  void stop() {
    if (stopped) return;
    stopped = true;
    drain();
    workers.stop();
    if (store) store->close();
    for (auto& reactor : reactors) reactor->stop();
    upkeep.stop();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }

  ServerConfig config;
  engine::Observer& observer;
  system::SystemRandom random;
  const std::string incarnation = engine::random_incarnation(random);
  system::SecretsDirectory secrets;
  std::shared_ptr<http::EgressPolicy> egress;
  std::shared_ptr<http::EgressProxy> egress_proxy;
  // Built in this order, destroyed in the opposite one: whoever calls goes before whoever is
  // called.
  std::unique_ptr<postgres::PostgresStore> store;
  std::vector<std::unique_ptr<asio::Reactor>> reactors;
  std::shared_ptr<http::NodeState> carriers = http::make_node_state();
  asio::Reactor upkeep;
  ProcessSupervisor supervisor;
  std::vector<std::unique_ptr<http::HttpParticipants>> participants;
  system::WorkerThreads workers;
  std::unique_ptr<engine::Engine> engine;
  std::vector<std::thread> threads;
  bool drained = false;
  bool stopped = false;
};

Node::Node(ServerConfig config, engine::Observer& observer)
    : impl_(std::make_unique<Impl>(std::move(config), observer)) {}
Node::~Node() {
  impl_->stop();
}
Result<Done> Node::connect() {
  return impl_->connect();
}
Result<Done> Node::open() {
  return impl_->open();
}
Result<Done> Node::start() {
  return impl_->start();
}
void Node::drain() {
  impl_->drain();
}
void Node::stop() {
  impl_->stop();
}
engine::Engine& Node::engine() {
  return *impl_->engine;
}
std::vector<asio::Reactor*> Node::reactors() {
  std::vector<asio::Reactor*> all;
  for (auto& reactor : impl_->reactors) all.push_back(reactor.get());
  return all;
}

struct Server::Impl {
  Impl(ServerConfig given, engine::Observer& seer)
      : observer(seer), options(listener_options(given)), node(std::move(given), seer) {}

  static rest::Options listener_options(const ServerConfig& config) {
    rest::Options options{.host = config.host,
                          .port = config.port,
                          .hosts = config.hosts,
                          .origins = config.origins,
                          .callback_url = config.callback_url,
                          .connections_per_peer_max = config.connections_per_peer_max,
                          .proxies = config.proxies,
                          .log_lines_dropped = config.log_lines_dropped,
                          .version = version};
    if (config.connections_max > 0) options.connections_max = config.connections_max;
    if (config.header_max > 0) options.header_bytes_max = config.header_max;
    if (config.idle_timeout.count() > 0) options.idle_time = config.idle_timeout;
    return options;
  }

  /// Participants reach this server at an address that nobody has stated.
  void warn_of_callbacks() {
    node.engine().registry().on_first_callback([this](const std::string& definition) {
      observer.note(engine::Level::warning, "callback-url-not-stated",
                    {{"definition", definition},
                     {"what",
                      "participants are told to post answers to where this server listens; "
                      "state --callback-url"}});
    });
  }

  engine::Observer& observer;
  rest::Options options;
  Node node;
  // Destroyed first: its sessions call the engine.
  std::unique_ptr<rest::Server> rest;
};

Server::Server(ServerConfig config, engine::Observer& observer)
    : impl_(std::make_unique<Impl>(std::move(config), observer)) {}
Server::~Server() {
  stop();
}

Result<Done> Server::connect() {
  if (auto valid = rest::Server::check(impl_->options); !valid) return std::move(valid).error();
  return impl_->node.connect();
}

Result<std::uint16_t> Server::start() {
  if (auto opened = impl_->node.open(); !opened) return std::move(opened).error();
  const std::string& callback_url = impl_->options.callback_url;
  if (callback_url.empty()) impl_->warn_of_callbacks();
  impl_->rest =
      std::make_unique<rest::Server>(impl_->node.reactors(), impl_->node.engine(), impl_->options);
  auto port = impl_->rest->listen();
  if (!port) return port;
  impl_->node.engine().registry().set_callback_base(
      callback_url.empty() ? "http://" + authority_text(impl_->options.host, *port) : callback_url);
  if (auto started = impl_->node.start(); !started) return std::move(started).error();
  return port;
}

void Server::stop() {
  if (impl_->rest) impl_->rest->drain();
  impl_->node.drain();
  // Whoever waited has an answer now; it only has to get out.
  if (impl_->rest) impl_->rest->stop(answers_out_max);
  impl_->node.stop();
}

}  // namespace backstitch::app
