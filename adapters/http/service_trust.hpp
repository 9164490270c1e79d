#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include <backstitch/base/time.hpp>
#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::http {

/// Whether connections to one place may carry more than one call. A participant that sends bytes
/// that no call had asked for loses that for a while on the whole node: once such bytes have
/// arrived behind a request, they cannot be told from its answer. Threads: any.
class ServiceTrust {
 public:
  static constexpr Duration distrusted_for{600'000};

  bool is_distrusted(engine::SteadyTime now) const;
  /// Unrequested bytes came: tells every watcher.
  /// @return whether the place was trusted until now
  bool distrust(engine::SteadyTime now);
  /// `on_distrust` is called on any thread.
  void watch(std::function<void()> on_distrust);

 private:
  std::atomic<std::int64_t> until_ms_{INT64_MIN};  ///< on the steady clock
  std::mutex mutex_;
  std::vector<std::function<void()>> watchers_;
};

}  // namespace backstitch::http
