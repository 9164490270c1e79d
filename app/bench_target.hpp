#pragma once
/// What `backstitch bench` loads: a server by its REST API, or an engine inside the same process.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/client/client.hpp>
#include <backstitch/engine/runtime/engine.hpp>

namespace backstitch::app {

/// Threads: every member may be called from any thread, and blocks.
class BenchTarget {
 public:
  /// Runs one saga to its end. @return whether it was taken
  using Single = std::function<bool()>;

  virtual ~BenchTarget() = default;
  virtual Result<Done> put_service(const std::string& name, const Json& service) = 0;
  virtual Result<Done> register_definition(const Json& definition) = 0;
  /// The engine's totals by their metric names, without the prefix.
  virtual Result<std::map<std::string, double>> counters() = 0;
  /// Starts `count` sagas together. @return how many were taken
  virtual std::size_t start(const std::string& definition, std::size_t count) = 0;
  /// For use by one thread, with a connection of its own where there are connections.
  virtual Single single(const std::string& definition) = 0;
};

/// A running server, loaded through the batch call. Single sagas go over a plain kept connection:
/// the typed client adds a quarter of a millisecond of its own, which is not the engine's.
std::unique_ptr<BenchTarget> rest_target(const client::Options& options);
/// Several nodes that share the load.
/// @pre there is one at least
std::unique_ptr<BenchTarget> nodes_target(std::vector<std::unique_ptr<BenchTarget>> nodes);
/// An engine of this process; it must outlive the target.
std::unique_ptr<BenchTarget> embedded_target(engine::Engine& engine);

}  // namespace backstitch::app
