// What the HTTP adapter makes of the bytes that a server sends, over a real connection.
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/http/participants.hpp>

namespace backstitch::test {
namespace {

/// Answers each connection with the next of the given texts, and closes it.
class ScriptedServer {
 public:
  /// @param keeps_open  its connections stay open until it goes
  explicit ScriptedServer(std::vector<std::string> answers, bool keeps_open = false)
      : answers_(std::move(answers)), keeps_open_(keeps_open) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    for (const int peer : open_) ::close(peer);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Of the connections so far; read it after the answers have come.
  const std::vector<std::string>& requests() const { return requests_; }

 private:
  void serve() {
    for (const auto& answer : answers_) {
      const int peer = ::accept(listener_, nullptr, nullptr);
      if (peer < 0) return;
      std::string request;
      char bytes[4096];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const auto count = ::read(peer, bytes, sizeof bytes);
        if (count <= 0) break;
        request.append(bytes, static_cast<std::size_t>(count));
      }
      requests_.push_back(request);
      send(peer, answer);
      if (keeps_open_) {
        open_.push_back(peer);
        continue;
      }
      ::shutdown(peer, SHUT_WR);
      ::close(peer);
    }
  }

  /// The head and the body in packets of their own, as most servers do.
  static void send(int peer, const std::string& answer) {
    const int on = 1;
    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto end = answer.rfind("\r\n\r\n");
    const std::size_t head = end == std::string::npos ? 0 : end + 4;
    for (const auto& part : {answer.substr(0, head), answer.substr(head)}) {
      static_cast<void>(::send(peer, part.data(), part.size(), MSG_NOSIGNAL));
      std::this_thread::yield();
    }
  }

  std::vector<std::string> answers_;
  std::vector<std::string> requests_;
  std::vector<int> open_;
  bool keeps_open_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

/// The answers to one call after another of one service.
class Caller {
 public:
  explicit Caller(const std::string& url) {
    service_.base_url = url;
    service_.response_bytes_max = 1000;
    http::Options options;
    options.egress = std::make_shared<http::EgressPolicy>(
        http::EgressPolicy::Options{.allow_hosts = {}, .allow_loopback_http = true});
    participants_.emplace(reactor_, std::move(options));
  }

  dsl::Service& service() { return service_; }

  engine::CallResult call() { return calls(1).front(); }

  /// One after the other.
  std::vector<engine::CallResult> calls(std::size_t count) {
    std::vector<engine::CallResult> got;
    std::function<void()> next = [&] {
      participants_->call(prepared(), [&](engine::CallResult result) {
        got.push_back(std::move(result));
        got.size() < count ? next() : reactor_.stop();
      });
    };
    reactor_.post(next);
    reactor_.run();
    REQUIRE(got.size() == count);
    return got;
  }

