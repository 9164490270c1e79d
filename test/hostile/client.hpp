#pragma once
/// Calls a hostile participant as the engine does, and says which answers were another call's.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/http/participants.hpp>

#include "participant.hpp"

namespace backstitch::hostile {

/// Secrets that a test changes.
class ChangingSecrets : public engine::Secrets {
 public:
  std::optional<std::string> find(std::string_view name, std::string_view) const override {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  }
  std::map<std::string, std::string, std::less<>> values;
};

/// The authority of one participant, as the secret `ca`.
class OneSecret : public engine::Secrets {
 public:
  explicit OneSecret(std::string ca) : ca_(std::move(ca)) {}
  std::optional<std::string> find(std::string_view name, std::string_view) const override {
    return name == "ca" ? std::optional(ca_) : std::nullopt;
  }

 private:
  std::string ca_;
};

class Notes : public engine::Observer {
 public:
  void note(engine::Level, std::string_view event, std::initializer_list<engine::Field>) override {
    events.emplace_back(event);
  }
  std::vector<std::string> events;
};

struct Order {
  std::string way;
  bool is_pivot = false;
  Duration attempt_timeout{10'000};
  std::size_t body_bytes = 0;
};

/// One service of a node. Threads: one.
class Client {
 public:
  using Change = std::function<void(http::Options&)>;
  explicit Client(const Participant& participant, const Change& change = {});

  dsl::Service& service() { return service_; }
  /// `in_flight` at a time, the results in the order of the orders.
  std::vector<engine::CallResult> call(const std::vector<Order>& orders, std::size_t in_flight = 1);
  engine::CallResult call(const Order& order) { return call(std::vector{order}).front(); }
  /// Runs `meanwhile` once the connection has been asked for, and sees nothing before it is over.
  engine::CallResult call(const Order& order, const std::function<void()>& meanwhile);
  /// Answers that named another call than the one they were given to, so far.
  std::size_t crossed() const { return crossed_; }
  std::uint64_t unrequested() const { return participants_->counters().unrequested; }
  /// Lets the reactor run until the condition holds. @return false: it did not within ten seconds
  bool run_until(const std::function<bool()>& condition);

  Notes notes;

 private:
  std::vector<engine::CallResult> call(const std::vector<Order>& orders, std::size_t in_flight,
                                       const std::function<void()>& meanwhile);
  void run();
  engine::Call prepared(const Order& order);
  void note(const std::string& key, const engine::CallResult& result);

  dsl::Service service_;
  OneSecret secrets_;
  asio::Reactor reactor_;
  std::optional<http::HttpParticipants> participants_;
  std::set<std::string> keys_;
  std::size_t crossed_ = 0;
};

/// `200`, `409`, `reset`, `reset unsent`, `lack secret-missing`.
std::string text_of(const engine::CallResult& result);
/// Of a transport error; empty: it is none.
std::string message_of(const engine::CallResult& result);
bool contains(const std::string& text, const std::string& part);

}  // namespace backstitch::hostile
