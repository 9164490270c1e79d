// Calls through a forward proxy: tunnels for https, absolute form for http, and proxies that refuse
// or misbehave.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "client.hpp"
#include "node_state.hpp"

namespace backstitch::hostile {
namespace {

constexpr const char* credentials = "engine:a long enough password";
constexpr const char* credentials_sent = "Basic ZW5naW5lOmEgbG9uZyBlbm91Z2ggcGFzc3dvcmQ=";

/// Notes the requests that it gets.
class Noted {
 public:
  Participant::Behave noting(Participant::Behave behave) {
    return [this, behave = std::move(behave)](Peer& peer, const Request& request) {
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      behave(peer, request);
    };
  }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
};

std::string header(const Request& request, const std::string& name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? "none" : found->second;
}

/// Opens tunnels to one participant, whatever the name, and answers other requests itself.
struct ForwardProxy {
  explicit ForwardProxy(std::uint16_t port = 0,
                        std::string opened = "HTTP/1.1 200 Connection established\r\n\r\n")
      : proxy(Wire::plain,
              noted.noting([port, opened = std::move(opened)](Peer& peer, const Request& request) {
                if (request.method != "CONNECT") return behave_by_path(peer, request);
                peer.send(opened);
                peer.relay(port);
              })) {}
  Noted noted;
  Participant proxy;
};

/// A client whose service has a proxy of its own.
struct Proxied {
  explicit Proxied(const Participant& participant, const std::string& proxy,
                   const Client::Change& change = {})
      : client(participant, [&, this](http::Options& options) {
          options.secrets = &secrets;
          options.rest_min = options.rest_max = Duration{0};
          if (change) change(options);
        }) {
    secrets.values = {{"ca", participant.certificate()}, {"proxy", credentials}};
    client.service().proxy.url = proxy;
  }
  ChangingSecrets secrets;
  Client client;
};

TEST_CASE("https goes through a tunnel, and its credentials stay before it") {
  Noted noted;
  const Participant bank(Wire::tls, noted.noting(behave_by_path));
  const ForwardProxy forward(bank.port());
  Proxied proxied(bank, forward.proxy.url());
  proxied.client.service().proxy.secret = "proxy";
  for (int i = 0; i < 3; ++i) CHECK(text_of(proxied.client.call({"honest"})) == "200");
  const auto opened = forward.noted.requests();
  REQUIRE(opened.size() == 1);
  const std::string place = "127.0.0.1:" + std::to_string(bank.port());
  CHECK(opened[0].method == "CONNECT");
  CHECK(opened[0].path == place);
  CHECK(header(opened[0], "host") == place);
  CHECK(header(opened[0], "proxy-authorization") == credentials_sent);
  CHECK(opened[0].headers.size() == 2);
  REQUIRE(noted.requests().size() == 3);
  for (const Request& request : noted.requests()) {
    CHECK(request.path == "/honest");
    CHECK(header(request, "proxy-authorization") == "none");
  }
  CHECK(bank.connections() == 1);
}

TEST_CASE("the certificate behind a tunnel is the participant's, and is verified") {
  const Participant bank(Wire::tls, behave_by_path);
  const ForwardProxy forward(bank.port());
  Proxied stranger(bank, forward.proxy.url());
  stranger.secrets.values["ca"] = forward.proxy.certificate();
  CHECK(text_of(stranger.client.call({"honest"})) == "tls unsent");
  Proxied misnamed(bank, forward.proxy.url());
  misnamed.client.service().tls.server_name = "bank.example";
  CHECK(text_of(misnamed.client.call({"honest"})) == "tls unsent");
}

TEST_CASE("an answer to CONNECT may have what HTTP allows it") {
  const Participant bank(Wire::tls, behave_by_path);
  for (const char* opened : {"HTTP/1.1 200\r\n\r\n", "HTTP/1.0 200 OK\r\nProxy-Agent: x\r\n\r\n",
                             "HTTP/1.1 204 No Content\r\n\r\n",
                             // RFC 9110, 9.3.6: such headers are to be ignored.
                             "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                             "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}) {
    CAPTURE(std::string(opened));
    const ForwardProxy forward(bank.port(), opened);
    Proxied proxied(bank, forward.proxy.url());
    CHECK(text_of(proxied.client.call({"honest"})) == "200");
  }
}

TEST_CASE("whatever a proxy does instead of opening a tunnel, the call is not sent") {
  const Participant bank(Wire::tls, behave_by_path);
  struct Row {
    std::string answer;
    const char* told;
  };
  const std::string opened = "HTTP/1.1 200 OK\r\n\r\n";
  for (const Row& row :
       {Row{"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "CONNECT with 403"},
        {"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
         "CONNECT with 407: it does not accept the credentials"},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "CONNECT with 502"},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "CONNECT with 302"},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "CONNECT with 101"},
        {opened + "garbage", "bytes of its own"},
        {opened + opened, "bytes of its own"},
        {"", "no answer to CONNECT"},
        {"HTTP/1.1 200 OK\r\nProxy-Agent: x\r\n", "no answer to CONNECT"},
        {"HTTP/1.1 200 OK\r\nX: " + std::string(64 * 1024, 'x') + "\r\n\r\n",
         "no answer to CONNECT"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "no answer to CONNECT"}}) {
    CAPTURE(row.told);
    const Participant proxy(Wire::plain, [&](Peer& peer, const Request&) {
      peer.send(row.answer);
      peer.close();
    });
    Proxied proxied(bank, proxy.url());
    const auto result = proxied.client.call({"honest"});
    CHECK(text_of(result) == "connect unsent");
    CHECK(contains(message_of(result), "the proxy 127.0.0.1:" + std::to_string(proxy.port())));
    CHECK_MESSAGE(contains(message_of(result), row.told), message_of(result));
  }
  CHECK(bank.connections() == 0);
}

