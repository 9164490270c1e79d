#include <backstitch/http/participants.hpp>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <backstitch/asio/io_context.hpp>

#include "connection.hpp"
#include "secret.hpp"
#include "tls.hpp"

namespace backstitch::http {
namespace {

using dsl::Transport;
using engine::CallResult;
using engine::NotSent;
using engine::TransportError;

/// A connection that was not used for so long is watched for what comes without a call.
constexpr Duration watch_after{100};

/// Rounded up to what a steady clock has left of a deadline.
Duration left_until(engine::SteadyTime deadline, engine::SteadyTime now) {
  return std::max(std::chrono::ceil<Duration>(deadline - now), Duration{0});
}

}  // namespace

std::shared_ptr<NodeState> make_node_state() {
  return std::make_shared<NodeState>();
}

/// The connections to one service that are kept.
///
/// A connection rests after an answer for as long as answers of the service usually take. Had the
/// answer been a stray one, the true one shows itself meanwhile, instead of being taken for the
/// answer to the next call, and so on with every call that follows. How long that is is estimated
/// as TCP does for its retransmissions (RFC 6298). When many rest, the one that has rested longest
/// is used after the least time: under a load that makes answers slow, longer rests would have each
/// call open a connection, and make them slower still.
struct Pool {
  using Latency = engine::SteadyTime::duration;
  struct Idle {
    std::shared_ptr<Connection> connection;
    engine::SteadyTime since;
  };
  std::shared_ptr<const Target> target;
  std::string service;  ///< registered name
  dsl::Tls tls;
  bool has_short_secret = false;             ///< and the operator was warned of it
  std::optional<Certificates> certificates;  ///< as they were read last
  engine::SteadyTime certificates_read_at{};
  std::shared_ptr<ServiceTrust> trust;
  std::deque<Idle> resting;  ///< by since when
  std::vector<Idle> rested;  ///< the last used last
  Latency mean{0};
  Latency deviation{0};

  void note(Latency latency) {
    const bool is_first = mean == Latency{0};
    const Latency error = is_first ? latency / 2 : std::chrono::abs(latency - mean);
    deviation += is_first ? error : (error - deviation) / 4;
    mean += is_first ? latency : (latency - mean) / 8;
  }

  std::size_t size() const { return resting.size() + rested.size(); }

  bool has_rested(const Idle& one, engine::SteadyTime now, const Options& options) const {
    const Latency usual =
        std::clamp<Latency>(mean + 4 * deviation, options.rest_min, options.rest_max);
    return now - one.since >= (resting.size() > options.resting_max ? options.rest_min : usual);
  }

  /// @return null if none has rested and was idle for less than `idle_max`
  std::shared_ptr<Connection> take(engine::SteadyTime now, Duration idle_max,
                                   const Options& options) {
    while (!resting.empty() && has_rested(resting.front(), now, options)) {
      rested.push_back(std::move(resting.front()));
      resting.pop_front();
    }
    if (rested.empty() || now - rested.back().since >= idle_max) return nullptr;
    auto connection = std::move(rested.back().connection);
    rested.pop_back();
    return connection;
  }

  void remove(const std::function<bool(const Idle&)>& is_meant) {
    std::erase_if(resting, is_meant);
    std::erase_if(rested, is_meant);
  }

  void close_all() {
    remove([](const Idle& one) { return one.connection->close(), true; });
  }
};

struct HttpParticipants::Impl : std::enable_shared_from_this<HttpParticipants::Impl> {
  Impl(asio::Reactor& on, Options given) : reactor(on), options(std::move(given)) {
    if (!options.node) options.node = make_node_state();
  }
  ~Impl() { options.node->resolver.forget(this); }

  void refuse(std::function<void(CallResult)> done, CallResult result) {
    reactor.post([weak = weak_from_this(), done = std::move(done), result = std::move(result)] {
      if (!weak.expired()) done(result);
    });
  }

