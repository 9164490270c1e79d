#include "participants.hpp"

#include "service.hpp"

namespace backstitch::examples {

Participants::Participants(const Business& business, std::chrono::milliseconds decision_delay)
    : business_(business), decision_delay_(decision_delay) {
  for (const ServiceInfo& service : business.services) {
    services_.push_back(std::make_unique<Service>(service.name, *this));
  }
}

Participants::~Participants() = default;

std::optional<std::string> Participants::open_ledger(const std::string& file) {
  const std::lock_guard lock(mutex_);
  if (auto wrong = ledger_.open(file)) return wrong;
  for (const Entry& entry : ledger_.entries()) {
    for (const auto& service : services_) {
      if (service->name() == entry.service) service->restore(entry);
    }
  }
  for (const auto& service : services_) service->resume();
  return std::nullopt;
}

Handler& Participants::handler(std::size_t index) {
  return *services_.at(index);
}

const Counters& Participants::counters(std::size_t index) const {
  return services_.at(index)->counters();
}

std::vector<Entry> Participants::entries() const {
  const std::lock_guard lock(mutex_);
  return {ledger_.entries().begin(), ledger_.entries().end()};
}

void Participants::clear() {
  const std::lock_guard lock(mutex_);
  ledger_.clear();
  for (const auto& service : services_) service->clear();
}

}  // namespace backstitch::examples
