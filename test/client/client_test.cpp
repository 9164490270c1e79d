// The client of the REST API against a server that gives the answers a test has written.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <backstitch/client/client.hpp>

namespace backstitch::client {
namespace {

std::string answer(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nConnection: close\r\n" +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Answers one request on each connection, and ends with the last answer. An empty answer closes.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> answers) : answers_(std::move(answers)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(listener_ >= 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] {
      for (const auto& text : answers_) serve(text);
      ::close(listener_);
    });
  }
  /// @pre every answer has been asked for
  std::vector<std::string> requests() {
    thread_.join();
    return std::move(requests_);
  }

  std::string url;

 private:
  /// The body of a start ends with the object of its input.
  static bool is_whole(const std::string& request) {
    return request.find("\r\n\r\n") != std::string::npos &&
           (request.starts_with("GET ") || request.ends_with("}}"));
  }

  void serve(const std::string& text) {
    const int peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    std::string request;
    char buffer[4096];
    ssize_t got = 0;
    while (!is_whole(request) && (got = ::recv(peer, buffer, sizeof buffer, 0)) > 0)
      request.append(buffer, static_cast<std::size_t>(got));
    requests_.push_back(std::move(request));
    ::send(peer, text.data(), text.size(), MSG_NOSIGNAL);
    ::close(peer);
  }

  std::vector<std::string> answers_;
  std::vector<std::string> requests_;
  int listener_ = -1;
  std::thread thread_;
};

const std::string running = R"({"id":"a","status":"RUNNING"})";
const std::string completed = R"({"id":"a","status":"COMPLETED"})";

Start start_with(std::optional<Duration> wait) {
  return {.definition = "d",
          .input = Json{{"n", Json::object()}},
          .idempotency_key = "k",
          .wait = wait};
}

/// The value of a query parameter or header in the head of a request.
std::string value_after(const std::string& request, const std::string& name) {
  const auto at = request.find(name);
  if (at == std::string::npos) return "";
  const auto begin = at + name.size();
  return request.substr(begin, request.find_first_of(" \r", begin) - begin);
}

TEST_CASE(
    "a long wait for the end is several requests under one key, of at most ten seconds each") {
  ScriptedServer server(
      {answer("201 Created", running), answer("200 OK", running), answer("200 OK", completed)});
  Client client({.server = server.url});
  const auto started = client.start(start_with(Duration{60'000}));
  REQUIRE(started);
  CHECK(started->created);
  CHECK(started->saga.at("status") == "COMPLETED");
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  for (const auto& request : requests) {
    CHECK(value_after(request, "?wait=") == "10s");
    CHECK(value_after(request, "Idempotency-Key:") == "k");
  }
}

TEST_CASE("a start without a wait, and a wait that is over, is one request") {
  for (const auto& wait : {std::optional<Duration>{}, std::optional(Duration{0})}) {
    ScriptedServer server({answer("201 Created", running)});
    Client client({.server = server.url});
    const auto started = client.start(start_with(wait));
    REQUIRE(started);
    CHECK(started->saga.at("status") == "RUNNING");
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE("a wait that a proxy ends leaves the saga that was started") {
  ScriptedServer server({answer("201 Created", running), answer("504 Gateway Timeout", "")});
  Client client({.server = server.url});
  const auto started = client.start(start_with(Duration{60'000}));
  REQUIRE(started);
  CHECK(started->id == "a");
  server.requests();
}

TEST_CASE("a start is of unknown outcome if the server may have seen it, and names its key") {
  for (const auto& text : {answer("502 Bad Gateway", ""), answer("504 Gateway Timeout", "<html>"),
                           answer("200 OK", R"({"sagas":[]})"), std::string(),
                           std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")}) {
    CAPTURE(text);
    ScriptedServer server({text});
    Client client({.server = server.url});
    const auto started = client.start(start_with({}));
    REQUIRE(!started);
    CHECK(started.error().code == ErrorCode::outcome_unknown);
    CHECK(started.error().message.find("repeat with --key k,") != std::string::npos);
    server.requests();
  }
}

TEST_CASE("a start is not made if it was redirected or refused, or nothing listens") {
  for (const auto& [text, reason] :
       {std::pair{answer("301 Moved Permanently", ""), "server-redirects"},
        std::pair{answer("401 Unauthorized", "<html>"), "not-backstitch"}}) {
    ScriptedServer server({text});
    Client client({.server = server.url});
    const auto started = client.start(start_with({}));
    REQUIRE(!started);
    CHECK(started.error().code == ErrorCode::unavailable);
    CHECK(started.error().reason == reason);
    server.requests();
    const auto again = client.start(start_with({}));  // the server has gone
    REQUIRE(!again);
    CHECK(again.error().code == ErrorCode::unavailable);
    CHECK(again.error().reason == "server-unreachable");
  }
}

TEST_CASE("an answer about another saga than the one asked for is not an answer") {
  ScriptedServer server({answer("200 OK", R"({"id":"b"})")});
  Client client({.server = server.url});
  const auto saga = client.saga("a");
  REQUIRE(!saga);
  CHECK(saga.error().reason == "not-backstitch");
  server.requests();
}

}  // namespace
}  // namespace backstitch::client
