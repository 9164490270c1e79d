#include "client.hpp"

#include <nlohmann/json.hpp>

#include <backstitch/asio/io_context.hpp>

namespace backstitch::hostile {

Client::Client(const Participant& participant, const Change& change)
    : secrets_(participant.certificate()) {
  service_.base_url = participant.url();
  if (participant.url().starts_with("https")) service_.tls.ca = "ca";
  http::Options options;
  options.egress = std::make_shared<http::EgressPolicy>(
      http::EgressPolicy::Options{.allow_hosts = {}, .allow_loopback_http = true});
  options.secrets = &secrets_;
  options.observer = &notes;
  if (change) change(options);
  participants_.emplace(reactor_, std::move(options));
}

engine::Call Client::prepared(const Order& order) {
  engine::Call call;
  call.saga = *SagaId::parse("01890a5d-ac96-774b-bcce-b302099a8057");
  call.path = "a";
  call.request.method = "POST";
  call.request.target = "/" + order.way;
  call.request.body.assign(order.body_bytes, 'x');
  // So that no key becomes another one by a byte that changes.
  const auto number = static_cast<std::uint64_t>(keys_.size() + 1);
  call.request.key = "key-" + std::to_string(number * 0x9E3779B97F4A7C15ULL);
  keys_.insert(call.request.key);
  call.request.attempt_timeout = order.attempt_timeout;
  call.service = std::make_shared<dsl::Service>(service_);
  call.service_name = "s";
  call.is_registered = true;
  call.is_pivot = order.is_pivot;
  return call;
}

void Client::note(const std::string& key, const engine::CallResult& result) {
  const auto* response = std::get_if<engine::Response>(&result);
  if (response == nullptr || !response->body.is_object()) return;
  const auto found = response->body.find("for");
  if (found == response->body.end() || !found->is_string() || *found == key) return;
  const auto named = found->get<std::string>();
  if (keys_.contains(named) || named == "nobody") ++crossed_;
}

std::vector<engine::CallResult> Client::call(const std::vector<Order>& orders,
                                             std::size_t in_flight) {
  return call(orders, in_flight, [] {});
}

engine::CallResult Client::call(const Order& order, const std::function<void()>& meanwhile) {
  return call(std::vector{order}, 1, meanwhile).front();
}

std::vector<engine::CallResult> Client::call(const std::vector<Order>& orders,
                                             std::size_t in_flight,
                                             const std::function<void()>& meanwhile) {
  std::vector<std::optional<engine::CallResult>> got(orders.size());
  std::size_t next = 0;
  std::size_t ended = 0;
  std::function<void()> begin = [&] {
    if (next == orders.size()) return;
    const std::size_t number = next++;
    engine::Call call = prepared(orders[number]);
    const std::string key = call.request.key;
    participants_->call(std::move(call), [&, number, key](engine::CallResult result) {
      note(key, result);
      got[number] = std::move(result);
      if (++ended == orders.size()) return reactor_.stop();
      begin();
    });
  };
  reactor_.post([&] {
    for (std::size_t i = 0; i < in_flight; ++i) begin();
    meanwhile();
  });
  run();
  std::vector<engine::CallResult> results;
  for (auto& one : got) results.push_back(std::move(*one));
  return results;
}

void Client::run() {
  asio::io_context_of(reactor_).restart();
  reactor_.run();
}

bool Client::run_until(const std::function<bool()>& condition) {
  const auto deadline = reactor_.now() + std::chrono::seconds(10);
  bool holds = false;
  std::function<void()> look = [&] {
    holds = condition();
    if (holds || reactor_.now() > deadline) return reactor_.stop();
    reactor_.call_after(Duration{1}, look);
  };
  reactor_.post(look);
  run();
  return holds;
}

std::string text_of(const engine::CallResult& result) {
  if (const auto* response = std::get_if<engine::Response>(&result))
    return std::to_string(response->status);
  if (const auto* unsent = std::get_if<engine::NotSent>(&result))
    return std::string("lack ") + engine::to_text(unsent->lack);
  const auto& error = std::get<engine::TransportError>(result);
  return dsl::to_text(error.kind) + std::string(error.sent ? "" : " unsent");
}

std::string message_of(const engine::CallResult& result) {
  const auto* error = std::get_if<engine::TransportError>(&result);
  return error == nullptr ? "" : error->message;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace backstitch::hostile
