// Which connections the listener keeps when there are too many, and which it closes for memory.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "connections.hpp"

namespace backstitch::rest {
namespace {

/// A listener and its peers. A connection that is told to close does so.
class Peers {
 public:
  explicit Peers(const Options& options) : connections_(std::make_shared<Connections>(options)) {}

  /// @return the number of the connection
  std::size_t connect(const std::string& address = "192.0.2.1") {
    const std::size_t number = tickets_.size();
    tickets_.emplace_back();
    auto ticket = connections_->admit(address, [this, number] { told_.push_back(number); });
    tickets_[number] = std::move(ticket);
    return number;
  }
  std::size_t connect_busy(const std::string& address = "192.0.2.1") {
    const std::size_t number = connect(address);
    CHECK(tickets_[number]->enter(Phase::busy));
    return number;
  }
  /// Ends those that were told to. @return their numbers
  std::vector<std::size_t> closed() {
    for (const std::size_t number : told_) tickets_[number].reset();
    return std::exchange(told_, {});
  }
  void leave(std::size_t number) { tickets_[number].reset(); }
  Connections::Ticket& operator[](std::size_t number) { return *tickets_[number]; }
  bool is_admitted(std::size_t number) { return tickets_[number] != nullptr; }
  std::string refusal_of(std::size_t number) {
    const auto& refusal = tickets_[number]->refusal();
    return refusal ? refusal->reason : "";
  }
  bool has_metric(const std::string& line) {
    return connections_->metrics_text().find("backstitch_http_" + line + "\n") != std::string::npos;
  }

