#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "guard.hpp"
#include "participants.hpp"

namespace backstitch::examples {

/// What a service has seen since the program started.
struct Counters {
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bench{0};      ///< of those, to the benchmark's endpoints
  std::atomic<std::uint64_t> disturbed{0};  ///< of those, by a fault
};

/// One service: its keys, and how its requests are worked on.
/// Threads: any for the Handler's part; `restore`, `resume` and `clear` under the owner's lock.
class Service final : public Handler {
 public:
  Service(std::string_view name, Participants& all) : name_(name), all_(all) {}

  Admission admit(const Request& request) override;
  void answer(const Request& request, const Admission& admission, Reply& reply) override;

  /// Takes in one entry of a ledger file; after the last, `resume` goes on with what is owed.
  void restore(const Entry& entry);
  void resume();
  void clear();

  std::string_view name() const { return name_; }
  const Counters& counters() const { return counters_; }

 private:
  using Fault = std::shared_ptr<const FaultRule>;

  void answer_bench(const Request& request, const FaultRule* fault, Reply& reply);
  void answer_business(const Request& request, const FaultRule* fault, Reply& reply);
  void query(const Route& route, const Call& call, const FaultRule* fault, Reply& reply) const;
  void act(const Route& route, const Call& call, const FaultRule* fault, Reply& reply);
  void undo(const Request& request, const FaultRule* fault, Reply& reply);
  void probe(const Route& route, const Call& call, const FaultRule* fault, Reply& reply);
  void refuse(const FaultRule& fault, Reply& reply) const;

  Answer accept(const Route& route, const Call& call, Entry entry, const std::string& decision);
  void decide_later(const Route& route, const Entry& accepted);
  void decide(const Route& route, const Entry& accepted, const Fault& fault);
  void tell(const Entry& decided, const std::string& url, std::chrono::milliseconds wait,
            int attempts_left);

  Entry entry_of(const Request& request, std::string subject) const;
  void record(Entry entry, Effect effect, const Answer& answer);
  void take_effect(Entry entry, const Route& route, Answer answer);
  void refuse_for_good(Entry entry, Answer answer);

  const std::string_view name_;
  Participants& all_;
  KeyGuard guard_;
  Things things_;
  std::map<std::string, Entry> owed_;     ///< while restoring: accepted, and the caller not told
  std::map<std::string, Entry> decided_;  ///< while restoring: of those, the decision
  std::uint64_t generation_ = 0;          ///< goes up when all is forgotten
  Counters counters_;
};

}  // namespace backstitch::examples
