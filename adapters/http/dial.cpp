#include "dial.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

#include "lack.hpp"

namespace backstitch::http {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using dsl::Transport;
using engine::NotSent;
using engine::TransportError;

IpAddress address_of(const net::ip::address& address) {
  IpAddress out;
  out.is_v6 = address.is_v6();
  if (out.is_v6) {
    out.bytes = address.to_v6().to_bytes();
    out.scope = static_cast<std::uint32_t>(address.to_v6().scope_id());
  } else {
    const auto bytes = address.to_v4().to_bytes();
    std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
  }
  return out;
}

}  // namespace

Dial::Dial(net::io_context& context, std::shared_ptr<const Target> target)
    : context_(context), target_(std::move(target)), timer_(context) {}

void Dial::start(std::function<void(Outcome)> done) {
  done_ = std::move(done);
  error_code not_literal;
  const auto literal = net::ip::make_address(target_->peer().host, not_literal);
  return not_literal ? look_up() : use({literal});
}

void Dial::cancel() {
  done_ = nullptr;
  timer_.cancel();
  error_code ignored;
  for (const auto& socket : std::exchange(open_, {})) socket->close(ignored);
}

void Dial::look_up() {
  const auto self = shared_from_this();
  const auto hanging = target_->node->resolver.resolve(
      target_->peer().host, target_->owner, [self](const Lookup& lookup) {
        net::post(self->context_, [self, lookup] { self->looked_up(lookup); });
      });
  if (hanging) {
    target_->totals->addresses_kept.fetch_add(1, std::memory_order_relaxed);
    return use(*hanging);
  }
  timer_.expires_after(Resolver::slow_after);
  timer_.async_wait([self](const error_code& cancelled) {
    if (!cancelled) self->use_last_good();
  });
}

void Dial::looked_up(const Lookup& lookup) {
  if (!done_ || has_addresses_) return;
  timer_.cancel();
  if (!lookup.addresses.empty()) return use(lookup.addresses);
  if (lookup.is_temporary) use_last_good();
  if (has_addresses_) return;
  const std::string message = target_->peer_name(target_->peer().host) + ": " + lookup.failure;
  if (lookup.lack) return finish(NotSent{*lookup.lack, message});
  finish(TransportError{Transport::dns, false, message});
}

void Dial::use_last_good() {
  if (!done_ || has_addresses_) return;
  const auto good = target_->node->resolver.last_good(target_->peer().host);
  if (!good) return;
  target_->totals->addresses_kept.fetch_add(1, std::memory_order_relaxed);
  use(*good);
}

void Dial::use(const Addresses& addresses) {
  has_addresses_ = true;
  for (const auto& address : addresses) endpoints_.emplace_back(address, target_->peer().port);
  try_next();
}

void Dial::try_next() {
  while (done_ && next_ < endpoints_.size()) {
    const Endpoint endpoint = endpoints_[next_++];
    std::string refused = refusal_of(endpoint);
    if (refused.empty()) return connect(endpoint);
    refusal_ = std::move(refused);
  }
  if (done_ && open_.empty()) none_connected();
}

std::string Dial::refusal_of(const Endpoint& endpoint) const {
  if (target_->proxy && target_->proxy->is_nodes) return {};
  return target_->egress->check_address(target_->peer().host, target_->peer().port,
                                        address_of(endpoint.address()));
}

void Dial::connect(const Endpoint& endpoint) {
  const auto self = shared_from_this();
  const auto socket = std::make_shared<Socket>(context_);
  open_.push_back(socket);
  socket->async_connect(endpoint, [self, socket, endpoint](const error_code& error) {
    self->connected(socket, endpoint, error);
  });
  if (next_ == endpoints_.size()) return;
  timer_.expires_after(next_address_after);
  timer_.async_wait([self](const error_code& cancelled) {
    if (!cancelled) self->try_next();
  });
}

void Dial::connected(const std::shared_ptr<Socket>& socket, const Endpoint& endpoint,
                     const error_code& error) {
  if (!done_) return;
  std::erase(open_, socket);
  if (error) {
    const std::string message =
        target_->peer_name(target_->peer().authority) + ": " + error.message();
    if (const auto lack = lack_of(error))
      unsent_ = NotSent{*lack, message};
    else
      failure_ = message;
    timer_.cancel();
    return try_next();
  }
  if (endpoints_.size() > 1)
    target_->node->resolver.prefer(target_->peer().host, endpoint.address());
  finish(std::move(*socket));
}

/// What one address said of the participant counts more than what we lacked for another.
void Dial::none_connected() {
  if (failure_) return finish_soon(TransportError{Transport::connect, false, *failure_});
  if (unsent_) return finish_soon(*unsent_);
  finish_soon(TransportError{Transport::connect, false, refusal_});
}

void Dial::finish(Outcome outcome) {
  const auto done = std::exchange(done_, nullptr);
  cancel();
  if (done) done(std::move(outcome));
}

void Dial::finish_soon(engine::CallResult result) {
  net::post(context_, [self = shared_from_this(), result = std::move(result)]() mutable {
    self->finish(std::move(result));
  });
}

}  // namespace backstitch::http
