#pragma once
/// The inside of the reference player: reference_player.cpp has the saga as a whole and its end,
/// reference_player_blocks.cpp the steps with steps inside, reference_player_calls.cpp the calls,
/// reference_player_names.cpp what expressions see.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reference_participants.hpp"
#include "reference_player.hpp"

namespace backstitch::test {

/// The names seen from a list of steps: those of an iteration or a catch, then those around it.
struct PlayedFrame {
  std::shared_ptr<const PlayedFrame> outer;
  std::map<std::string, Json, std::less<>> variables;
  std::map<std::string, Json, std::less<>> steps;  ///< `steps.<name>`
  std::optional<Json> failure;
};

/// Names of one field only; nullptr: not there.
struct PlayedNames {
  const Json* self = nullptr;
  const Json* response = nullptr;
  const Json* signal = nullptr;
};

struct PlayedFailure {
  std::string code;
  std::string failure_class;  ///< failure, unknown, transient, timeout, cancelled
  std::string step;
  Json details;
  bool is_stop = false;    ///< cancellation, the deadline, a failed branch beside: never caught
  bool by_itself = false;  ///< an expression or a limit, not an answer
};
using Outcome = std::optional<PlayedFailure>;

/// The play ends here: a person is needed.
struct PlayedSuspension {
  std::string step;
  std::string code;
};

/// Where a list of steps is: its frame, the path before its names, and the iterations around it.
struct PlayedPlace {
  std::shared_ptr<PlayedFrame> frame;
  std::string path;       ///< `reserve-flight-`
  std::string iteration;  ///< `[1]`
};

/// A call that took effect or may have.
struct PlayedDeed {
  const class SagaPlayer* player = nullptr;
  const Json* step = nullptr;
  PlayedPlace place;
  std::string key;
  bool known_done = false;
  bool has_effect = false;
  Json output;
  Json captured;
};

/// How often and how long a call is tried.
struct PlayedPolicy {
  std::size_t attempts = 4;  ///< 0: unlimited
  Duration delay{500};
  double factor = 2;
  Duration delay_max{30'000};
  std::optional<Duration> elapsed_max;
  bool retries_unknown = true;
  bool retries_transient = true;
};

/// What a saga and its children share.
struct PlayedWorld {
  PlayedWorld(std::uint64_t seed, const PlayedChildren& known);

  ReferenceParticipants participants;
  const PlayedChildren& children;
  TimePoint now;
  std::optional<Duration> cancelled_after;
  std::set<std::string> wrong;
  std::set<std::string> reached;
  std::set<std::string> of_handlers;  ///< steps whose effects are meant to stay
  std::vector<PlayedDeed> deeds;      ///< that stand, in the order in which they were done
  bool incomplete = false;
  std::vector<std::shared_ptr<class SagaPlayer>> players;  ///< deeds refer to them
};

class SagaPlayer {
 public:
  SagaPlayer(PlayedWorld& world, const Json& definition, Json input, std::string root,
             SagaPlayer* parent);

  /// A player that lives as long as the world.
  static SagaPlayer& begin(PlayedWorld& world, const Json& definition, const Json& input,
                           const std::string& root, SagaPlayer* parent);
  /// Forward to the end, or back. Throws PlayedSuspension.
  Outcome run();
  Json output;

 private:
  // reference_player.cpp
  void run_handlers(const PlayedFailure& failure);
  void undo_to(std::size_t mark, const PlayedFailure& failure);
  void undo(const PlayedDeed& deed, const PlayedFailure& failure) const;
  bool undo_is_wanted(const PlayedDeed& deed, const Json& undo, const PlayedFrame& frame,
                      const Json& self) const;
  Outcome stopped() const;
  bool went_forward_only() const;

  // reference_player_blocks.cpp
  Outcome steps(const Json& list, const PlayedPlace& place);
  Outcome step(const Json& step, const PlayedPlace& place);
  Outcome body(const Json& step, const PlayedPlace& place);
  Outcome parallel(const Json& step, const PlayedPlace& place);
  Outcome choice(const Json& step, const PlayedPlace& place);
  Outcome loop(const Json& step, const PlayedPlace& place);
  Outcome iterations(const Json& step, const PlayedPlace& place, const Json& items, Json& yields);
  Outcome attempt(const Json& step, const PlayedPlace& place);
  Outcome caught(const Json& step, const PlayedPlace& place, const PlayedFailure& failure);
  bool catches(const Json& one, const PlayedFrame& frame, const PlayedFailure& failure) const;
  Outcome child(const Json& step, const PlayedPlace& place);
  Outcome sleep(const Json& step, const PlayedPlace& place);
  Outcome wait(const Json& step, const PlayedPlace& place);
  std::optional<Json> signal_for(const Json& how, const std::string& name,
                                 const PlayedFrame& frame) const;
  Outcome finish(const Json& step, const PlayedPlace& place, const Json* source);

  // reference_player_calls.cpp
  struct Calling;
  Outcome action(const Json& step, const PlayedPlace& place);
  std::string attempts(Calling& calling);
  std::string meaning(const Calling& calling, const PlayedAnswer& answer,
                      const std::string& column) const;
  std::string completed_later(Calling& calling);
  std::string probed(Calling& calling);
  Outcome done(const Calling& calling);
  static std::string failure_code(const Calling& calling);
  Outcome not_done(const Calling& calling, const std::string& how);
  bool can_be_rendered(const Calling& calling) const;
  PlayedCall call_of(const Calling& calling, const std::string& column, const Json& request) const;
  const Json& service_of(const Json& request, const Json& action) const;
  PlayedPolicy policy_of(const std::vector<const Json*>& sources, PlayedPolicy policy) const;
  Duration attempt_timeout(const Json& step) const;
  void set_pivot_sent(bool sent);

  // reference_player_names.cpp
  friend class PlayedScope;
  std::optional<Json> render(const Json& source, const PlayedFrame& frame,
                             const PlayedNames& names = {}) const;
  /// Nothing: it cannot be evaluated, or gives no boolean.
  std::optional<bool> holds(const Json& source, const PlayedFrame& frame,
                            const PlayedNames& names = {}) const;
  bool renders_request(const Json& request, const PlayedFrame& frame,
                       const PlayedNames& names) const;
  std::optional<Duration> duration(const Json& source, const PlayedFrame& frame) const;
  PlayedFailure broken(const Json& step, const std::string& code = "EXPRESSION_FAILED") const;

  PlayedWorld& world_;
  const Json& definition_;
  Json input_;
  Json saga_;
  std::string root_;
  SagaPlayer* parent_;
  std::shared_ptr<PlayedFrame> frame_;
  TimePoint deadline_;
  bool pivot_sent_ = false;
  bool pivot_passed_ = false;
  bool in_handler_ = false;
  /// In a block of which a branch has failed: how many steps may still begin.
  std::optional<int> steps_left_;
};

/// `hold` of `hold[1]`.
std::string without_iteration(const std::string& step);
/// What a step of a definition does about its effect, `compensation` and method considered.
std::string kind_of(const Json& step);
std::string method_of(const Json& request);
Json failure_to_json(const PlayedFailure& failure);

}  // namespace backstitch::test
