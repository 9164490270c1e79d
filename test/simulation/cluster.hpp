#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "process.hpp"

namespace backstitch::simulation {

/// The nodes: places where one process after the other runs, and what befalls them.
class Cluster {
 public:
  Cluster(Scene& scene, Database& database, Network& network);

  void begin();
  /// Faults are over: everything that is needed runs again, and goes on running.
  void heal();
  /// A running process, as a load balancer picks one; nullptr: there is none.
  Process* any();
  std::size_t running() const;

 private:
  struct Place {
    std::string name;
    std::size_t shards_max = 256;
    std::unique_ptr<Process> process;
    bool abandoned = false;  ///< never comes back
  };

  /// Does `what` at random times, `every` on the average, while there are faults.
  void now_and_then(Duration every, std::function<void()> what);
  void boot(Place& place);
  void bury(Place& place);
  void kill();
  void pause();
  void stop();
  void come_back_later(Place& place);
  Place* pick(const std::function<bool(const Place&)>& wanted);

  Scene& scene_;
  Database& database_;
  Network& network_;
  std::vector<std::unique_ptr<Place>> places_;
  std::vector<std::shared_ptr<NodePorts>> left_behind_;
  std::size_t processes_ = 0;
};

}  // namespace backstitch::simulation
