// Names that lookups of hang, that move, or that have several addresses.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "client.hpp"
#include "node_state.hpp"

namespace backstitch::hostile {
namespace {

using boost::asio::ip::make_address;
using http::Lookup;
using http::Resolver;

/// The name server of a test. Threads: any.
class Names {
 public:
  ~Names() { release_all(); }

  void set(const std::string& host, const std::vector<std::string>& addresses) {
    Lookup lookup;
    for (const auto& text : addresses) lookup.addresses.push_back(make_address(text));
    if (addresses.empty()) lookup = {.failure = "no such name"};
    set(host, lookup);
  }
  void set(const std::string& host, const Lookup& lookup) {
    const std::lock_guard lock(shared_->mutex);
    shared_->answers[host] = lookup;
  }
  void hang(const std::string& host) {
    const std::lock_guard lock(shared_->mutex);
    shared_->hanging.insert(host);
  }
  void release_all() {
    const std::lock_guard lock(shared_->mutex);
    shared_->hanging.clear();
    shared_->changed.notify_all();
  }
  void pass(Duration time) {
    const std::lock_guard lock(shared_->mutex);
    shared_->now += time;
  }
  /// Lookups that have begun, of all names with this prefix.
  std::size_t begun(const std::string& prefix) const {
    const std::lock_guard lock(shared_->mutex);
    std::size_t count = 0;
    for (const auto& [host, times] : shared_->begun) count += host.starts_with(prefix) ? times : 0;
    return count;
  }
  bool comes_true(const std::function<bool()>& condition) const {
    std::unique_lock lock(shared_->mutex);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (;;) {
      lock.unlock();
      const bool holds = condition();
      lock.lock();
      if (holds || std::chrono::steady_clock::now() > deadline) return holds;
      shared_->changed.wait_for(lock, std::chrono::milliseconds(2));
    }
  }

  Resolver::Options options() const {
    return {[shared = shared_](const std::string& host) { return shared->look_up(host); },
            [shared = shared_] {
              const std::lock_guard lock(shared->mutex);
              return shared->now;
            }};
  }