TEST_CASE("a proxy that is away or says nothing leaves the call unsent") {
  const Participant bank(Wire::tls, behave_by_path);
  std::string away;
  {
    const Participant gone(Wire::plain, behave_by_path);
    away = gone.url();
  }
  Proxied refused(bank, away);
  const auto result = refused.client.call({"honest"});
  CHECK(text_of(result) == "connect unsent");
  CHECK(contains(message_of(result), "the proxy 127.0.0.1:"));
  const Participant silent(Wire::plain,
                           [](Peer& peer, const Request&) { peer.is_closed_within(10'000); });
  Proxied waiting(bank, silent.url());
  waiting.client.service().connect_timeout = Duration{50};
  CHECK(text_of(waiting.client.call({"honest"})) == "timeout unsent");
  CHECK(bank.connections() == 0);
}

TEST_CASE("a proxy that ends a tunnel during a request leaves the call unknown") {
  const Participant bank(Wire::tls, [](Peer& peer, const Request&) { peer.close(); });
  const ForwardProxy forward(bank.port());
  Proxied proxied(bank, forward.proxy.url());
  CHECK(text_of(proxied.client.call({"any"})) == "reset");
}

TEST_CASE("plain http goes to the proxy in absolute form, on kept connections") {
  const Participant bank(Wire::plain, behave_by_path);
  const ForwardProxy forward;
  Proxied proxied(bank, forward.proxy.url());
  proxied.client.service().proxy.secret = "proxy";
  proxied.client.service().base_url += "/api";
  for (int i = 0; i < 3; ++i) CHECK(text_of(proxied.client.call({"honest"})) == "200");
  const std::string place = "127.0.0.1:" + std::to_string(bank.port());
  REQUIRE(forward.noted.requests().size() == 3);
  for (const Request& request : forward.noted.requests()) {
    CHECK(request.method == "POST");
    CHECK(request.path == "http://" + place + "/api/honest");
    CHECK(header(request, "host") == place);
    CHECK(header(request, "proxy-authorization") == credentials_sent);
  }
  CHECK(forward.proxy.connections() == 1);
  CHECK(bank.connections() == 0);
}

TEST_CASE("a proxy that asks for credentials speaks for itself, whatever marks its answer has") {
  const auto behave = [](Peer& peer, const Request& request) {
    peer.send(answer_for(request, 407));
  };
  const Participant proxy(Wire::plain, behave);
  const Participant bank(Wire::plain, behave);
  Proxied proxied(bank, proxy.url());
  proxied.client.service().answers.content_types = {"application/json"};
  for (int i = 0; i < 2; ++i) {
    const auto result = proxied.client.call({"any"});
    REQUIRE(text_of(result) == "407");
    const auto& response = std::get<engine::Response>(result);
    CHECK_FALSE(response.foreign.empty());
    CHECK(response.body.is_null());
  }
  CHECK(proxy.connections() == 2);
  proxied.client.service().proxy.url.clear();
  CHECK(std::get<engine::Response>(proxied.client.call({"any"})).foreign.empty());
}

TEST_CASE("a connection is used for calls by its own proxy, credentials and target only") {
  const Participant bank(Wire::tls, behave_by_path);
  const ForwardProxy one(bank.port());
  const ForwardProxy other(bank.port());
  Proxied proxied(bank, one.proxy.url());
  proxied.secrets.values["second"] = credentials;
  const auto call_by = [&](const std::string& proxy, const std::string& secret) {
    proxied.client.service().proxy = {proxy, secret};
    CHECK(text_of(proxied.client.call({"honest"})) == "200");
  };
  for (int i = 0; i < 2; ++i) {
    call_by(one.proxy.url(), "");
    call_by(other.proxy.url(), "");
    call_by(other.proxy.url(), "proxy");
    call_by(other.proxy.url(), "second");
    call_by("", "");
    CHECK(one.proxy.connections() == 1);
    CHECK(other.proxy.connections() == 3);
    CHECK(bank.connections() == 5);
  }
}

TEST_CASE("a call whose credentials for the proxy are missing is not sent") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    const Participant bank(wire, behave_by_path);
    const ForwardProxy forward(bank.port());
    Proxied proxied(bank, forward.proxy.url());
    proxied.client.service().proxy.secret = "other";
    CHECK(text_of(proxied.client.call({"honest"})) == "lack secret-missing");
    CHECK(forward.proxy.connections() == 0);
  }
}

TEST_CASE("an operator is warned once of a secret that is too short to be masked") {
  const Participant bank(Wire::plain, behave_by_path);
  const auto node = http::make_node_state();
  const auto warnings = [&](const std::string& password) {
    Proxied proxied(bank, bank.url(), [&](http::Options& options) { options.node = node; });
    proxied.client.service().proxy.secret = "proxy";
    proxied.secrets.values["proxy"] = "engine:" + password;
    for (int i = 0; i < 2; ++i) CHECK(text_of(proxied.client.call({"honest"})) == "200");
    return proxied.client.notes.events;
  };
  CHECK(warnings("sixteen-letters!").empty());
  CHECK(warnings("fifteen-letters") == std::vector<std::string>{"secret-short"});
  CHECK(warnings("fifteen-letters").empty());
}

TEST_CASE("credentials that a proxy repeats are masked") {
  const Participant bank(Wire::plain, behave_by_path);
  const Participant proxy(Wire::plain, [](Peer& peer, const Request& request) {
    const std::string body =
        Json{{"sent", header(request, "proxy-authorization")}, {"known", "a long enough password"}}
            .dump();
    peer.send("HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  });
  Proxied proxied(bank, proxy.url());
  proxied.client.service().proxy.secret = "proxy";
  const auto result = proxied.client.call({"any"});
  REQUIRE(text_of(result) == "502");
  CHECK(std::get<engine::Response>(result).body == Json{{"sent", "Basic ***"}, {"known", "***"}});
}

/// A client of a node with a proxy, whose service has a name that only the proxy knows.
struct NodeProxied {
  NodeProxied(const Participant& bank, const ForwardProxy& forward,
              std::vector<std::string> direct_hosts = {})
      : proxied(bank, "", [&, this](http::Options& options) {
          auto proxy = http::EgressProxy::of(forward.proxy.url(), std::move(direct_hosts));
          REQUIRE(proxy);
          options.egress_proxy = std::make_shared<http::EgressProxy>(std::move(*proxy));
          // Loopback is not allowed: that the proxy is there is the operator's word.
          options.egress = std::make_shared<http::EgressPolicy>(
              http::EgressPolicy::Options{.allow_hosts = {"bank.test"}});
          options.node = std::make_shared<http::NodeState>(
              http::Resolver::Options{.look_up =
                                          [this](const std::string&) {
                                            ++lookups;
                                            return http::Lookup{.failure = "not known"};
                                          },
                                      .now = [] { return std::chrono::steady_clock::now(); }});
        }) {}
  std::atomic<int> lookups{0};
  Proxied proxied;
};

TEST_CASE("services without a proxy of their own are called through the node's") {
  for (const Wire wire : {Wire::plain, Wire::tls}) {
    CAPTURE((wire == Wire::tls));
    const Participant bank(wire, behave_by_path);
    const ForwardProxy forward(bank.port());
    NodeProxied node(bank, forward);
    dsl::Service& service = node.proxied.client.service();
    service.base_url = wire == Wire::tls ? "https://bank.test" : "http://bank.test";
    service.tls.server_name = wire == Wire::tls ? "localhost" : "";
    CHECK(text_of(node.proxied.client.call({"honest"})) == "200");
    const auto requests = forward.noted.requests();
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].path == (wire == Wire::tls ? "bank.test:443" : "http://bank.test/honest"));
    CHECK(node.lookups == 0);
  }
}

TEST_CASE("a host that the node calls without its proxy is looked up and connected to") {
  const Participant bank(Wire::plain, behave_by_path);
  const ForwardProxy forward(bank.port());
  NodeProxied node(bank, forward, {"test"});
  node.proxied.client.service().base_url = "http://bank.test";
  CHECK(text_of(node.proxied.client.call({"honest"})) == "dns unsent");
  CHECK(node.lookups == 1);
  CHECK(forward.proxy.connections() == 0);
}

TEST_CASE("a target that may not be called is not called through a proxy either") {
  const Participant bank(Wire::plain, behave_by_path);
  const ForwardProxy forward;
  NodeProxied node(bank, forward);
  for (const char* refused : {"http://other.test", "https://10.0.0.1", "https://[fd00::1]"}) {
    CAPTURE(std::string(refused));
    node.proxied.client.service().base_url = refused;
    CHECK(text_of(node.proxied.client.call({"honest"})) == "connect unsent");
  }
  // Nor is a proxy that a service names, and that the policy refuses.
  node.proxied.client.service().base_url = "https://bank.test";
  node.proxied.client.service().proxy.url = forward.proxy.url();
  const auto result = node.proxied.client.call({"honest"});
  CHECK(text_of(result) == "connect unsent");
  CHECK(contains(message_of(result), "not allowed"));
  CHECK(forward.proxy.connections() == 0);
}

}  // namespace
}  // namespace backstitch::hostile
