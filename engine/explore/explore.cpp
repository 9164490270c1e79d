#include <backstitch/engine/explore/explore.hpp>

#include <algorithm>
#include <tuple>
#include <unordered_set>

#include <backstitch/engine/machine/text.hpp>

#include "answers.hpp"
#include "judge.hpp"
#include "moves.hpp"
#include "positions.hpp"

namespace backstitch::engine::explore {
namespace {

constexpr std::uint32_t ask_every = 1'000;
constexpr std::size_t violations_max = 20;
constexpr std::uint32_t no_parent = UINT32_MAX;

class Explorer {
 public:
  Explorer(const Program& program, const Options& options)
      : program_(program),
        options_(options),
        answers_(answers_of(program)),
        positions_(program, answers_.failure_read, answers_.details_read),
        judge_(program, positions_),
        moves_(program, answers_, positions_, judge_) {}

  Exploration run() {
    out_.notes = answers_.notes;
    if (answers_.inputs.empty()) out_.complete = false;
    const auto roots = static_cast<std::uint16_t>(answers_.inputs.size());
    for (std::uint16_t root = 0; root < roots; ++root) begin(root);
    for (std::uint32_t at = 0; at < seen_.size() && goes_on(at); ++at) expand(at);
    out_.states = seen_.size();
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
    if (asked && !options_.go_on({seen_.size(), out_.transitions, seen_.size() - at})) stop();
    if (full) stop();
    return out_.complete;
  }
  void stop() { out_.complete = false; }

  Transition started(std::uint16_t root) const {
    const SagaId id = SagaId::make(present, 1, 2, 3);
    return decide(program_, {}, {present, 0, Start{id, answers_.inputs[root], {}, std::nullopt}});
  }

  void begin(std::uint16_t root) {
    Transition transition = started(root);
    const Move move{MoveKind::begin, Phase::forward, root, 0};
    if (transition.refused) {
      const bool expression = transition.refused->reason == "EXPRESSION_FAILED";
      report({expression ? "expression" : "I1", "the start: " + transition.refused->message},
             no_parent, move);
      return;
    }
    positions_.begin(root, transition.next);
    moves_.note_begun(transition.events);
    note_cause(no_parent, move, transition.events);
    auto breach = judge_.judge({}, transition.events, transition.effects);
    arrive(no_parent, move, std::move(breach));
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
      positions_.go_to(here_);
      const bool possible = follow(at, move);
      goes_on = goes_on || (possible && comes_by_itself(move.kind));
    }
    if (goes_on && !ended) return;
    positions_.go_to(here_);
    if (const auto breach = judge_.judge_end()) report(*breach, ways_[at].parent, ways_[at].move);
  }

  /// @return whether the move was possible
  bool follow(std::uint32_t at, const Move& move) {
    const Made made = moves_.make(move);
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
    if (made.reason == "EXPRESSION_FAILED")
      report({"expression", "`accept` fails on the signal's payload"}, at, move);
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
    positions_.go_to(here_);
    const bool readable = moves_.fold(move, made.events);
    moves_.forget_questions();
    judge_.judge(here_, made.events, made.effects);
    if (!readable || positions_.settle() != decided)
      report({"I6", "the events read back give another state"}, at, move);
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
    auto [found, added] = endings_.try_emplace({state.status, why, odd});
    Ending& ending = found->second;
    ++ending.count;
    if (!added) return;
    ending.status = state.status;
    ending.why = why;
    ending.odd_body = odd;
    ending.story = story(ways_[at].parent, ways_[at].move);
    ending.story.push_back("the saga is " + std::string(to_text(state.status)) +
                           (why.empty() ? "" : ": " + why));
    positions_.go_to(here_);
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
      const bool odd = positions_.odd_body_seen;
      auto [found, added] = causes_.try_emplace({why, odd});
      ++found->second.count;
      if (!added) continue;
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
        transition = started(move.variant);
        positions_.begin(move.variant, transition.next);
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
    const bool known =
        std::any_of(out_.violations.begin(), out_.violations.end(), [&](const Violation& one) {
          return one.promise == breach.promise && one.what == breach.what;
        });
    if (known || out_.violations.size() >= violations_max) return;
    out_.violations.push_back({breach.promise, breach.what, timeline(parent, move)});
    out_.violations.back().story.push_back(breach.promise + ": " + breach.what);
  }

  const Program& program_;
  const Options& options_;
  Exploration out_;
  Answers answers_;
  Positions positions_;
  Judge judge_;
  Moves moves_;
  Seen seen_;
  std::vector<Way> ways_;
  std::map<std::tuple<SagaStatus, std::string, bool>, Ending> endings_;
  std::map<std::pair<std::string, bool>, Ending> causes_;
  std::unordered_set<std::uint64_t> folded_;
  Ids here_;
};

}  // namespace

Exploration explore(const Program& program, const Options& options) {
  return Explorer(program, options).run();
}

}  // namespace backstitch::engine::explore
