#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <backstitch/engine/machine/answer.hpp>

#include "world.hpp"

namespace backstitch::contract_check {

/// What came back for one call, and what the engine takes it for.
struct Reply {
  engine::CallResult result;
  engine::AnswerMeaning meaning;
  Duration took{0};
  bool done() const { return meaning.outcome == dsl::OutcomeClass::success; }
  /// Done, or accepted to be done.
  bool taken() const { return done() || meaning.outcome == dsl::OutcomeClass::pending; }
  bool refused() const { return meaning.outcome == dsl::OutcomeClass::failure; }
  bool timed_out() const;
  /// False: nothing can be concluded from it; it could not be reached, or took too long.
  bool answered() const;
  /// For people: `200 {"id":7}`, `no answer within the attempt's time`.
  std::string text() const;
};

/// How quickly the calls of a step were answered, over all its trials.
struct Pace {
  Duration slowest{0};
  Duration allowed{0};
  std::size_t late = 0;   ///< of our own calls, those without an answer in time
  std::size_t calls = 0;  ///< of our own, those that reached it
};

/// What trials have in common and leave behind.
struct Findings {
  Report& report;
  std::map<std::string, Pace> paces;

  void holds(const std::string& step, Promise promise, std::string seen = {});
  void broken(const std::string& step, Promise promise, std::string expected, std::string came);
  void not_checkable(const std::string& step, Promise promise, std::string why);
  bool knows(const std::string& step, Promise promise) const;
};

/// One saga, run up to some steps whose calls are held back. Threads: that of the world.
class Trial {
 public:
  Trial(World& world, const Options& options, Findings& findings);
  /// Whatever is still held passes; waits for the end of the saga, and notes what is left if there
  /// is none.
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  /// @return invalid/INPUT_INVALID and others of a start
  Result<Done> start(const std::set<std::string>& steps);

  /// The next call of one of the steps. A pivot that none of them is, is not made: the saga is
  /// taken back instead. @return nothing if the saga came to an end first: see why_not()
  std::optional<HeldCall> next();
  std::string why_not();

  /// A call of our own, with the bytes of one that is held.
  Reply send(const HeldCall& held, Way way = Way::whole);
  /// The same, again and again for a little while as the engine would, until there is an answer
  /// that settles it; not after one that did not come in time.
  Reply settle(const HeldCall& held);
  /// Lets the engine have the answer.
  void answer(HeldCall held, engine::CallResult result);
  /// Tells the engine that it does not know: the request may have arrived.
  void answer_unknown(HeldCall held);
  /// From now on the saga goes back. @return false: it is too late for that
  bool take_back();
  /// Something that may still stand at the participants.
  void leave(const std::string& what);

  const dsl::Step& step_of(const HeldCall& held) const;
  static std::string name_of(const HeldCall& held);
  engine::AnswerMeaning meaning_of(const HeldCall& held, const engine::CallResult& result) const;

 private:
  bool over();
  bool matches(const engine::Call& call) const;

  World& world_;
  const Options& options_;
  Findings& findings_;
  std::set<std::string> steps_;
  SagaId saga_;
  bool started_ = false;
  std::string passed_by_;  ///< the pivot that was not made
  std::chrono::steady_clock::time_point until_;
  std::map<std::string, std::uint32_t> attempts_;  ///< by key: how often it was sent
};

}  // namespace backstitch::contract_check
