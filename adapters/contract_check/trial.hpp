#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <backstitch/engine/machine/answer.hpp>

#include "inventory.hpp"
#include "world.hpp"

namespace backstitch::contract_check {

/// What came back for one call, and what the engine takes it for.
struct Reply {
  engine::CallResult result;
  engine::AnswerMeaning meaning;
  Flight::Clock::time_point answered_at{};
  bool done() const { return meaning.outcome == dsl::OutcomeClass::success; }
  /// Done, or accepted to be done.
  bool taken() const { return done() || meaning.outcome == dsl::OutcomeClass::pending; }
  bool refused() const { return meaning.outcome == dsl::OutcomeClass::failure; }
  bool timed_out() const;
  /// False: nothing can be concluded from it; the service was not reached, or took too long.
  bool answered() const;
  /// For people: `200 {"id":7}`, `no answer within the attempt's time`.
  std::string text() const;
};

/// Some answers had to be like that, and some were not.
struct Shortfall {
  std::size_t count = 0;
  std::string first;  ///< `409 to PUT /holds/7: it lacks the header …`
};

/// What was seen of the answers to one kind of request of a step, over all its trials.
struct Pace {
  Duration slowest{0};
  Duration allowed{0};
  std::size_t late = 0;   ///< of the check's own calls, those without an answer in time
  std::size_t calls = 0;  ///< of the check's own calls, those that reached the service
  std::size_t answers = 0;
  std::size_t refusals = 0;  ///< of the answers, those with 4xx or 5xx
  Shortfall unmarked{};
  Shortfall stored{};
};

/// What trials have in common and leave behind.
struct Log {
  Report& report;
  Inventory& inventory;
  std::map<std::pair<std::string, RequestKind>, Pace> paces{};
};

/// How a trial differs from an ordinary saga.
struct Setup {
  bool hold_polls = false;
  /// The probe is asked after one unknown attempt instead of after the step's whole retry budget,
  /// and polls follow each other quickly.
  bool hurried = false;
};

/// One saga, led to a step whose calls are held back. Threads: that of the world.
class Trial {
 public:
  Trial(World& world, const Options& options, Log& log, const Place& place, Setup setup);
  /// Lets every held call pass but a pivot that is not to be made, waits for the end of the saga,
  /// and notes what is left if it does not end.
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// @return invalid/INPUT_INVALID and others of a start
  Result<Done> start();

  /// The next call of the step. A pivot that the way to the step does not include is not made: the
  /// saga is taken back instead. @return nothing if the saga came to an end first (see why_not()),
  /// or if `until` became true
  std::optional<HeldCall> next(const std::function<bool()>& until = {});
  std::string why_not();
  /// The step as GET /v1/sagas/{id} shows it; null: it is not there.
  Json step_view();

  /// A call of the check, with the bytes of one that is held.
  Reply send(const HeldCall& held, Way way = Way::whole);
  /// The same, again and again for a little while as the engine would, until there is an answer
  /// that settles it; not after one that did not come in time.
  Reply settle(const HeldCall& held);
  /// The same without waiting for the answer.
  Flight begin(const HeldCall& held, Way way);
  Reply finish(Flight& flight, const HeldCall& held);

  /// Lets the engine have the answer.
  void answer(HeldCall held, engine::CallResult result);
  /// Tells the engine that it does not know: the request may have arrived.
  void answer_unknown(HeldCall held);
  /// From now on the saga goes back. @return false: it is too late for that
  bool take_back();
  /// Something that may still be done at the participants.
  void leave(const std::string& what);

  const Place& place() const { return place_; }
  std::chrono::milliseconds patience() const { return options_.patience; }
  Pace& pace_of(const HeldCall& held);
  static void note_answer(Pace& pace, const HeldCall& held, const Reply& reply);

 private:
  bool over();
  void refuse(HeldCall held);
  void resume();
  bool matches(const engine::Call& call) const;
  bool passes_pivot() const;
  bool is_pivot_to_refuse(const engine::Call& call) const;
  Reply reply_of(const HeldCall& held, engine::CallResult result) const;
  engine::Call next_attempt(const HeldCall& held);

  World& world_;
  const Options& options_;
  Log& log_;
  const Place& place_;
  const Setup setup_;
  SagaId saga_;
  bool started_ = false;
  bool resumed_ = false;   ///< after a suspension that the check has brought about
  std::string passed_by_;  ///< the pivot that was not made
  std::chrono::steady_clock::time_point until_;
  std::optional<std::chrono::steady_clock::time_point> suspended_since_;
  std::map<std::string, std::uint32_t> attempts_;  ///< by key: how often it was sent
};

/// The name of the step that a call belongs to.
std::string step_name_of(const engine::Call& call);

}  // namespace backstitch::contract_check
