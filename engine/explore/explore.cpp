#include <backstitch/engine/explore/explore.hpp>

#include <algorithm>
#include <cctype>
#include <tuple>
#include <unordered_set>
#include <utility>

#include <backstitch/engine/machine/text.hpp>

#include "answers.hpp"
#include "arms.hpp"
#include "judge.hpp"
#include "moves.hpp"
#include "positions.hpp"
#include "reach.hpp"

namespace backstitch::engine::explore {
namespace {

constexpr std::uint32_t ask_every = 1'000;
constexpr std::size_t violations_max = 20;
constexpr std::uint32_t no_parent = UINT32_MAX;
/// Ways to take the free conditions of one move; more are left out, and said to be.
constexpr std::size_t scripts_max = 256;

Program with_oracle(Program program, dsl::ConditionOracle& oracle) {
  program.oracle = &oracle;
  return program;
}

/// `loop[3]/pay` and `loop[0]/pay` are one place of the definition: `loop[*]/pay`. A quotation, and
/// what follows it, stays as it is.
std::string in_every_iteration(const std::string& text) {
  const std::size_t quoted = std::min(text.find('`'), text.size());
  std::string out;
  for (std::size_t i = 0; i < quoted; ++i) {
    out += text[i];
    if (text[i] != '[' || i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0)
      continue;
    std::size_t end = i + 1;
    while (end < quoted && std::isdigit(static_cast<unsigned char>(text[end])) != 0) ++end;
    if (end == i + 1 || end == quoted || text[end] != ']') continue;
    out += '*';
    i = end - 1;
  }
  return out + text.substr(quoted);
}

class Explorer {
 public:
  Explorer(const Program& program, const Options& options, const Answers& answers,
           const FreeConditions& free, Coverage& coverage)
      : options_(options),
        answers_(answers),
        positions_(program, answers.failure_read, answers.details_read),
        arms_(free, coverage, positions_.decided),
        program_(with_oracle(program, arms_)),
        judge_(program_, positions_),
        moves_(program_, answers, arms_, positions_, judge_) {}

  /// @return whether every state that was found was gone on from
  bool run() {
    const auto roots = static_cast<std::uint16_t>(answers_.inputs.size());
    for (std::uint16_t root = 0; root < roots; ++root)
      follow_every_arm({MoveKind::begin, Phase::forward, root, 0}, no_parent);
    std::uint32_t at = 0;
    while (at < seen_.size() && goes_on(at)) expand(at++);
    return at == seen_.size();
  }

  Exploration found() {
    out_.states = seen_.size();
    out_.notes.insert(out_.notes.begin(), answers_.notes.begin(), answers_.notes.end());
    out_.unreached = reached_.missing(*program_.definition);
    out_.complete = seen_.size() > 0 && !stopped_ && !cut_ && !answers_.cut &&
                    answers_.inputs_admitted && out_.unreached.empty();
    list_endings();
    return std::move(out_);
  }

 private:
  /// How a position was first come to.
  struct Way {
    std::uint32_t parent = no_parent;
    Move move;
  };

  bool goes_on(std::uint32_t at) {
    const bool full = seen_.size() >= options_.states_max;
    const bool asked = options_.go_on && at % ask_every == 0;
    const Counts counts{seen_.size(), out_.transitions, seen_.size() - at};
    if (full)
      out_.notes.push_back("stopped at the bound of " + std::to_string(options_.states_max) +
                           " states");
    stopped_ = full || (asked && !options_.go_on(counts));
    return !stopped_;
  }

  /// The move, with the free conditions it comes to as they are, and with each of them turned
  /// round.
  /// @return whether it was possible
  bool follow_every_arm(Move move, std::uint32_t at) {
    bool possible = false;
    std::vector<Flips> waiting{{}};
    for (std::size_t next = 0; next < waiting.size(); ++next) {
      const Flips flips = waiting[next];
      const auto script = arms_.script_of(flips);
      if (!script || next == scripts_max) {
        cut_short();
        break;
      }
      move.script = *script;
      if (at != no_parent) positions_.go_to(here_);
      const bool one = move.kind == MoveKind::begin ? begin(move) : follow(at, move);
      possible = possible || one;
      auto question = met_.begin();
      if (!flips.empty()) question = std::find(question, met_.end(), flips.back());
      if (!flips.empty() && question != met_.end()) ++question;
      for (; question != met_.end(); ++question) {
        waiting.push_back(flips);
        waiting.back().push_back(*question);
      }
    }
    return possible;
  }

