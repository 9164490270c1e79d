#pragma once
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace backstitch::simulation {

/// What a saga's log says of its status, read without the engine: only the names of events, their
/// paths and the few members that matter here.
class StatusFold {
 public:
  void event(const std::string& type, const std::string& path, const std::string& data);
  void row(const std::string& status) { row_ = status; }

  const std::string& status() const { return status_; }
  const std::string& definition() const { return definition_; }
  const std::string& row() const { return row_; }
  std::size_t events() const { return events_; }
  bool ended() const {
    return status_ == "COMPLETED" || status_ == "FAILED" || status_ == "FAILED_INCOMPLETE";
  }
  bool has_been(const std::string& status) const { return statuses_.count(status) > 0; }
  /// Readers may have seen what the store has forgotten.
  void remember(const StatusFold& forgotten) {
    statuses_.insert(forgotten.statuses_.begin(), forgotten.statuses_.end());
  }
  /// Empty: no event came that an ended saga may not have.
  const std::string& after_end() const { return after_end_; }

 private:
  void fold(const std::string& type, const std::string& path, const std::string& data);

  std::string status_;
  std::string definition_;
  std::string row_ = "RUNNING";
  std::string after_end_;
  std::size_t events_ = 0;
  std::set<std::string> statuses_;
  std::vector<std::pair<std::string, std::string>> suspensions_;  ///< step, where it goes back to
};

}  // namespace backstitch::simulation