  static CallResult refusal_of(const Error& error) {
    if (error.reason == secret_missing) return NotSent{engine::Lack::secret, error.message};
    return TransportError{Transport::connect, false, error.message};
  }

  /// A service may be registered anew with another place under the same name, so the place is part
  /// of the key; so is the name, since another service may not have the same secrets.
  Result<Pool*> pool_for(const engine::Call& call) {
    const dsl::Service& service = *call.service;
    const std::string key = std::string(call.registered_name()) + '\n' + service.base_url + '\n' +
                            service.tls.ca + '\n' + service.tls.client_cert + '\n' +
                            service.tls.server_name + '\n' + service.tls.version_min + '\n' +
                            service.proxy.url + '\n' + service.proxy.secret;
    if (const auto found = pools.find(key); found != pools.end()) {
      if (auto read = read_certificates(*found->second); !read) return read.error();
      return found->second.get();
    }
    auto target = target_for(call);
    if (!target) return target.error();
    auto pool = std::make_shared<Pool>();
    pool->target = std::move(*target);
    pool->service = call.registered_name();
    pool->tls = service.tls;
    if (auto read = read_certificates(*pool); !read) return read.error();
    pool->trust = options.node->trust_of(key);
    pool->trust->watch([weak = weak_from_this(), pool = std::weak_ptr(pool)] {
      if (const auto self = weak.lock())
        self->reactor.post([pool] {
          if (const auto distrusted = pool.lock()) distrusted->close_all();
        });
    });
    return pools.emplace(key, std::move(pool)).first->second.get();
  }

  /// The service's own, else the node's, else none.
  Result<std::optional<Proxy>> proxy_for(const dsl::Service& service, const Url& url) const {
    const bool has_own = !service.proxy.url.empty();
    if (!has_own && (!options.egress_proxy || !options.egress_proxy->is_for(url.host)))
      return std::optional<Proxy>{};
    const std::string& place = has_own ? service.proxy.url : options.egress_proxy->url();
    const auto proxy = parse_url(place);
    const std::string refused = has_own ? options.egress->check_url(place) : std::string{};
    if (!proxy || !refused.empty()) return Error{ErrorCode::forbidden, "egress-refused", refused};
    return std::optional(Proxy{*proxy, !has_own});
  }

  Result<std::shared_ptr<const Target>> target_for(const engine::Call& call) {
    const dsl::Service& service = *call.service;
    auto target = std::make_shared<Target>();
    const auto url = parse_url(service.base_url);
    const std::string refused = options.egress->check_url(service.base_url);
    if (!url || !refused.empty()) return Error{ErrorCode::forbidden, "egress-refused", refused};
    target->url = *url;
    auto proxy = proxy_for(service, *url);
    if (!proxy) return proxy.error();
    target->proxy = std::move(*proxy);
    target->egress = options.egress;
    target->node = options.node;
    target->totals = totals;
    target->owner = this;
    target->cut_after_sending = options.cut_after_sending;
    target->before_last_byte = options.before_last_byte;
    target->server_name = service.tls.server_name.empty() ? url->host : service.tls.server_name;
    return std::shared_ptr<const Target>(std::move(target));
  }

  /// Takes the certificates of the service if they are new; idle connections with the old ones are
  /// closed. Old ones stay in use while the new ones cannot be used.
  Result<Done> read_certificates(Pool& pool) {
    const auto now = reactor.now();
    const bool is_due =
        !pool.certificates || now - pool.certificates_read_at >= options.certificates_read_every;
    if (!pool.target->url.tls || !is_due) return Done{};
    auto found = find_certificates(pool.tls, options.secrets, pool.service);
    if (!found) return found.error();
    pool.certificates_read_at = now;
    if (pool.certificates == *found) return Done{};
    auto context = make_tls_context(pool.tls, *found);
    if (!context && !pool.certificates) return context.error();
    pool.certificates = std::move(*found);
    if (!context) {
      note_unusable(pool, context.error());
      return Done{};
    }
    auto target = std::make_shared<Target>(*pool.target);
    target->tls = std::move(*context);
    pool.target = std::move(target);
    pool.close_all();
    return Done{};
  }