  void cut_short() {
    if (!std::exchange(cut_, true))
      out_.notes.emplace_back("one move comes to too many conditions that had to be assumed");
  }

  Transition started(std::uint16_t root) const {
    const SagaId id = SagaId::make(present, 1, 2, 3);
    return decide_to_rest(program_, {},
                          {present, 0, Start{id, answers_.inputs[root], {}, std::nullopt}});
  }

  /// What is assumed at the start may make another saga of the same input.
  std::uint32_t root_of(const Move& begin) {
    const auto next = static_cast<std::uint32_t>(roots_.size());
    return roots_.try_emplace({begin.variant, begin.script}, next).first->second;
  }

  void begin_anew(const Move& move) {
    positions_.decided = {};
    positions_.decided.assumed = !answers_.inputs_admitted;
    arms_.play(move.script);
  }

  bool begin(const Move& move) {
    begin_anew(move);
    Transition transition = started(move.variant);
    met_ = arms_.met();
    if (transition.refused) {
      const bool expression = transition.refused->reason == "EXPRESSION_FAILED";
      report({expression ? "expression" : "I1", "the start: " + transition.refused->message},
             no_parent, move);
      return false;
    }
    positions_.begin(root_of(move), transition.next);
    moves_.note_begun(transition.events);
    note_reached(transition.events);
    note_cause(no_parent, move, transition.events);
    auto breach = judge_.judge({}, transition.events, transition.effects);
    arrive(no_parent, move, std::move(breach));
    return true;
  }

  void expand(std::uint32_t at) {
    here_ = seen_.at(at);
    positions_.go_to(here_);
    const auto moves = moves_.all();
    const SagaState& state = positions_.state();
    const bool ended = is_terminal(state.status) || is_quiet(state);
    if (ended) note_ending(at);
    bool goes_on = false;
    for (const auto& move : moves) {
      const bool possible = follow_every_arm(move, at);
      goes_on = goes_on || (possible && comes_by_itself(move.kind));
    }
    if (goes_on && !ended) return;
    positions_.go_to(here_);
    if (const auto breach = judge_.judge_end()) report(*breach, ways_[at].parent, ways_[at].move);
  }

  /// @return whether the move was possible
  bool follow(std::uint32_t at, const Move& move) {
    decided_here_ = positions_.decided;
    const Made made = moves_.make(move);
    met_ = arms_.met();
    if (made.refused) {
      if (move.kind == MoveKind::signal) judge_refusal(at, move, made);
      return false;
    }
    ++out_.transitions;
    if (moves_.is_inadmissible(move))
      report({"I1", "a signal is taken that the wait's schema does not admit"}, at, move);
    if (!made.broken.empty()) {
      report({"I1", made.broken}, at, move);
      return true;
    }
    note_reached(made.events);
    note_cause(at, move, made.events);
    auto breach = judge_.judge(here_, made.events, made.effects);
    if (!breach && moves_.need_not_be_followed(move, made)) return true;
    if (arrive(at, move, std::move(breach))) check_fold(at, move, made);
    return true;
  }

  /// A signal that is turned away leaves everything as it was, and is turned away by a decision:
  /// not because the wait's own condition cannot be calculated.
  void judge_refusal(std::uint32_t at, const Move& move, const Made& made) {
    ++out_.transitions;
    if (made.reason == "EXPRESSION_FAILED" && !positions_.odd_body_seen)
      report({"expression", "`accept` fails on the signal's payload"}, at, move);
    positions_.decided = decided_here_;  // what was decided of `accept` goes with the signal
    if (!made.events.empty() || !made.effects.empty() || !is_here(positions_.settle()))
      report({"I1", "a refused signal changes the saga"}, at, move);
  }

  /// Slots that came into being later are not reached here.
  bool is_here(const Ids& ids) const {
    return std::equal(here_.begin(), here_.end(), ids.begin()) &&
           std::all_of(ids.begin() + static_cast<std::ptrdiff_t>(here_.size()), ids.end(),
                       [](std::uint32_t id) { return id == 0; });
  }

  /// The position at hand was come to. @return whether for the first time
  bool arrive(std::uint32_t parent, const Move& move, std::optional<Breach> breach) {
    if (breach) {
      report(*breach, parent, move);
      return false;
    }
    const auto [number, is_new] = seen_.insert(positions_.settle());
    if (is_new) ways_.push_back({parent, move});
    return is_new;
  }