 private:
  /// Outlives the test, because threads that hang do.
  struct Shared {
    Lookup look_up(const std::string& host) {
      std::unique_lock lock(mutex);
      ++begun[host];
      changed.notify_all();
      changed.wait(lock, [&] { return !hanging.contains(host); });
      return answers[host];
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, Lookup> answers;
    std::map<std::string, std::size_t> begun;
    std::set<std::string> hanging;
    engine::SteadyTime now{std::chrono::hours(1)};
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

/// What a resolver has answered so far. Threads: any.
class Answers {
 public:
  Resolver::Done note(const std::string& host) {
    return [this, host](const Lookup& lookup) {
      const std::lock_guard lock(mutex_);
      all_[host].push_back(lookup);
    };
  }
  std::size_t of(const std::string& host) const {
    const std::lock_guard lock(mutex_);
    const auto found = all_.find(host);
    return found == all_.end() ? 0 : found->second.size();
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Lookup>> all_;
};

TEST_CASE("names whose lookups hang get a quarter of the threads, and others are looked up") {
  Names names;
  names.set("good", {"127.0.0.1"});
  Answers answers;
  Resolver resolver(names.options());
  resolver.resolve("good", nullptr, answers.note("good"));
  REQUIRE(names.comes_true([&] { return answers.of("good") == 1; }));
  for (int i = 0; i < 50; ++i) {
    const std::string host = "slow" + std::to_string(i);
    names.hang(host);
    resolver.resolve(host, nullptr, answers.note(host));
  }
  REQUIRE(names.comes_true([&] { return names.begun("slow") == Resolver::unproven_max; }));
  for (std::size_t i = 2; i < 20; ++i) {
    resolver.resolve("good", nullptr, answers.note("good"));
    CHECK(names.comes_true([&] { return answers.of("good") == i; }));
  }
  CHECK(names.begun("slow") == Resolver::unproven_max);
  names.release_all();
  CHECK(names.comes_true([&] { return answers.of("slow49") == 1; }));
}

TEST_CASE("a name has one lookup in flight, whose answer is everybody's") {
  Names names;
  names.set("one", {"127.0.0.1"});
  names.hang("one");
  Answers answers;
  Resolver resolver(names.options());
  for (int i = 0; i < 5; ++i) resolver.resolve("one", nullptr, answers.note("one"));
  REQUIRE(names.comes_true([&] { return names.begun("one") == 1; }));
  names.release_all();
  CHECK(names.comes_true([&] { return answers.of("one") == 5; }));
  CHECK(names.begun("one") == 1);
}

TEST_CASE("while a lookup hangs the last good addresses serve for five minutes") {
  Names names;
  names.set("one", {"127.0.0.1"});
  Answers answers;
  Resolver resolver(names.options());
  resolver.resolve("one", nullptr, answers.note("one"));
  REQUIRE(names.comes_true([&] { return answers.of("one") == 1; }));
  names.hang("one");
  CHECK_FALSE(resolver.resolve("one", nullptr, answers.note("one")));
  names.pass(Resolver::slow_after);
  const auto good = resolver.resolve("one", nullptr, answers.note("one"));
  REQUIRE(good);
  CHECK(good->front() == make_address("127.0.0.1"));
  names.pass(Resolver::good_for - Resolver::slow_after - Duration{1});
  CHECK(resolver.last_good("one"));
  names.pass(Duration{1});
  CHECK_FALSE(resolver.last_good("one"));
  CHECK_FALSE(resolver.resolve("one", nullptr, answers.note("one")));
}

TEST_CASE("the address that was connected to last is the first to be tried") {
  Names names;
  names.set("two", {"127.0.0.2", "127.0.0.1"});
  std::vector<Lookup> seen;
  Answers answers;
  Resolver resolver(names.options());
  resolver.resolve("two", nullptr, answers.note("two"));
  REQUIRE(names.comes_true([&] { return answers.of("two") == 1; }));
  resolver.prefer("two", make_address("127.0.0.1"));
  const auto good = resolver.last_good("two");
  REQUIRE(good);
  CHECK(good->front() == make_address("127.0.0.1"));
  CHECK(good->size() == 2);
}

TEST_CASE("who has gone is not answered") {
  Names names;
  names.hang("one");
  Answers answers;
  int owner = 0;
  Resolver resolver(names.options());
  resolver.resolve("one", &owner, answers.note("gone"));
  resolver.resolve("one", nullptr, answers.note("here"));
  resolver.forget(&owner);
  names.release_all();
  CHECK(names.comes_true([&] { return answers.of("here") == 1; }));
  CHECK(answers.of("gone") == 0);
}

/// A client that finds its participant under a name.
struct Named {
  explicit Named(Wire wire = Wire::plain, bool allow = true)
      : participant(wire, behave_by_path), client(participant, [&](http::Options& options) {
          options.node = std::make_shared<http::NodeState>(names.options());
          options.egress = std::make_shared<http::EgressPolicy>(http::EgressPolicy::Options{
              .allow_hosts =
                  allow ? std::vector<std::string>{"name.test"} : std::vector<std::string>{}});
        }) {
    client.service().base_url = std::string(wire == Wire::tls ? "https" : "http") +
                                "://name.test:" + std::to_string(participant.port());
    client.service().keep_alive = false;
  }

  Names names;
  Participant participant;
  Client client;
};

TEST_CASE("an address that refuses the connection is followed by the next one") {
  Named named;
  named.names.set("name.test", {"127.0.0.2", "127.0.0.1"});
  CHECK(text_of(named.client.call({"honest"})) == "200");
}

/// Accepts nobody: its queue is full, so that whoever connects waits.
class DeafListener {
 public:
  DeafListener(const char* address, std::uint16_t port) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    ::inet_pton(AF_INET, address, &address_.sin_addr);
    open_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(open_.front(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const auto* bound = reinterpret_cast<const sockaddr*>(&address_);
    REQUIRE(::bind(open_.front(), bound, sizeof address_) == 0);
    REQUIRE(::listen(open_.front(), 0) == 0);
    for (int i = 0; i < 4; ++i) {
      open_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(open_.back(), bound, sizeof address_);
    }
  }
  ~DeafListener() {
    for (const int socket : open_) ::close(socket);
  }
  DeafListener(const DeafListener&) = delete;
  DeafListener& operator=(const DeafListener&) = delete;

 private:
  sockaddr_in address_{};
  std::vector<int> open_;
};

TEST_CASE("an address that does not answer is overtaken by the next one") {
  Named named;
  const DeafListener deaf("127.0.0.2", named.participant.port());
  named.names.set("name.test", {"127.0.0.2", "127.0.0.1"});
  const auto began = std::chrono::steady_clock::now();
  CHECK(text_of(named.client.call({"honest", false, Duration{4'000}})) == "200");
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(250));
}

TEST_CASE("an address that is not public is refused when its turn comes, whatever the name") {
  Named named(Wire::tls, false);
  named.names.set("name.test", {"127.0.0.1"});
  const auto result = named.client.call({"honest"});
  CHECK(text_of(result) == "connect unsent");
  CHECK(std::get<engine::TransportError>(result).message.find("not a public address") !=
        std::string::npos);
  CHECK(named.participant.connections() == 0);
}

TEST_CASE("a name that does not exist is an error of the lookup") {
  Named named;
  named.names.set("name.test", std::vector<std::string>{});
  CHECK(text_of(named.client.call({"honest"})) == "dns unsent");
}

TEST_CASE("a call uses the last good addresses if no name server answers") {
  Named named;
  named.names.set("name.test", {"127.0.0.1"});
  CHECK(text_of(named.client.call({"honest"})) == "200");
  named.names.set("name.test", Lookup{.failure = "try again", .is_temporary = true});
  CHECK(text_of(named.client.call({"honest"})) == "200");
  named.names.hang("name.test");
  CHECK(text_of(named.client.call({"honest"})) == "200");
}

TEST_CASE("a lookup for which this node lacks something is no attempt") {
  Named named;
  named.names.set("name.test", Lookup{.failure = "none left", .lack = engine::Lack::descriptor});
  CHECK(text_of(named.client.call({"honest"})) == "lack descriptors");
}

}  // namespace
}  // namespace backstitch::hostile
