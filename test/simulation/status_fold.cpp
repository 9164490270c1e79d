#include "status_fold.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace backstitch::simulation {

void StatusFold::event(const std::string& type, const std::string& path, const std::string& data) {
  fold(type, path, data);
  statuses_.insert(status_);
}

void StatusFold::fold(const std::string& type, const std::string& path, const std::string& data) {
  ++events_;
  // A callback that came too late is put on record whenever it comes.
  if (ended() && type != "SagaReopened" && type != "CallbackRefused")
    after_end_ = type + " after " + status_;
  const auto member = [&](const char* name) {
    return nlohmann::json::parse(data).value(name, std::string{});
  };
  if (type == "SagaStarted") {
    status_ = "RUNNING";
    definition_ = member("definition");
  }
  if (type == "CompensationStarted" || type == "SagaReopened") status_ = "COMPENSATING";
  if (type == "SagaEnded") status_ = member("status");
  if (type == "SagaSuspended") {
    std::erase_if(suspensions_, [&](const auto& one) { return one.first == path; });
    suspensions_.emplace_back(path, member("from"));
    status_ = "SUSPENDED";
  }
  if (type == "OperatorActed" && member("action") != "retry-child") {
    const auto found = std::find_if(suspensions_.begin(), suspensions_.end(),
                                    [&](const auto& one) { return one.first == path; });
    if (found == suspensions_.end()) return;
    const std::string from = found->second;
    suspensions_.erase(found);
    if (suspensions_.empty()) status_ = from;
  }
}

}  // namespace backstitch::simulation
