#include "resolver.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

#include "lack.hpp"

namespace backstitch::http {
namespace {

namespace net = boost::asio;
using engine::SteadyTime;

std::optional<engine::Lack> lack_of_lookup(int failed, int system_error) {
  if (failed == EAI_MEMORY) return engine::Lack::memory;
  if (failed == EAI_SYSTEM) {
    const boost::system::error_code error(system_error, boost::system::system_category());
    if (const auto lack = lack_of(error)) return lack;
  }
  // The C library reports most of what it lacks as a name that is not known.
  if (is_without_descriptors()) return engine::Lack::descriptor;
  return std::nullopt;
}

Addresses addresses_of(const addrinfo* list) {
  Addresses all;
  for (const auto* one = list; one != nullptr; one = one->ai_next) {
    net::ip::tcp::endpoint endpoint;
    if (one->ai_addrlen > endpoint.capacity()) continue;
    endpoint.resize(one->ai_addrlen);
    std::memcpy(endpoint.data(), one->ai_addr, one->ai_addrlen);
    if (std::find(all.begin(), all.end(), endpoint.address()) == all.end())
      all.push_back(endpoint.address());
  }
  return all;
}

Lookup ask_system(const std::string& host) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  errno = 0;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &wanted, &list);
  const int system_error = errno;
  if (failed != 0) {
    Lookup lookup{.failure = ::gai_strerror(failed),
                  .is_temporary = failed == EAI_AGAIN,
                  .lack = lack_of_lookup(failed, system_error)};
    if (lookup.lack) lookup.failure = "this node has no file descriptor or memory to look it up";
    return lookup;
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(list, &::freeaddrinfo);
  Lookup lookup{.addresses = addresses_of(list)};
  if (lookup.addresses.empty()) lookup.failure = "the name has no address";
  return lookup;
}

}  // namespace

struct Resolver::State {
  struct Waiter {
    const void* owner;
    Done done;
  };
  struct Name {
    bool in_flight = false;
    bool is_proven = false;  ///< its last lookup was quick
    SteadyTime began{};      ///< of the lookup in flight
    std::vector<Waiter> waiters;
    Addresses good;
    SteadyTime good_at{};
    std::optional<net::ip::address> preferred;
  };
  struct Job {
    std::string host;
    bool is_proven;
  };

  explicit State(Options given) : options(std::move(given)) {}

  bool hangs(const Name& name) const {
    return name.in_flight && options.now() - name.began >= slow_after;
  }

  std::optional<Addresses> good_of(const Name& name) const {
    if (name.good.empty() || options.now() - name.good_at >= good_for) return std::nullopt;
    return preferred_first(name, name.good);
  }

  static Addresses preferred_first(const Name& name, Addresses all) {
    if (name.preferred) {
      const auto found = std::find(all.begin(), all.end(), *name.preferred);
      if (found != all.end()) std::rotate(all.begin(), found, found + 1);
    }
    return all;
  }

  /// Of the names that wait, those that may be looked up now.
  std::size_t jobs() const {
    return proven.size() + std::min(unproven.size(), unproven_max - unproven_in_flight);
  }

  /// @pre jobs() > 0
  Job take_job() {
    const bool is_proven = unproven.empty() || unproven_in_flight >= unproven_max;
    auto& queue = is_proven ? proven : unproven;
    Job job{std::move(queue.front()), is_proven};
    queue.pop_front();
    if (!is_proven) ++unproven_in_flight;
    return job;
  }

  void finish(const Job& job, const Lookup& lookup) {
    if (!job.is_proven) --unproven_in_flight;
    Name& name = names[job.host];
    name.in_flight = false;
    name.is_proven = options.now() - name.began < slow_after && !lookup.is_temporary;
    if (!lookup.addresses.empty()) {
      name.good = lookup.addresses;
      name.good_at = options.now();
    }
    answer(name, lookup);
  }

  static void answer(Name& name, Lookup lookup) {
    lookup.addresses = preferred_first(name, std::move(lookup.addresses));
    for (const auto& waiter : std::exchange(name.waiters, {})) waiter.done(lookup);
  }

  /// Room for another name: what is forgotten can be looked up again.
  void make_room() {
    if (names.size() < names_max) return;
    std::erase_if(names, [](const auto& entry) {
      return !entry.second.in_flight && !entry.second.is_proven;
    });
    if (names.size() < names_max) return;
    std::erase_if(names, [](const auto& entry) { return !entry.second.in_flight; });
  }

  /// Of all that wait if not even one thread can be made.
  void answer_without_threads() {
    for (auto* queue : {&proven, &unproven}) {
      for (const auto& host : std::exchange(*queue, {})) {
        names[host].in_flight = false;
        answer(names[host], {.failure = "this node cannot make a thread to look it up",
                             .lack = engine::Lack::memory});
      }
    }
  }

  static void add_thread(const std::shared_ptr<State>& state) {
    try {
      std::thread([state] { work(*state); }).detach();
      ++state->threads;
    } catch (const std::system_error&) {
      if (state->threads == 0) state->answer_without_threads();
    }
  }

  static void work(State& state) {
    std::unique_lock lock(state.mutex);
    for (;;) {
      ++state.idle;
      state.changed.wait(lock, [&] { return state.stopping || state.jobs() > 0; });
      --state.idle;
      if (state.stopping) return;
      const Job job = state.take_job();
      lock.unlock();
      const Lookup lookup = state.options.look_up(job.host);
      lock.lock();
      if (!state.stopping) state.finish(job, lookup);
    }
  }

  Options options;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, Name> names;
  std::deque<std::string> proven;  ///< to be looked up
  std::deque<std::string> unproven;
  std::size_t unproven_in_flight = 0;
  std::size_t threads = 0;
  std::size_t idle = 0;  ///< threads
  bool stopping = false;
};

Resolver::Resolver() : Resolver({&ask_system, [] { return std::chrono::steady_clock::now(); }}) {}
Resolver::Resolver(Options options) : state_(std::make_shared<State>(std::move(options))) {}

Resolver::~Resolver() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

std::optional<Addresses> Resolver::resolve(const std::string& host, const void* owner, Done done) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->names.contains(host)) state_->make_room();
  State::Name& name = state_->names[host];
  if (state_->hangs(name)) {
    if (auto good = state_->good_of(name)) return good;
  }
  name.waiters.push_back({owner, std::move(done)});
  if (name.in_flight) return std::nullopt;
  name.in_flight = true;
  name.began = state_->options.now();
  (name.is_proven ? state_->proven : state_->unproven).push_back(host);
  // Each idle thread takes one, also if it has not woken up yet.
  if (state_->idle < state_->jobs() && state_->threads < threads_max) State::add_thread(state_);
  state_->changed.notify_one();
  return std::nullopt;
}

std::optional<Addresses> Resolver::last_good(const std::string& host) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->names.find(host);
  return found == state_->names.end() ? std::nullopt : state_->good_of(found->second);
}

void Resolver::prefer(const std::string& host, const net::ip::address& address) {
  const std::lock_guard lock(state_->mutex);
  if (const auto found = state_->names.find(host); found != state_->names.end())
    found->second.preferred = address;
}

void Resolver::forget(const void* owner) {
  const std::lock_guard lock(state_->mutex);
  for (auto& [host, name] : state_->names)
    std::erase_if(name.waiters, [&](const auto& waiter) { return waiter.owner == owner; });
}

}  // namespace backstitch::http