  /// Stands for a move and the parts it changed. Folding is about these alone.
  std::uint64_t change_by(const Move& move, const Ids& after) const {
    std::uint64_t hash = 0;
    const auto mix = [&hash](std::uint64_t value) {
      hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
      hash ^= hash >> 32;
    };
    mix(static_cast<std::uint64_t>(move.kind) << 8 | static_cast<std::uint64_t>(move.phase));
    mix(static_cast<std::uint64_t>(move.slot) << 16 | move.variant);
    for (std::size_t slot = 0; slot < after.size(); ++slot) {
      const std::uint32_t before = slot < here_.size() ? here_[slot] : 0;
      if (before == after[slot]) continue;
      mix(slot);
      mix(static_cast<std::uint64_t>(before) << 32 | after[slot]);
    }
    return hash;
  }

  /// What would be read back from the log gives the same position, but for questions.
  void check_fold(std::uint32_t at, const Move& move, const Made& made) {
    moves_.forget_questions();
    const Ids decided = positions_.settle();
    if (!folded_.insert(change_by(move, decided)).second) return;
    const Decided conditions = positions_.decided;  // are not decided again
    positions_.go_to(here_);
    const bool readable = moves_.fold(move, made.events);
    positions_.decided = conditions;
    moves_.forget_questions();
    judge_.judge(here_, made.events, made.effects);
    if (!readable || positions_.settle() != decided)
      report({"I6", "the events read back give another state"}, at, move);
  }

  void note_reached(const std::vector<Event>& events) {
    for (const auto& event : events) {
      const StepPath& path = path_of(event);
      if (!path.empty()) reached_.note(judge_.standing(positions_.slot_of(path)).step, event);
    }
  }

  void note_ending(std::uint32_t at) {
    const SagaState& state = positions_.state();
    std::string why;
    if (state.status == SagaStatus::suspended) {
      const Suspension& suspension = state.suspensions.front();
      why = suspension.reason;
      if (!suspension.step.empty())
        why += std::string(" at ") + (suspension.phase == Phase::compensate ? "the undo of " : "") +
               suspension.step;
    } else if (state.failure) {
      why = state.failure->code;
      if (!state.failure->step.empty()) why += " at " + state.failure->step;
    }
    const bool odd = positions_.odd_body_seen;
    auto [found, added] = endings_.try_emplace({state.status, in_every_iteration(why), odd});
    Ending& ending = found->second;
    if (!is_told_first(ending)) return;
    ending.status = state.status;
    ending.why = in_every_iteration(why);
    ending.odd_body = odd;
    ending.story = story(ways_[at].parent, ways_[at].move);
    ending.story.push_back("the saga is " + std::string(to_text(state.status)) +
                           (why.empty() ? "" : ": " + why));
    positions_.go_to(here_);
  }

  /// Counts the way at hand. @return whether the ending is told by its story: the first, or the
  /// first that assumes nothing
  bool is_told_first(Ending& ending) const {
    const bool first = ++ending.count == 1;
    if (!first && (!ending.assumed || positions_.decided.assumed)) return false;
    ending.assumed = positions_.decided.assumed;
    return true;
  }

  /// Where nothing reads the failure, the ways back are followed once for all causes: positions
  /// there do not tell the causes apart, so these are noted where the way back begins.
  void note_cause(std::uint32_t parent, const Move& move, const std::vector<Event>& events) {
    if (answers_.failure_read) return;
    for (const auto& event : events) {
      const auto* begun = std::get_if<CompensationStarted>(&event.body);
      if (begun == nullptr) continue;
      std::string why = begun->failure.code;
      if (why == "CANCELLED" && begun->failure.step.empty()) why += " or SAGA_TIMEOUT";
      if (!begun->failure.step.empty()) why += " at " + begun->failure.step;
      why = in_every_iteration(why);
      const bool odd = positions_.odd_body_seen;
      auto [found, added] = causes_.try_emplace({why, odd});
      if (!is_told_first(found->second)) continue;
      found->second.status = SagaStatus::failed;
      found->second.why = why;
      found->second.odd_body = odd;
      found->second.story = story(parent, move);
      if (!is_terminal(positions_.state().status))
        found->second.story.emplace_back("what was done is undone");
      found->second.story.push_back("the saga is FAILED: " + why);
    }
  }