  void note_unusable(const Pool& pool, const Error& error) {
    if (options.observer == nullptr) return;
    options.observer->note(engine::Level::warning, "certificate-unusable",
                           {{"service", pool.target->url.authority}, {"message", error.message}});
  }

  void warn_of_short_secret(Pool& pool, const SentSecrets& secrets) {
    if (!secrets.has_short() || std::exchange(pool.has_short_secret, true)) return;
    if (options.observer == nullptr || !options.node->is_first_short_secret(pool.service)) return;
    options.observer->note(
        engine::Level::warning, "secret-short",
        {{"service", pool.service},
         {"message", "a secret of fewer than " + std::to_string(replaced_bytes_min) +
                         " bytes is stored and shown where the participant repeats it"}});
  }

  void call(engine::Call call, std::function<void(CallResult)> done) {
    auto pool = pool_for(call);
    if (!pool) return refuse(std::move(done), refusal_of(pool.error()));
    auto exchange = std::make_shared<Exchange>();
    exchange->call = std::move(call);
    const auto written =
        write_request(*exchange, *(*pool)->target, options.secrets, options.version);
    if (!written) return refuse(std::move(done), refusal_of(written.error()));
    warn_of_short_secret(**pool, exchange->secrets);
    exchange->deadline = reactor.now() + exchange->call.request.attempt_timeout;
    exchange->done = std::move(done);
    run(**pool, connection_for(**pool, exchange->call), exchange);
  }

  /// A kept one where that is permitted.
  std::shared_ptr<Connection> connection_for(Pool& pool, const engine::Call& call) {
    const auto now = reactor.now();
    const bool keeps = keeps_connections(*call.service) && !pool.trust->is_distrusted(now);
    const Duration idle_max = call.is_pivot ? options.pivot_idle_max : options.idle_max;
    while (keeps) {
      auto connection = pool.take(now, idle_max, options);
      if (!connection) break;
      if (connection->is_connected() && !is_old(*connection, now)) return connection;
      connection->close();
    }
    return fresh_connection(pool);
  }

  std::shared_ptr<Connection> fresh_connection(Pool& pool) {
    return std::make_shared<Connection>(
        asio::io_context_of(reactor), pool.target,
        [weak = weak_from_this(), &pool](const Connection& connection, bool unrequested) {
          if (const auto self = weak.lock()) self->disturbed(pool, connection, unrequested);
        });
  }

  bool is_old(const Connection& connection, engine::SteadyTime now) const {
    return now - connection.connected_at() >= options.age_max;
  }

  void run(Pool& pool, const std::shared_ptr<Connection>& connection,
           const std::shared_ptr<Exchange>& exchange) {
    const auto& service = *exchange->call.service;
    const bool fresh = !connection->is_connected();
    exchange->began = reactor.now();
    exchange->timer = reactor.call_after(left_until(exchange->deadline, exchange->began),
                                         [connection] { connection->expire(); });
    engine::TimerId connecting = 0;
    if (fresh) {
      connecting = reactor.call_after(service.connect_timeout.value_or(options.connect_max),
                                      [connection] { connection->expire_connecting(); });
    }
    connection->run(exchange, [weak = weak_from_this(), &pool, connection, exchange, connecting,
                               fresh](CallResult result, Connection::After after) {
      if (const auto self = weak.lock()) {
        self->finished(pool, connection, exchange, connecting, fresh, std::move(result), after);
      }
    });
  }

