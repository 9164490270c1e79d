// The listener under requests from a generator over the grammar of HTTP: whatever comes, every
// answer is well formed, belongs to its own request, and none is a failure of the server.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/asio/reactor.hpp>
#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/memory/store.hpp>
#include <backstitch/rest/server.hpp>
#include <backstitch/system/random.hpp>
#include <backstitch/system/worker_threads.hpp>

#include "request_grammar.hpp"

namespace backstitch::test {
namespace {

class NobodyToCall : public engine::Participants {
 public:
  void call(engine::Call, std::function<void(engine::CallResult)>) override {}
};

/// Counts what a request must never cause.
class Failures : public engine::Observer {
 public:
  void note(engine::Level, std::string_view event, std::initializer_list<engine::Field>) override {
    if (event == "request-failed") count.fetch_add(1);
  }
  std::atomic<int> count{0};
};

/// While it is silent it keeps what it is asked to append. Threads: any.
class SilentStore : public engine::Store {
 public:
  explicit SilentStore(engine::Store& store) : store_(store) {}
  void append(std::size_t lane, std::vector<engine::Append> batch,
              std::function<void(std::vector<engine::AppendResult>)> done) override {
    const std::lock_guard lock(mutex_);
    if (!is_silent_) return store_.append(lane, std::move(batch), std::move(done));
    kept_.push_back([this, lane, batch = std::move(batch), done = std::move(done)]() mutable {
      store_.append(lane, std::move(batch), std::move(done));
    });
  }
  void load(std::vector<SagaId> sagas,
            std::function<void(Result<std::vector<engine::StoredSaga>>)> done) override {
    store_.load(std::move(sagas), std::move(done));
  }
  void due(engine::DueQuery query, std::function<void(Result<std::vector<SagaId>>)> done) override {
    store_.due(std::move(query), std::move(done));
  }
  void remove_expired(std::vector<Shard> shards, std::size_t limit, Duration key_retention,
                      std::function<void(Result<std::size_t>)> done) override {
    store_.remove_expired(std::move(shards), limit, key_retention, std::move(done));
  }
  bool reachable() const override { return true; }

  void set_silent(bool is_silent) {
    std::vector<std::function<void()>> kept;
    {
      const std::lock_guard lock(mutex_);
      is_silent_ = is_silent;
      if (!is_silent) kept.swap(kept_);
    }
    for (auto& one : kept) one();
  }

 private:
  engine::Store& store_;
  std::mutex mutex_;
  bool is_silent_ = false;
  std::vector<std::function<void()>> kept_;
};

/// A server in this process, so that sanitizers see it.
class Listener {
 public:
  explicit Listener(Duration answer_time = rest::Options{}.answer_time)
      : store_(reactor_, std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now())),
        silent(store_),
        workers_({.threads = 1}),
        engine_({.reactors = {{&reactor_, &nobody_}},
                 .store = &silent,
                 .leases = &store_,
                 .inbox = &store_,
                 .reader = &store_,
                 .catalog = &store_,
                 .random = &random_,
                 .observer = &failures,
                 .workers = &workers_},
                engine::Options{}),
        rest_({&reactor_}, engine_, rest::Options{.port = 0, .answer_time = answer_time}),
        thread_([this] { reactor_.run(); }) {
    workers_.start();
    const auto listening = rest_.listen();
    REQUIRE(listening);
    port = *listening;
    std::promise<bool> opened;
    engine_.open([&](const Result<Done>& done) { opened.set_value(done.has_value()); });
    REQUIRE(opened.get_future().get());
  }
  ~Listener() {
    workers_.stop();
    std::promise<void> closed;
    engine_.close([&] { closed.set_value(); });
    closed.get_future().wait();
    rest_.stop();
    reactor_.stop();
    thread_.join();
  }

  Failures failures;
  std::uint16_t port = 0;

 private:
  asio::Reactor reactor_;
  memory::MemoryStore store_;

 public:
  SilentStore silent;