 private:
  engine::Call prepared() const {
    engine::Call call;
    call.saga = *SagaId::parse("01890a5d-ac96-774b-bcce-b302099a8057");
    call.path = "a";
    call.request.method = "POST";
    call.request.target = "/a";
    call.request.key = "key";
    call.request.attempt_timeout = Duration{10'000};
    call.service = std::make_shared<dsl::Service>(service_);
    call.service_name = "s";
    return call;
  }

  dsl::Service service_;
  asio::Reactor reactor_;
  std::optional<http::HttpParticipants> participants_;
};

/// `409 {"a":1}`, `409 null unreadable`, `protocol`.
std::string text_of(const engine::CallResult& result) {
  if (const auto* unsent = std::get_if<engine::NotSent>(&result))
    return engine::to_text(unsent->lack);
  if (const auto* error = std::get_if<engine::TransportError>(&result))
    return dsl::to_text(error->kind);
  const auto& response = std::get<engine::Response>(result);
  return std::to_string(response.status) + " " + response.body.dump() +
         (response.unreadable.empty() ? "" : " unreadable");
}

std::string answered(const std::string& bytes) {
  ScriptedServer server({bytes});
  return text_of(Caller(server.url()).call());
}

TEST_CASE("a status line needs no reason phrase") {
  const std::string rest = "Content-Length: 2\r\n\r\n{}";
  CHECK(answered("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + rest) == "200 {}");
  CHECK(answered("HTTP/1.1 200 \r\n" + rest) == "200 {}");
  CHECK(answered("HTTP/1.1 409\r\n" + rest) == "409 {}");
  CHECK(answered("HTTP/1.0 409\r\n\r\n{}") == "409 {}");
  CHECK(answered("HTTP/1.1 100\r\n\r\nHTTP/1.1 200\r\n" + rest) == "200 {}");
  CHECK(answered("HTTP/1.1 409 Ung\xfcltig\r\n" + rest) == "409 {}");
}

TEST_CASE("an answer over maxResponseBytes is judged by its status") {
  const std::string large(2000, 'x');
  CHECK(answered("HTTP/1.1 409 No\r\nContent-Length: 2000\r\n\r\n" + large) ==
        "409 null unreadable");
  CHECK(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + large +
                 "\r\n0\r\n\r\n") == "200 null unreadable");
  CHECK(answered("HTTP/1.1 409 No\r\nConnection: close\r\n\r\n" + large) == "409 null unreadable");
}

TEST_CASE("an answer that is cut short by its framing is no answer") {
  CHECK(answered("HTTP/1.1 409 No\r\nContent-Length: 20\r\n\r\n{}") == "reset");
  CHECK(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n") == "reset");
  CHECK(answered("HTTP/1.1 200 OK\r\nContent-Le") == "reset");
  CHECK(answered("HTTP/1.1 2x0\r\n\r\n") == "protocol");
  // Nobody asked for another protocol, so what follows is no answer.
  CHECK(answered("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n") == "protocol");
  CHECK(answered("") == "reset");
}

TEST_CASE("an answer whose framing cannot be followed settles nothing, whatever its status") {
  for (const std::string status : {"200 OK", "409 No", "204 None"}) {
    const std::string line = "HTTP/1.1 " + status + "\r\n";
    for (const std::string framing :
         {"Transfer-Encoding: gzip\r\n", "Transfer-Encoding: gzip, chunked\r\n",
          "Transfer-Encoding: chunked, chunked\r\n", "Transfer-Encoding: xchunked\r\n",
          "Transfer-Encoding: chunked;x=1\r\n", "Transfer-Encoding: \r\n",
          "Transfer-Encoding: identity\r\n",
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
          "Transfer-Encoding: chunked\r\nContent-Length: 12\r\n",
          "Content-Length: 12\r\nTransfer-Encoding: chunked\r\n",
          "Content-Length: 2\r\nContent-Length: 12\r\n", "Content-Length: 2, 12\r\n",
          "Content-Length: -2\r\n", "Content-Length: +2\r\n", "Content-Length: 0x2\r\n",
          "Content-Length: 99999999999999999999\r\n"}) {
      CAPTURE(status);
      CAPTURE(framing);
      CHECK(answered(line + framing + "\r\n2\r\n{}\r\n0\r\n\r\n") == "protocol");
    }
  }
  const std::string chunks = "\r\n2\r\n{}\r\n0\r\n\r\n";
  CHECK(answered("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" + chunks) == "protocol");
  CHECK(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n" + chunks) == "200 {}");
  CHECK(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding:  CHUNKED \r\n" + chunks) == "200 {}");
}

TEST_CASE("a service without idempotency is called on a fresh connection each time") {
  const std::string kept = "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n";
  ScriptedServer server({kept, kept}, true);
  Caller caller(server.url());
  caller.service().idempotency = dsl::Idempotency::none;
  for (const auto& result : caller.calls(2)) CHECK(text_of(result) == "200 null");
  REQUIRE(server.requests().size() == 2);
  CHECK(server.requests()[1].find("Connection: close\r\n") != std::string::npos);
}

TEST_CASE("a call asks for an answer that is not compressed") {
  ScriptedServer server({"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"});
  CHECK(text_of(Caller(server.url()).call()) == "200 null");
  CHECK(server.requests().at(0).find("Accept-Encoding: identity\r\n") != std::string::npos);
}

TEST_CASE("a connection is not used again after an answer that is not the participant's own") {
  const std::string rest = "Content-Length: 2\r\n\r\n{}";
  ScriptedServer server(
      {"HTTP/1.1 200 OK\r\nEcho: other\r\n" + rest, "HTTP/1.1 200 OK\r\nEcho: key\r\n" + rest},
      true);
  Caller caller(server.url());
  caller.service().answers.echo = "Echo";
  const auto answers = caller.calls(2);
  CHECK_FALSE(std::get<engine::Response>(answers[0]).foreign.empty());
  CHECK(std::get<engine::Response>(answers[1]).foreign.empty());
  CHECK(server.requests().size() == 2);
}

}  // namespace
}  // namespace backstitch::test
