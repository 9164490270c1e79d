#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/contract_check/contract_check.hpp>
#include <backstitch/engine/machine/machine.hpp>

#include "route.hpp"

namespace backstitch::contract_check {

/// What a scenario found out about one promise.
struct Judgement {
  Standing standing = Standing::not_checked;
  std::string expected;
  std::string text;  ///< what came, or why nothing can be said

  static Judgement kept(std::string seen = {}) { return {Standing::kept, {}, std::move(seen)}; }
  static Judgement broken(std::string expected, std::string came) {
    return {Standing::broken, std::move(expected), std::move(came)};
  }
  static Judgement not_checked(std::string why) {
    return {Standing::not_checked, {}, std::move(why)};
  }
};

/// The pairs of a request and a promise that a definition relies on: the one list from which the
/// scenarios are chosen and the report is made. A pair is in it from the beginning as not checked,
/// so that no pair can be missing from the report; only a scenario's judgement changes that.
class Inventory {
 public:
  explicit Inventory(const engine::Program& program);

  const std::vector<Place>& places() const { return places_; }
  const std::vector<Finding>& findings() const { return findings_; }

  /// All steps that make requests, for a message.
  std::string step_names() const;

  /// Marks the pairs of a step as not to be checked because an option says so.
  void leave_out(const std::string& step, const std::string& option, const std::string& reason);
  /// @return nothing, or invalid/accept-unknown, which names the pairs that there are
  Result<Done> accept(const Accepted& accepted);

  /// Whether a pair is in the list, and neither left out nor judged.
  bool is_wanted(const std::string& step, Promise promise) const;
  /// Whether a pair of the step is neither left out nor judged.
  bool is_any_open(const std::string& step) const;
  bool has(const std::string& step, Promise promise) const;
  /// A judgement of a pair that is not in the list is dropped: nothing relies on it. Broken wins
  /// over an earlier judgement; else the first counts.
  void settle(const std::string& step, Promise promise, Judgement judgement);
  /// Of a promise that several kinds of request of a step have.
  void settle(const std::string& step, RequestKind request, Promise promise, Judgement judgement);
  /// Gives the pairs of a step, or of one of its requests, that have no judgement this reason.
  void leave_unchecked(const std::string& step, const std::string& reason);
  void leave_unchecked(const std::string& step, RequestKind request, const std::string& reason);

 private:
  struct Entry {
    bool left_out = false;
    bool judged = false;
  };

  void add(const Place& place, RequestKind request, const std::vector<Promise>& promises);
  void add_action(const Place& place, const engine::Program& program);
  void add_undo(const Place& place, const engine::Program& program);
  void settle_at(std::size_t index, Judgement judgement);
  std::string promises_of(const std::string& step) const;

  std::vector<Place> places_;
  std::vector<Finding> findings_;
  std::vector<Entry> entries_;  ///< of the finding with the same index
};

}  // namespace backstitch::contract_check