 private:
  system::WorkerThreads workers_;
  system::SystemRandom random_;
  NobodyToCall nobody_;
  engine::Engine engine_;
  rest::Server rest_;
  std::thread thread_;
};

/// Sends all of it, in pieces, ends its own side, and reads to the end.
std::string exchange(std::uint16_t port, const std::string& bytes, Dice& dice) {
  const int peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(peer >= 0);
  // A reset leaves no port behind that waits for a minute.
  const linger reset{1, 0};
  ::setsockopt(peer, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  const timeval patience{30, 0};
  ::setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size =
        dice.chance(80) ? bytes.size() - at : dice.between(1, bytes.size() - at);
    if (::send(peer, bytes.data() + at, size, MSG_NOSIGNAL) < 0) break;
    at += size;
  }
  ::shutdown(peer, SHUT_WR);
  std::string answers;
  char buffer[16 * 1024];
  ssize_t got = 0;
  while ((got = ::recv(peer, buffer, sizeof buffer, 0)) > 0)
    answers.append(buffer, static_cast<std::size_t>(got));
  const bool timed_out = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  ::close(peer);
  CHECK_MESSAGE(!timed_out, bytes);
  return answers;
}

struct Answer {
  int status = 0;
  std::string body;
};

/// The next answer of `text`, which is removed from it. @return nothing: it is not one
std::optional<Answer> take_answer(std::string& text, bool is_head) {
  const auto end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return std::nullopt;
  const std::string head = text.substr(0, end + 2);
  Answer answer;
  if (std::from_chars(head.data() + 9, head.data() + 12, answer.status).ec != std::errc{})
    return std::nullopt;
  text.erase(0, end + 4);
  if (answer.status == 100) return take_answer(text, is_head);
  const std::string name = "\r\nContent-Length: ";
  const auto field = head.find(name);
  std::size_t length = 0;
  if (field != std::string::npos) {
    const char* begin = head.data() + field + name.size();
    std::from_chars(begin, head.data() + head.size(), length);
  } else if (answer.status != 204) {
    return std::nullopt;
  }
  if (is_head) return answer;
  if (text.size() < length) return std::nullopt;
  answer.body = text.substr(0, length);
  text.erase(0, length);
  return answer;
}

bool is_expected(int status) {
  for (const int one :
       {200, 201, 202, 204, 400, 403, 404, 405, 409, 413, 415, 421, 422, 431, 501, 503, 505})
    if (status == one) return true;
  return false;
}

/// @return what is wrong with the answers to these requests; empty: nothing
std::string judged(const std::vector<HostileRequest>& requests, std::string answers) {
  for (const auto& request : requests) {
    if (request.framing == Framing::unknown) break;
    const auto answer = take_answer(answers, request.is_head);
    if (!answer) return "no answer to: " + request.bytes + "\nrest: " + answers;
    const bool is_right = request.status == 0 || answer->status == request.status;
    if (!is_right) return std::to_string(answer->status) + " to: " + request.bytes + answer->body;
    const bool is_own = request.is_head || answer->body.find(request.nonce) != std::string::npos;
    if (!is_own) return "another's answer to: " + request.bytes + "\n" + answer->body;
    if (request.framing == Framing::sound) continue;
    const bool is_refusal = answer->status == 400 || answer->status == 501;
    if (!is_refusal) return std::to_string(answer->status) + " to: " + request.bytes;
    return answers.empty() ? "" : "after the refusal of " + request.bytes + " came " + answers;
  }
  // After damage anything may be answered, but well.
  while (!answers.empty()) {
    const auto end = answers.find("\r\n\r\n");
    const bool is_head =
        end != std::string::npos &&
        (end + 4 == answers.size() || answers.compare(end + 4, 9, "HTTP/1.1 ") == 0);
    const auto answer = take_answer(answers, is_head);
    if (!answer) return "not an answer: " + answers;
    if (!is_expected(answer->status)) return "status " + std::to_string(answer->status);
  }
  return "";
}

std::size_t request_count() {
  return std::getenv("BACKSTITCH_SANITIZED") != nullptr ? 100'000 : 10'000;
}

}  // namespace

TEST_CASE("hostile requests get well-formed answers, each its own, and never a failure") {
  Listener listener;
  constexpr std::uint64_t seed = 17;
  Dice dice(seed);
  RequestGrammar grammar(dice);
  std::size_t sent = 0;
  while (sent < request_count()) {
    std::vector<HostileRequest> requests;
    std::string bytes;
    for (std::size_t i = dice.between(1, 6); i > 0; --i) {
      requests.push_back(grammar.next());
      bytes += requests.back().bytes;
    }
    sent += requests.size();
    const std::string flaw = judged(requests, exchange(listener.port, bytes, dice));
    REQUIRE_MESSAGE(flaw.empty(), flaw);
  }
  CHECK(listener.failures.count == 0);
}

TEST_CASE("who waits while the database does not answer is told that the outcome is not known") {
  Listener listener(Duration{50});
  Dice dice(1);
  const auto send = [&](const std::string& line, const std::string& body) {
    std::string answers =
        exchange(listener.port,
                 line +
                     " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                     "Idempotency-Key: k-1\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body,
                 dice);
    const auto answer = take_answer(answers, false);
    REQUIRE(answer);
    CHECK(answers.empty());
    return *answer;
  };
  // While the database answers, a busy machine may be late, too.
  const auto settled = [&](const std::string& line, const std::string& body) {
    int status = 503;
    for (int i = 0; i < 1'000 && status == 503; ++i) status = send(line, body).status;
    return status;
  };
  const std::string definition =
      R"({"dsl":1,"name":"t.waits","version":1,"timeout":"30d","steps":[{"name":"w","wait":{"signal":"go","timeout":"20d"}}]})";
  REQUIRE(settled("POST /v1/definitions", definition) < 300);
  listener.silent.set_silent(true);
  const auto late = send("POST /v1/sagas", R"({"definition":"t.waits","input":{}})");
  CHECK(late.status == 503);
  CHECK(late.body.find("outcome-unknown") != std::string::npos);
  listener.silent.set_silent(false);
  // It was done after all, and its key says so.
  CHECK(settled("POST /v1/sagas", R"({"definition":"t.waits","input":{}})") == 200);
}

}  // namespace backstitch::test
