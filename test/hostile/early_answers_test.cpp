// Participants, and proxies before them, that answer a request before they have read all of it.
#include <string>

#include <doctest/doctest.h>

#include "client.hpp"

namespace backstitch::hostile {
namespace {

/// More than the buffers of both kernels hold, so that the request is never written whole.
constexpr std::size_t large_body = 32U << 20U;

Order large(const std::string& way) {
  return {.way = way, .body_bytes = large_body};
}

struct Ending {
  const char* name;
  void (*end)(Peer&);
};
constexpr Ending endings[] = {
    {"stays open", [](Peer& peer) { peer.is_closed_within(10'000); }},
    {"closes with the body unread", [](Peer& peer) { peer.close(); }},
    {"resets", [](Peer& peer) { peer.reset(); }},
};

TEST_CASE("a refusal that comes before the request has been written is heard") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    for (const Ending& ending : endings) {
      for (const int status : {401, 403, 413}) {
        CAPTURE((wire == Wire::tls));
        CAPTURE(std::string(ending.name));
        Participant participant(wire, [&](Peer& peer, const Request& request) {
          peer.send(answer_for(request, status));
          ending.end(peer);
          peer.close();
        });
        participant.answer_after_heads();
        Client client(participant);
        CHECK(text_of(client.call(large("any"))) == std::to_string(status));
        CHECK(client.unrequested() == 0);
        CHECK(client.crossed() == 0);
      }
    }
  }
}

TEST_CASE("an early answer closes its connection and no other") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    CAPTURE((wire == Wire::tls));
    Participant participant(wire, [](Peer& peer, const Request& request) {
      peer.send(answer_for(request, 413));
      peer.is_closed_within(10'000);
    });
    participant.answer_after_heads();
    Client client(participant);
    for (int i = 0; i < 3; ++i) CHECK(text_of(client.call(large("any"))) == "413");
    CHECK(participant.connections() == 3);
    CHECK(client.notes.events.empty());
  }
}

TEST_CASE("an interim answer during the request leaves the connection as reusable as it was") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    CAPTURE((wire == Wire::tls));
    Participant participant(wire, [](Peer& peer, Request request) {
      peer.send("HTTP/1.1 102 Processing\r\n\r\n");
      peer.read_body(request);
      peer.send(answer_for(request));
    });
    participant.answer_after_heads();
    Client client(participant, [](http::Options& options) {
      options.rest_min = options.rest_max = Duration{0};
    });
    const Order order{.way = "any", .attempt_timeout = Duration{60'000}, .body_bytes = 1U << 20U};
    for (int i = 0; i < 3; ++i) CHECK(text_of(client.call(order)) == "200");
    CHECK(participant.connections() == 1);
  }
}

TEST_CASE("a connection that breaks before an answer leaves a large request unknown") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    for (const bool resets : {false, true}) {
      CAPTURE((wire == Wire::tls));
      CAPTURE(resets);
      Participant participant(
          wire, [&](Peer& peer, const Request&) { resets ? peer.reset() : peer.close(); });
      participant.answer_after_heads();
      Client client(participant);
      CHECK(text_of(client.call(large("any"))) == "reset");
    }
  }
}

TEST_CASE("an early answer that breaks off leaves a large request unknown") {
  Participant participant(Wire::plain, [](Peer& peer, const Request& request) {
    const std::string answer = answer_for(request, 413);
    peer.send(answer.substr(0, answer.size() - 1));
    peer.close();
  });
  participant.answer_after_heads();
  Client client(participant);
  CHECK(text_of(client.call(large("any"))) == "reset");
}

TEST_CASE("an early answer that the end of its connection delimits needs an orderly end") {
  struct Row {
    const char* name;
    Wire wire;
    void (*end)(Peer&);
    const char* result;
  };
  for (const Row& row :
       {Row{"FIN", Wire::plain, [](Peer& peer) { peer.end(); }, "403"},
        {"close with the body unread", Wire::plain,
         [](Peer& peer) {
           // Without unread bytes it would be a FIN.
           peer.is_answered_within(10'000);
           peer.close();
         },
         "reset"},
        {"reset", Wire::plain, [](Peer& peer) { peer.reset(); }, "reset"},
        {"close_notify before a reset", Wire::tls,
         [](Peer& peer) {
           peer.put_close_notify();
           peer.flush();
           peer.reset();
         },
         "403"},
        {"reset without close_notify", Wire::tls, [](Peer& peer) { peer.reset(); }, "reset"}}) {
    CAPTURE(std::string(row.name));
    Participant participant(row.wire, [&](Peer& peer, const Request&) {
      peer.send("HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nno");
      row.end(peer);
      peer.close();
    });
    participant.answer_after_heads();
    Client client(participant);
    CHECK(text_of(client.call(large("any"))) == row.result);
  }
}

}  // namespace
}  // namespace backstitch::hostile
