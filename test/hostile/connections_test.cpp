// Kept connections to a participant that sends more than it was asked for.
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "client.hpp"

namespace backstitch::hostile {
namespace {

constexpr Wire wires[] = {Wire::plain, Wire::tls};

const char* name_of(Wire wire) {
  return wire == Wire::tls ? "TLS" : "plain";
}

void without_rest(http::Options& options) {
  options.rest_min = options.rest_max = Duration{0};
}

std::vector<Order> orders_of(std::size_t count, const std::string& way) {
  return std::vector<Order>(count, Order{way});
}

TEST_CASE("a second answer that comes with the first is not the answer of the next call") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    const Participant participant(wire, behave_by_path);
    for (const auto& way : ways_at_once()) {
      CAPTURE(way);
      Client client(participant);
      CHECK(text_of(client.call({way})).substr(0, 2) == "20");
      CHECK(text_of(client.call({"refused"})) == "409");
      CHECK(client.crossed() == 0);
      CHECK(client.unrequested() == 1);
    }
  }
}

TEST_CASE("a record that has not come whole keeps its connection from the next call") {
  const Participant participant(Wire::tls, behave_by_path);
  for (const std::string way : {"stray-split", "stray-after-header"}) {
    CAPTURE(way);
    Client client(participant);
    for (int i = 0; i < 20; ++i) {
      client.call({way});
      CHECK(text_of(client.call({"refused"})) == "409");
    }
    CHECK(client.crossed() == 0);
  }
}

TEST_CASE("tickets and key updates leave a connection as reusable as it was") {
  for (const std::string way : {"honest", "ticket", "key-update"}) {
    CAPTURE(way);
    const Participant participant(Wire::tls, behave_by_path);
    Client client(participant, without_rest);
    for (const auto& result : client.call(orders_of(30, way))) CHECK(text_of(result) == "200");
    CHECK(participant.connections() == 1);
    CHECK(client.unrequested() == 0);
    CHECK(client.crossed() == 0);
  }
}

TEST_CASE("a participant that sends unrequested bytes gets a connection a call") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    const Participant participant(wire, behave_by_path);
    Client client(participant, without_rest);
    client.call(orders_of(5, "honest"));
    CHECK(participant.connections() == 1);
    client.call({"twice"});
    client.call(orders_of(10, "honest"));
    CHECK(participant.connections() == 11);
    CHECK(client.notes.events == std::vector<std::string>{"unrequested-bytes"});
  }
}

TEST_CASE("unrequested bytes on an idle connection are noticed without a call") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    const Participant participant(wire, behave_by_path);
    Client client(participant);
    client.call({"stray-later"});
    CHECK(client.run_until([&] { return client.unrequested() == 1; }));
    CHECK(text_of(client.call({"refused"})) == "409");
    CHECK(client.crossed() == 0);
  }
}

TEST_CASE("a strike on one reactor ends the kept connections of every reactor of the node") {
  const Participant participant(Wire::plain, behave_by_path);
  const auto node = http::make_node_state();
  const auto share = [&](http::Options& options) { options.node = node; };
  Client first(participant, share);
  Client second(participant, share);
  second.call({"honest"});
  first.call({"twice"});
  second.call(orders_of(3, "honest"));
  CHECK(participant.connections() == 5);
}

TEST_CASE("the end of an idle connection, announced or not, is no fault of the participant") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    for (const std::string way : {"notice-then-close", "close"}) {
      CAPTURE(way);
      const Participant participant(wire, behave_by_path);
      Client client(participant);
      for (int i = 0; i < 5; ++i) {
        CHECK(text_of(client.call({way})) == "200");
        client.run_until([n = 0]() mutable { return ++n > 10; });
      }
      CHECK(text_of(client.call({"refused"})) == "409");
      CHECK(client.unrequested() == 0);
      CHECK(client.crossed() == 0);
    }
  }
}

TEST_CASE("an answer that comes after its timeout is no call's answer") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    const Participant participant(wire, behave_by_path);
    Client client(participant);
    for (int i = 0; i < 5; ++i) {
      // On a busy machine the attempt may be over before its request was sent.
      Duration patience{50};
      std::string said = text_of(client.call({"late", false, patience}));
      while (said == "timeout unsent" && patience < Duration{10'000})
        said = text_of(client.call({"late", false, patience *= 2}));
      CHECK(said == "timeout");
      CHECK(text_of(client.call({"refused"})) == "409");
    }
    CHECK(client.crossed() == 0);
  }
}

