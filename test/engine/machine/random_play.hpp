#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../../support/dice.hpp"
#include "../../support/observed.hpp"
#include "../../support/random_definition.hpp"
#include "play.hpp"
#include "random_participants.hpp"
#include "tried_commands.hpp"
#include "watched_calls.hpp"

namespace backstitch::test {

/// Plays a saga to its end: participants answer in random order, time passes, signals come,
/// somebody cancels, nodes are lost. What is seen of it from outside is written down.
class RandomPlay {
 public:
  /// @param is_set_back  whoever takes the saga over works on a store that has lost something
  RandomPlay(const RandomDefinition& random, std::uint64_t seed, bool is_set_back = false);
  /// Why it went wrong, as far as that is seen without knowing what blocks mean: it stands still,
  /// never ends, or ends with an effect that should not be there. Empty: it did not.
  std::string run();
  const std::vector<Observed>& seen() const { return seen_; }
  const dsl::Definition& definition() const { return *play_.program.definition; }

 private:
  struct UnderWay {
    engine::CallParticipant call;
    bool queued = false;  ///< it has not left the node's own queue
  };
  void withdraw();
  void try_commands();
  bool over() const;
  void act();
  void answer();
  void wake();
  void signal();
  bool may_take_over() const;
  void take_over();
  bool interfere();
  void operate();
  void operate_at(const engine::Suspension& suspension);
  engine::Resolve resolution_of(const engine::Suspension& suspension);
  bool is_suspended() const;
  void command(const engine::StimulusBody& body);
  void on(engine::StimulusBody body);
  void play(engine::StimulusBody body);
  void take_in();
  std::size_t ends_of_steps(std::ptrdiff_t first) const;
  const dsl::Wait* only_wait(const std::string& path) const;
  void look_at_kept_signals();
  void note_dropped(const engine::SignalDropped& event);
  void look_at_size(const engine::Event& event);
  void note(const engine::Event& event);
  void note_stop(Observed::What what);
  void note_end(const engine::SagaEnded& event);
  void note_success(const engine::StepSucceeded& event);
  void spend(const engine::CallParticipant& call);
  void give_back(const engine::CallParticipant& call);
  void note_giving_up(const engine::StepFailed& event, const dsl::Step& step);
  void note_suspension(const engine::Suspension& suspension);
  void note_failure(const engine::StepFailed& event);
  Latitude latitude(const std::string& path) const;
  std::string wrong_at_the_end() const;

  Play play_;
  Dice dice_;
  RandomParticipants participants_;
  std::vector<UnderWay> under_way_;
  std::set<std::string> left_;  ///< steps of which a call left the queue, or may have
  /// Attempts that have left the queue or still may, since the call has its budget.
  std::map<std::pair<std::string, engine::Phase>, std::uint32_t> spent_;
  WatchedCalls calls_;
  std::string wrong_actions_;         ///< the first command that is not as it is listed
  std::string wrong_call_;            ///< the first one, or a step given up too soon
  std::string unsent_unknown_;        ///< a step that is unknown without that
  std::vector<std::string> signals_;  ///< that some wait listens to
  std::vector<Observed> seen_;
  std::size_t cancels_at_ = 0;  ///< the action that is a cancel; 0: none
  std::size_t take_overs_left_ = 0;
  std::size_t operator_acts_left_ = 0;
  bool dies_often_ = false;  ///< nodes are lost after one answer each
  bool meddles_ = false;     ///< an operator sends waiting attempts now, or suspends the saga there
  std::size_t take_overs_in_a_row_ = 0;  ///< since an answer was taken
  bool taken_over_ = false;
  const bool is_set_back_;
  std::int64_t lineage_ = 1;
  /// Steps of which a call found the queue full, or was in flight for hours.
  std::set<std::string> out_of_time_;
  std::size_t actions_ = 0;
  std::size_t commands_ = 0;
};

}  // namespace backstitch::test
