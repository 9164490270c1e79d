#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include <backstitch/base/time.hpp>
#include <backstitch/engine/machine/stimulus.hpp>
#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::http {

using Addresses = std::vector<boost::asio::ip::address>;

struct Lookup {
  Addresses addresses;        ///< empty: the lookup failed
  std::string failure;        ///< why
  bool is_temporary = false;  ///< no name server has answered
  std::optional<engine::Lack> lack;
};

/// Looks up the addresses of names on a few threads of its own, because a lookup blocks. One
/// instance a process. Each name has one lookup in flight at most, and all that want the name wait
/// for it. A name whose last lookup was slow, or that has not been looked up yet, gets a quarter of
/// the threads: however many such names hang, others are looked up. While a lookup hangs, the
/// addresses of the last good one serve for `good_for`.
///
/// Threads: any. Lifetime: lookups that hang are left to end by themselves; the destructor does not
/// wait for them.
class Resolver {
 public:
  static constexpr std::size_t threads_max = 8;
  static constexpr std::size_t unproven_max = threads_max / 4;
  static constexpr std::size_t names_max = 4'096;
  /// A lookup that takes longer hangs.
  static constexpr Duration slow_after{1'000};
  static constexpr Duration good_for{300'000};

  struct Options {
    /// Blocks until the name server has answered. Any thread, several at a time.
    std::function<Lookup(const std::string& host)> look_up;
    std::function<engine::SteadyTime()> now;
  };
  /// Asks the system's resolver.
  Resolver();
  explicit Resolver(Options options);
  ~Resolver();

  using Done = std::function<void(const Lookup&)>;
  /// `done` is called on a thread of the resolver, with a lock held: it must post and nothing else.
  /// @return the last good addresses if a lookup of this name hangs already: `done` is not called
  std::optional<Addresses> resolve(const std::string& host, const void* owner, Done done);
  /// Nothing if the last good lookup is longer ago than `good_for`.
  std::optional<Addresses> last_good(const std::string& host) const;
  /// A connection to this address came about: it is to be tried first.
  void prefer(const std::string& host, const boost::asio::ip::address& address);
  /// No `done` of this owner is called any more.
  void forget(const void* owner);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace backstitch::http
