#include "wrong_end.hpp"

#include <functional>

namespace backstitch::test {
namespace {

/// The first input is played most; the others are for what the input alone makes wrong.
constexpr std::uint64_t worlds_of_first_input = 32;
constexpr std::uint64_t worlds_of_others = 4;
/// More for the original alone, so that what is wrong with it without a fault is known.
constexpr std::uint64_t worlds_of_original = 120;

const PlayedChildren& all_children() {
  static const PlayedChildren children = [] {
    PlayedChildren known = known_children();
    for (const auto& subject : example_subjects())
      known[subject.definition["name"]] = subject.definition;
    return known;
  }();
  return children;
}

/// Plays in every world until `seen` says that it is enough.
void play_all(const Subject& subject, const Json& definition,
              const std::function<bool(Play)>& seen) {
  std::uint64_t worlds = worlds_of_first_input;
  for (const auto& input : subject.inputs) {
    for (std::uint64_t seed = 0; seed < worlds; ++seed)
      if (!seen(play(definition, input, seed, all_children()))) return;
    worlds = worlds_of_others;
  }
}

}  // namespace

RightEnds::RightEnds(const Subject& subject) : subject_(subject) {
  play_all(subject, subject.definition, [&](Play played) {
    wrong_.insert(played.wrong.begin(), played.wrong.end());
    reached_.insert(played.reached.begin(), played.reached.end());
    plays_.push_back(std::move(played));
    return true;
  });
  for (std::uint64_t seed = worlds_of_first_input; seed < worlds_of_original; ++seed) {
    const auto& input = subject.inputs[seed % subject.inputs.size()];
    const Play more = play(subject.definition, input, seed, all_children());
    wrong_.insert(more.wrong.begin(), more.wrong.end());
  }
}

std::string RightEnds::wrong_end_of(const Mutant& mutant) const {
  std::size_t number = 0;
  std::string found;
  std::set<std::string> left = reached_;
  play_all(subject_, mutant.definition, [&](const Play& played) {
    for (const auto& wrong : played.wrong)
      if (found.empty() && wrong_.count(wrong) == 0) found = wrong;
    const bool completed = plays_[number++].status == "COMPLETED";
    // One more step is one more moment at which a cancellation is noticed.
    const bool worse = played.status != "COMPLETED" && played.code != "CANCELLED";
    if (found.empty() && completed && worse && !mutant.calls_more)
      found = "the saga does not complete: " + played.status + " " + played.code;
    for (const auto& place : played.reached) left.erase(place);
    return found.empty();
  });
  if (!found.empty() || left.empty()) return found;
  return *left.begin() + " is never reached";
}

std::set<std::string> RightEnds::statuses() const {
  std::set<std::string> all;
  for (const auto& played : plays_) all.insert(played.status);
  return all;
}

}  // namespace backstitch::test