  void finished(Pool& pool, const std::shared_ptr<Connection>& connection,
                const std::shared_ptr<Exchange>& exchange, engine::TimerId connecting, bool fresh,
                CallResult result, Connection::After after) {
    reactor.cancel(exchange->timer);
    if (connecting != 0) reactor.cancel(connecting);
    if (std::holds_alternative<engine::Response>(result))
      pool.note(reactor.now() - std::max(exchange->began, connection->connected_at()));
    if (after == Connection::After::keep) keep(pool, connection);
    if (after == Connection::After::distrust) distrust(pool);
    const auto* error = std::get_if<TransportError>(&result);
    // A kept connection that turned out to be of no use before a byte left: nothing was sent, so a
    // fresh one is not a repetition.
    if (error != nullptr && !error->sent && error->kind == Transport::reset && !fresh)
      return run(pool, fresh_connection(pool), exchange);
    if (auto* answer = std::get_if<engine::Response>(&result))
      exchange->secrets.replace_in(*answer);
    auto done = std::move(exchange->done);
    done(std::move(result));
  }

  void keep(Pool& pool, const std::shared_ptr<Connection>& connection) {
    const auto now = reactor.now();
    const bool full = pool.size() >= options.idle_connections_max;
    const bool has_old_certificates = connection->target() != pool.target;
    if (full || has_old_certificates || pool.trust->is_distrusted(now) || is_old(*connection, now))
      return connection->close();
    pool.resting.push_back({connection, now});
    if (!std::exchange(sweeping, true)) sweep_later();
  }

  void disturbed(Pool& pool, const Connection& connection, bool unrequested) {
    pool.remove([&](const auto& one) { return one.connection.get() == &connection; });
    if (unrequested) distrust(pool);
  }

  void distrust(Pool& pool) {
    totals->unrequested.fetch_add(1, std::memory_order_relaxed);
    if (!pool.trust->distrust(reactor.now()) || options.observer == nullptr) return;
    options.observer->note(
        engine::Level::warning, "unrequested-bytes",
        {{"service", pool.target->url.authority},
         {"message",
          "the participant sent bytes that no call had asked for; for ten minutes each "
          "call has a connection of its own"}});
  }

  void sweep_later() {
    reactor.call_after(std::min(watch_after, options.idle_max), [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->sweep();
    });
  }

  /// Closes what was not used for a while, or is old, and watches the rest of what is not in
  /// constant use: that costs a system call each time, and the next call looks anyway.
  void sweep() {
    std::vector<std::shared_ptr<Connection>> unused;
    const auto now = reactor.now();
    sweeping = false;
    for (auto& [key, pool] : pools) {
      // A secret that is missing refuses the next call.
      if (pool->size() > 0) static_cast<void>(read_certificates(*pool));
      pool->remove([&](const auto& one) {
        const bool closes = now - one.since >= options.idle_max || is_old(*one.connection, now);
        if (closes) one.connection->close();
        if (!closes && now - one.since >= watch_after) unused.push_back(one.connection);
        return closes;
      });
      sweeping = sweeping || pool->size() > 0;
    }
    if (sweeping) sweep_later();
    for (const auto& connection : unused) connection->watch();
  }

  asio::Reactor& reactor;
  Options options;
  std::shared_ptr<Totals> totals = std::make_shared<Totals>();
  std::map<std::string, std::shared_ptr<Pool>> pools;
  bool sweeping = false;
};

HttpParticipants::HttpParticipants(asio::Reactor& reactor, Options options)
    : impl_(std::make_shared<Impl>(reactor, std::move(options))) {}
HttpParticipants::~HttpParticipants() = default;

engine::CarrierCounters HttpParticipants::counters() const {
  return {impl_->totals->unrequested.load(std::memory_order_relaxed),
          impl_->totals->addresses_kept.load(std::memory_order_relaxed)};
}

void HttpParticipants::call(engine::Call call, std::function<void(engine::CallResult)> done) {
  impl_->call(std::move(call), std::move(done));
}

}  // namespace backstitch::http