  void list_endings() {
    if (!causes_.empty()) {
      for (const bool odd : {false, true}) {
        if (endings_.erase({SagaStatus::failed, "", odd}) == 0) continue;
        for (auto& [cause, ending] : causes_) {
          if (cause.second == odd) out_.endings.push_back(std::move(ending));
        }
      }
    }
    for (auto& [key, ending] : endings_) out_.endings.push_back(std::move(ending));
    std::stable_sort(out_.endings.begin(), out_.endings.end(),
                     [](const Ending& a, const Ending& b) { return a.status < b.status; });
  }

  std::vector<Move> way_to(std::uint32_t parent, const Move& last) const {
    std::vector<Move> moves{last};
    for (; parent != no_parent; parent = ways_[parent].parent) moves.push_back(ways_[parent].move);
    std::reverse(moves.begin(), moves.end());
    return moves;
  }

  std::vector<std::string> story(std::uint32_t parent, const Move& last) const {
    std::vector<std::string> lines;
    for (const auto& move : way_to(parent, last)) {
      if (move.kind != MoveKind::begin || answers_.inputs.size() > 1)
        lines.push_back(moves_.told(move));
    }
    return lines;
  }

  /// The same with what the machine made of each move.
  std::vector<std::string> timeline(std::uint32_t parent, const Move& last) {
    std::vector<std::string> lines;
    for (const auto& move : way_to(parent, last)) {
      Transition transition;
      if (move.kind == MoveKind::begin) {
        begin_anew(move);
        transition = started(move.variant);
        if (!transition.refused) positions_.begin(root_of(move), transition.next);
      } else {
        const Ids before = positions_.settle();
        positions_.go_to(before);
        Made made = moves_.make(move);
        transition.events = std::move(made.events);
        transition.effects = std::move(made.effects);
        if (!made.broken.empty()) transition.refused = Error{ErrorCode::internal, made.broken, ""};
      }
      lines.push_back(moves_.told(move) + " -> " + to_text(transition));
    }
    return lines;
  }

  void report(const Breach& breach, std::uint32_t parent, const Move& move) {
    const bool assumed = positions_.decided.assumed;
    const std::string what = in_every_iteration(breach.what);
    auto& violations = out_.violations;
    auto place = std::find_if(violations.begin(), violations.end(), [&](const Violation& one) {
      return one.promise == breach.promise && one.what == what;
    });
    const bool known = place != violations.end();
    // Those that assume nothing have room at the expense of others.
    if (!known && violations.size() >= violations_max)
      place = std::find_if(violations.begin(), violations.end(),
                           [](const Violation& one) { return one.assumed; });
    if ((known || violations.size() >= violations_max) &&
        (assumed || place == violations.end() || !place->assumed))
      return;
    if (place == violations.end()) place = violations.insert(place, Violation{});
    *place = {breach.promise, what, assumed, timeline(parent, move)};
    place->story.push_back(breach.promise + ": " + what);
  }

  const Options& options_;
  const Answers& answers_;
  Exploration out_;
  Positions positions_;
  Arms arms_;
  Program program_;
  Judge judge_;
  Moves moves_;
  Seen seen_;
  std::vector<Way> ways_;
  std::map<std::tuple<SagaStatus, std::string, bool>, Ending> endings_;
  std::map<std::pair<std::string, bool>, Ending> causes_;
  std::unordered_set<std::uint64_t> folded_;
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::uint32_t> roots_;  ///< their numbers
  Reached reached_;
  Flips met_;  ///< by the move just made
  bool stopped_ = false;
  bool cut_ = false;
  Ids here_;
  Decided decided_here_;
};

}  // namespace

Exploration explore(const Program& program, const Options& options) {
  FreeConditions free;
  for (;;) {
    Coverage coverage;
    const Answers answers = answers_of(program, options.inputs, free, &coverage);
    Explorer explorer(program, options, answers, free, coverage);
    const bool to_the_end = explorer.run();
    const std::size_t before = free.size();
    const auto assumptions = coverage.assumptions(free);
    free.merge(coverage.one_sided());
    // What lies behind an arm that is assumed may hold conditions that were never come to.
    if (to_the_end && free.size() > before) continue;
    Exploration found = explorer.found();
    found.assumptions = assumptions;
    return found;
  }
}

}  // namespace backstitch::engine::explore