 private:
  std::shared_ptr<Connections> connections_;
  std::vector<std::shared_ptr<Connections::Ticket>> tickets_;
  std::vector<std::size_t> told_;
};

using Numbers = std::vector<std::size_t>;
const Options three{.connections_max = 3, .connections_per_peer_max = 4};

}  // namespace

TEST_CASE("a connection too many closes the one that is idle longest") {
  Peers peers(three);
  for (int i = 0; i < 3; ++i) peers.connect();
  CHECK(peers[0].enter(Phase::busy));
  CHECK(peers[0].enter(Phase::idle));  // idle again, since just now
  CHECK(peers.refusal_of(peers.connect()).empty());
  CHECK(peers.closed() == Numbers{1});
  CHECK(peers.refusal_of(peers.connect()).empty());
  CHECK(peers.closed() == Numbers{2});
  CHECK(peers.refusal_of(peers.connect()).empty());
  CHECK(peers.closed() == Numbers{0});
  CHECK(peers.has_metric("connections_closed_total{reason=\"idle\"} 3"));
}

TEST_CASE("a connection with a request in progress is never closed to make room for another") {
  Peers peers(three);
  peers.connect_busy();
  const std::size_t sending = peers.connect_busy();
  CHECK(peers[sending].enter(Phase::sending));
  peers.connect_busy();
  const std::size_t late = peers.connect();
  CHECK(peers.refusal_of(late) == "connections-full");
  CHECK(peers.closed().empty());
  peers.leave(0);
  CHECK(peers.refusal_of(peers.connect()).empty());
}

TEST_CASE("a body that does not end keeps no place when every other connection is busy") {
  Peers peers(three);
  peers.connect_busy();
  const std::size_t receiving = peers.connect();
  CHECK(peers[receiving].enter(Phase::receiving));
  const std::size_t idle = peers.connect();
  peers.connect();
  CHECK(peers.closed() == Numbers{idle});
  peers.connect_busy();  // closes the idle one that came last
  CHECK(peers.closed().size() == 1);
  peers.connect_busy();
  CHECK(peers.closed() == Numbers{receiving});
}

TEST_CASE("what was chosen to be closed learns it when its next request comes") {
  Peers peers({.connections_max = 1, .connections_per_peer_max = 1});
  const std::size_t first = peers.connect();
  peers.connect();
  CHECK_FALSE(peers[first].enter(Phase::busy));
  CHECK_FALSE(peers[first].enter(Phase::idle));
}

TEST_CASE("one address has half of the connections, and closes its own beyond them") {
  Peers peers({.connections_max = 6});
  const std::size_t other = peers.connect("192.0.2.2");
  for (int i = 0; i < 3; ++i) peers.connect("192.0.2.1");
  CHECK(peers.closed().empty());
  peers.connect("192.0.2.1");
  CHECK(peers.closed() == Numbers{other + 1});
  peers.connect("192.0.2.1");
  CHECK(peers.closed() == Numbers{other + 2});
}

TEST_CASE("an address whose half is busy is refused, and others are not") {
  Peers peers({.connections_max = 4});
  peers.connect_busy("192.0.2.1");
  peers.connect_busy("192.0.2.1");
  CHECK(peers.refusal_of(peers.connect("192.0.2.1")) == "peer-connections-full");
  CHECK(peers.refusal_of(peers.connect("::ffff:192.0.2.1")) == "peer-connections-full");
  CHECK(peers.refusal_of(peers.connect("192.0.2.2")).empty());
}

TEST_CASE("an IPv6 peer is its network of 64 bits") {
  Peers peers({.connections_max = 4});
  peers.connect_busy("2001:db8:1:2::1");
  peers.connect_busy("2001:db8:1:2:ffff::1");
  CHECK(peers.refusal_of(peers.connect("2001:db8:1:2::3")) == "peer-connections-full");
  CHECK(peers.refusal_of(peers.connect("2001:db8:1:3::1")).empty());
}

TEST_CASE("a named proxy may have every connection, and no more") {
  Peers peers({.connections_max = 4, .proxies = {"192.0.2.9", "2001:DB8::9"}});
  for (int i = 0; i < 2; ++i) {
    CHECK(peers.refusal_of(peers.connect_busy("192.0.2.9")).empty());
    CHECK(peers.refusal_of(peers.connect_busy("2001:db8::9")).empty());
  }
  CHECK(peers.refusal_of(peers.connect("192.0.2.9")) == "connections-full");
}

TEST_CASE("the reserve replaces its own idle ones, and is bounded") {
  Peers peers({.connections_max = 1, .connections_per_peer_max = 1});
  peers.connect_busy();
  Numbers reserved;
  for (std::size_t i = 0; i < Connections::reserve_max; ++i) reserved.push_back(peers.connect());
  CHECK(peers.closed().empty());
  CHECK(peers.refusal_of(peers.connect()) == "peer-connections-full");
  CHECK(peers.closed() == Numbers{reserved[0]});
  CHECK(peers.has_metric("connections{place=\"reserve\"} 16"));
  CHECK(peers.has_metric("connections{place=\"ordinary\"} 1"));
}

TEST_CASE("a connection that finds no place even in the reserve is refused") {
  Peers peers({.connections_max = 1, .connections_per_peer_max = 1});
  peers.connect_busy();
  for (std::size_t i = 0; i < Connections::reserve_max; ++i) peers.connect_busy();
  CHECK_FALSE(peers.is_admitted(peers.connect()));
  CHECK(peers.has_metric("connections_refused_total 1"));
}

TEST_CASE("connections that are told to close and do not are bounded too") {
  Peers peers({.connections_max = 2, .connections_per_peer_max = 2});
  for (std::size_t i = 0; i < 2 + 2 * Connections::reserve_max; ++i)
    CHECK(peers.is_admitted(peers.connect()));
  CHECK_FALSE(peers.is_admitted(peers.connect()));
  CHECK_FALSE(peers.closed().empty());
  CHECK(peers.is_admitted(peers.connect()));
}

TEST_CASE("the slowest peers are closed when the bytes held exceed their bound") {
  Peers peers({.connections_max = 10, .connections_per_peer_max = 10, .held_bytes_max = 100});
  for (int i = 0; i < 4; ++i) {
    peers.connect_busy();
    CHECK(peers[static_cast<std::size_t>(i)].enter(Phase::sending));
    CHECK(peers[static_cast<std::size_t>(i)].hold(25));
  }
  CHECK(peers.has_metric("held_bytes 100"));
  const std::size_t next = peers.connect_busy();
  CHECK(peers[next].enter(Phase::sending));
  CHECK(peers[next].hold(30));
  CHECK(peers.closed() == Numbers{0, 1});
  CHECK(peers.has_metric("held_bytes 80"));
  CHECK(peers.has_metric("connections_closed_total{reason=\"slow\"} 2"));
}

TEST_CASE("bytes of requests that the engine is at work on are never taken from it") {
  Peers peers({.connections_max = 10, .connections_per_peer_max = 10, .held_bytes_max = 100});
  const std::size_t working = peers.connect();
  CHECK(peers[working].enter(Phase::receiving));
  CHECK(peers[working].hold(90));
  CHECK(peers[working].enter(Phase::busy));
  const std::size_t next = peers.connect();
  CHECK(peers[next].enter(Phase::receiving));
  CHECK_FALSE(peers[next].hold(20));
  CHECK(peers.closed().empty());
  peers.leave(next);
  CHECK(peers.has_metric("held_bytes 90"));
  CHECK(peers[working].enter(Phase::sending));
  CHECK(peers[working].hold(1));
  CHECK(peers.has_metric("held_bytes 1"));
}

TEST_CASE("one connection alone may exceed the bound of bytes with its answer") {
  Peers peers({.connections_max = 10, .connections_per_peer_max = 10, .held_bytes_max = 100});
  const std::size_t only = peers.connect_busy();
  CHECK(peers[only].enter(Phase::sending));
  peers[only].hold(500);
  CHECK(peers.closed().empty());
}

TEST_CASE("an address of --proxy has one canonical form") {
  CHECK(canonical_address("192.0.2.1") == "192.0.2.1");
  CHECK(canonical_address("::FFFF:192.0.2.1") == "192.0.2.1");
  CHECK(canonical_address("2001:0DB8:0::1") == "2001:db8::1");
  for (const char* text : {"", "localhost", "192.0.2", "192.0.2.1:80", "[::1]", "10.0.0.0/8"})
    CHECK_MESSAGE(!canonical_address(text), text);
}

}  // namespace backstitch::rest
