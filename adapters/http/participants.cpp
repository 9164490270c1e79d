#include <backstitch/http/participants.hpp>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include <backstitch/asio/io_context.hpp>

#include "connection.hpp"
#include "tls.hpp"

namespace backstitch::http {
namespace {

using dsl::Transport;
using engine::CallResult;
using engine::TransportError;

/// Rounded up to what a steady clock has left of a deadline.
Duration left_until(engine::SteadyTime deadline, engine::SteadyTime now) {
  return std::max(std::chrono::ceil<Duration>(deadline - now), Duration{0});
}

}  // namespace

/// The connections to one service that are kept, the last used first.
struct Pool {
  struct Idle {
    std::shared_ptr<Connection> connection;
    engine::SteadyTime since;
  };
  std::shared_ptr<const Target> target;
  std::vector<Idle> idle;
};

struct HttpParticipants::Impl : std::enable_shared_from_this<HttpParticipants::Impl> {
  Impl(asio::Reactor& on, Options given) : reactor(on), options(std::move(given)) {}

  void refuse(std::function<void(CallResult)> done, Transport kind, std::string message) {
    reactor.post(
        [weak = weak_from_this(), done = std::move(done), kind, message = std::move(message)] {
          if (!weak.expired()) done(TransportError{kind, false, message});
        });
  }

  /// A service may be registered anew with another place under the same name, so the place is the
  /// key.
  Result<Pool*> pool_for(const dsl::Service& service) {
    const std::string key = service.base_url + '\n' + service.tls.ca + '\n' +
                            service.tls.client_cert + '\n' + service.tls.server_name + '\n' +
                            service.tls.version_min;
    if (const auto found = pools.find(key); found != pools.end()) return found->second.get();
    auto target = std::make_shared<Target>();
    const auto url = parse_url(service.base_url);
    const std::string refused = options.egress->check_url(service.base_url);
    if (!url || !refused.empty()) return Error{ErrorCode::forbidden, "egress-refused", refused};
    target->url = *url;
    target->egress = options.egress;
    target->cut_after_sending = options.cut_after_sending;
    target->server_name = service.tls.server_name.empty() ? url->host : service.tls.server_name;
    if (url->tls) {
      auto context = make_tls_context(service.tls, options.secrets);
      if (!context) return std::move(context).error();
      target->tls = std::move(*context);
    }
    auto pool = std::make_shared<Pool>();
    pool->target = std::move(target);
    return pools.emplace(key, std::move(pool)).first->second.get();
  }

  void call(engine::Call call, std::function<void(CallResult)> done) {
    auto pool = pool_for(*call.service);
    if (!pool) return refuse(std::move(done), Transport::connect, pool.error().message);
    auto request = write_request(call, (*pool)->target->url, options.secrets, options.version);
    if (!request) return refuse(std::move(done), Transport::connect, request.error().message);
    auto exchange = std::make_shared<Exchange>();
    exchange->deadline = reactor.now() + call.request.attempt_timeout;
    exchange->request = std::move(*request);
    exchange->call = std::move(call);
    exchange->done = std::move(done);
    run(**pool, connection_for(**pool, *exchange->call.service), exchange);
  }

  /// A kept connection may have been closed by the peer, and the answer to what is sent then is
  /// lost: where nothing can be sent again, every call has a connection of its own.
  std::shared_ptr<Connection> connection_for(Pool& pool, const dsl::Service& service) {
    while (service.idempotency != dsl::Idempotency::none && !pool.idle.empty()) {
      auto connection = std::move(pool.idle.back().connection);
      pool.idle.pop_back();
      if (connection->is_open()) return connection;
      connection->close();
    }
    return std::make_shared<Connection>(asio::io_context_of(reactor), pool.target);
  }

  void run(Pool& pool, const std::shared_ptr<Connection>& connection,
           const std::shared_ptr<Exchange>& exchange) {
    const auto& service = *exchange->call.service;
    const bool fresh = !connection->is_open();
    exchange->timer = reactor.call_after(left_until(exchange->deadline, reactor.now()),
                                         [connection] { connection->expire(); });
    engine::TimerId connecting = 0;
    if (fresh) {
      connecting = reactor.call_after(service.connect_timeout.value_or(options.connect_max),
                                      [connection] { connection->expire_connecting(); });
    }
    connection->run(*exchange, [weak = weak_from_this(), &pool, connection, exchange, connecting,
                                fresh](CallResult result, bool reusable) {
      if (const auto self = weak.lock()) {
        self->finished(pool, connection, exchange, connecting, fresh, std::move(result), reusable);
      }
    });
  }

  void finished(Pool& pool, const std::shared_ptr<Connection>& connection,
                const std::shared_ptr<Exchange>& exchange, engine::TimerId connecting, bool fresh,
                CallResult result, bool reusable) {
    reactor.cancel(exchange->timer);
    if (connecting != 0) reactor.cancel(connecting);
    const auto* error = std::get_if<TransportError>(&result);
    // A kept connection that turned out to be closed before a byte left: nothing was sent, so a
    // fresh one is not a repetition.
    if (error != nullptr && !error->sent && error->kind == Transport::reset && !fresh) {
      run(pool, std::make_shared<Connection>(asio::io_context_of(reactor), pool.target), exchange);
      return;
    }
    if (reusable) keep(pool, connection);
    auto done = std::move(exchange->done);
    done(std::move(result));
  }

  void keep(Pool& pool, const std::shared_ptr<Connection>& connection) {
    pool.idle.push_back({connection, reactor.now()});
    if (sweeping) return;
    sweeping = true;
    reactor.call_after(options.idle_max, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->sweep();
    });
  }

  /// Closes what was not used for a while; the least recently used stand in front.
  void sweep() {
    sweeping = false;
    bool left = false;
    const auto oldest = reactor.now() - options.idle_max;
    for (auto& [key, pool] : pools) {
      auto& idle = pool->idle;
      const auto fresh = std::find_if(idle.begin(), idle.end(),
                                      [&](const auto& one) { return one.since > oldest; });
      std::for_each(idle.begin(), fresh, [](const auto& one) { one.connection->close(); });
      idle.erase(idle.begin(), fresh);
      left = left || !idle.empty();
    }
    if (!left) return;
    sweeping = true;
    reactor.call_after(options.idle_max / 2 + Duration{1}, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->sweep();
    });
  }

  asio::Reactor& reactor;
  Options options;
  std::map<std::string, std::shared_ptr<Pool>> pools;
  bool sweeping = false;
};

HttpParticipants::HttpParticipants(asio::Reactor& reactor, Options options)
    : impl_(std::make_shared<Impl>(reactor, std::move(options))) {}
HttpParticipants::~HttpParticipants() = default;

void HttpParticipants::call(engine::Call call, std::function<void(engine::CallResult)> done) {
  impl_->call(std::move(call), std::move(done));
}

}  // namespace backstitch::http