TEST_CASE("nothing is sent to a participant that speaks before it was asked") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    std::atomic<int> asked{0};
    const Participant participant(
        wire, [&](Peer&, const Request&) { ++asked; },
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    Client client(participant);
    // What comes while the request is on its way cannot be told from an early answer, so the
    // greeting has to be there: with TLS it comes in the flight that ends the handshake.
    const auto greeted = [&] {
      while (wire == Wire::plain && participant.greetings() == 0) std::this_thread::yield();
    };
    CHECK(text_of(client.call({"honest"}, greeted)) == "reset unsent");
    CHECK(client.unrequested() == 1);
    CHECK(asked == 0);
  }
}

TEST_CASE("a service without keepAlive has a connection a call") {
  const Participant participant(Wire::plain, [](Peer& peer, const Request& request) {
    CHECK(request.headers.at("connection") == "close");
    peer.send(answer_for(request));
  });
  Client client(participant);
  client.service().keep_alive = false;
  for (const auto& result : client.call(orders_of(5, "honest"))) CHECK(text_of(result) == "200");
  CHECK(participant.connections() == 5);
}

TEST_CASE("a pivot does not use a connection that has been idle for its limit") {
  const Participant participant(Wire::plain, behave_by_path);
  Client client(participant, [](http::Options& options) { options.pivot_idle_max = Duration{0}; });
  client.call({"honest", true});
  client.call({"honest", true});
  CHECK(participant.connections() == 2);
}

TEST_CASE("a connection rests after an answer for as long as answers usually take") {
  const Participant participant(Wire::plain, [](Peer& peer, const Request& request) {
    peer.pause(20);
    peer.send(answer_for(request));
  });
  Client client(participant);
  constexpr std::size_t calls = 10;
  client.call(orders_of(calls, "any"));
  // Two take turns, unless a pause of the machine makes answers look slow.
  CHECK(participant.connections() > 1);
  CHECK(participant.connections() < calls);
}

TEST_CASE("a connection is not kept for longer than its maximum age") {
  const Participant participant(Wire::plain, behave_by_path);
  Client client(participant, [](http::Options& options) { options.age_max = Duration{0}; });
  client.call(orders_of(3, "honest"));
  CHECK(participant.connections() == 3);
}

/// BACKSTITCH_HOSTILE_CALLS: 10,000 is the bar of the issue that asked for this.
std::size_t calls_wanted() {
  const char* wanted = std::getenv("BACKSTITCH_HOSTILE_CALLS");
  return wanted == nullptr ? 1'000 : std::strtoul(wanted, nullptr, 10);
}

/// Calls of one new service after the other, half of them hostile.
struct Tally {
  std::size_t calls = 0;
  std::size_t crossed = 0;
  std::size_t services = 0;
  std::size_t crossed_twice = 0;  ///< services with more than one wrong answer
};

Tally tally(Wire wire, const std::vector<std::string>& ways, std::size_t in_flight) {
  constexpr std::size_t calls_of_service = 20;
  const Participant participant(wire, behave_by_path);
  Tally all;
  while (all.calls < calls_wanted()) {
    Client client(participant);
    std::vector<Order> orders;
    for (std::size_t i = 0; i < calls_of_service; ++i) {
      const bool hostile = i % 2 == 1;
      orders.push_back({hostile ? ways[(all.calls + i) / 2 % ways.size()] : "refused"});
    }
    client.call(orders, in_flight);
    all.calls += orders.size();
    all.crossed += client.crossed();
    ++all.services;
    if (client.crossed() > 1) ++all.crossed_twice;
  }
  MESSAGE(std::string(name_of(wire)), ", ", in_flight, " in flight: ", all.calls, " calls of ",
          all.services, " services, ", all.crossed, " crossed, in ", all.crossed_twice,
          " services more than one");
  return all;
}

TEST_CASE("of many calls none gets bytes that came before its request was written") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    for (const std::size_t in_flight : {1, 4})
      CHECK(tally(wire, ways_at_once(), in_flight).crossed == 0);
  }
}

// How soon a true answer shows itself is the scheduler's business on a loaded machine.
TEST_CASE("of bytes that come after the next request was written one answer a service is wrong") {
  for (const Wire wire : wires) {
    CAPTURE(std::string(name_of(wire)));
    const Tally all = tally(wire, ways_later(), 1);
    CHECK(all.crossed_twice * 20 <= all.services);
  }
}

}  // namespace
}  // namespace backstitch::hostile
