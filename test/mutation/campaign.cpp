#include "campaign.hpp"

#include <algorithm>
#include <numeric>

#include "wrong_end.hpp"

namespace backstitch::test {
namespace {

constexpr std::uint64_t states_max_of_example = 1'000'000;
constexpr std::uint64_t states_max_of_generated = 40'000;
constexpr std::uint64_t states_max_of_mutant = 8'000;

int count_of(const Checked& checked, const std::string& code) {
  const auto found = checked.codes.find(code);
  return found == checked.codes.end() ? 0 : found->second;
}

/// A finding code of the kind that the mutant has more often than the original; empty: none.
std::string reporting_code(const FaultKind& kind, const Checked& mutant, const Checked& original) {
  const auto found = std::find_if(
      kind.reported_by.begin(), kind.reported_by.end(),
      [&](const auto& code) { return count_of(mutant, code) > count_of(original, code); });
  return found == kind.reported_by.end() ? "" : *found;
}

/// A word of the kind about which the mutant has more said than the original; empty: none.
std::string reporting_promise(const FaultKind& kind, const Verified& mutant,
                              const Verified& original) {
  static const std::set<std::string> nothing;
  for (const auto& [word, places] : mutant.said) {
    const bool named =
        std::find(kind.reported_by.begin(), kind.reported_by.end(), word) != kind.reported_by.end();
    const auto before = original.said.find(word);
    const auto& known = before == original.said.end() ? nothing : before->second;
    if (named && !std::includes(known.begin(), known.end(), places.begin(), places.end()))
      return word;
  }
  return "";
}

std::vector<std::string> codes_of(const Checked& checked) {
  std::vector<std::string> codes;
  for (const auto& [code, count] : checked.codes) codes.push_back(code);
  return codes;
}

std::vector<std::string> remarks_of(const Verified& verified) {
  std::vector<std::string> all = verified.notes;
  for (const auto& [word, places] : verified.said)
    for (const auto& place : places) all.push_back(word + ": " + place);
  return all;
}

std::string joined(const std::vector<std::string>& parts) {
  return std::accumulate(parts.begin(), parts.end(), std::string(),
                         [](const std::string& before, const std::string& part) {
                           return before.empty() ? part : before + ", " + part;
                         });
}

std::string row(const std::string& name, const std::string& fault, const Tally& tally) {
  std::vector<std::string> codes;
  for (const auto& [code, count] : tally.by_code)
    codes.push_back(code + " " + std::to_string(count));
  std::string text = "| " + name + " | " + fault + " | " + joined(codes);
  for (const std::size_t count :
       {tally.made, tally.counted, tally.reported, tally.not_complete, tally.missed})
    text += " | " + std::to_string(count);
  return text + " |\n";
}

}  // namespace

struct Campaign::Original {
  const Subject& subject;
  RightEnds ends;
  Checked checked;
  Verified verified;
};

void Tally::add(const Tally& other) {
  made += other.made;
  counted += other.counted;
  reported += other.reported;
  not_complete += other.not_complete;
  missed += other.missed;
}

void Campaign::run(const Subject& subject) {
  const std::uint64_t states_max =
      subject.is_example ? states_max_of_example : states_max_of_generated;
  const Original original{subject, RightEnds(subject), check(subject.definition),
                          verify(subject.definition, states_max)};
  examine(original);
  for (const auto& kind : catalogue())
    for (const auto& mutant : kind.seed(subject.definition)) judge(kind, mutant, original);
}

void Campaign::examine(const Original& original) {
  ++originals_;
  if (original.checked.has_errors) ++originals_with_errors_;
  if (original.verified.complete) ++originals_complete_;
  std::vector<std::string> why;
  const auto played = original.ends.statuses();
  const auto& known = original.verified.endings;
  if (original.verified.complete &&
      !std::includes(known.begin(), known.end(), played.begin(), played.end())) {
    ++originals_with_other_ends_;
    why.emplace_back("a play ends as verify says it cannot");
  }
  if (original.checked.has_errors) why.emplace_back("errors");
  if (!original.verified.complete) why.emplace_back("not complete");
  if (!original.verified.is_clean())
    for (const auto& remark : remarks_of(original.verified)) why.push_back(remark);
  if (!why.empty())
    unclean_.push_back(original.subject.name + " (" + joined(why) +
                       "): " + original.subject.definition.dump());
}

void Campaign::judge(const FaultKind& kind, const Mutant& mutant, const Original& original) {
  Tally& tally = tallies_[kind.name];
  ++tally.made;
  const std::string wrong = original.ends.wrong_end_of(mutant);
  if (wrong.empty()) return;
  ++tally.counted;
  const Checked checked = check(mutant.definition);
  std::string by = reporting_code(kind, checked, original.checked);
  bool is_clean = !checked.has_errors;
  std::string remarks = joined(codes_of(checked));
  if (by.empty() && is_clean) {
    const Verified verified = verify(mutant.definition, states_max_of_mutant);
    by = reporting_promise(kind, verified, original.verified);
    is_clean = verified.is_clean();
    remarks += "; " + joined(remarks_of(verified));
  }
  if (!by.empty()) {
    ++tally.reported;
    ++tally.by_code[by];
    return;
  }
  ++(is_clean ? tally.missed : tally.not_complete);
  note_unreported(kind, mutant, original,
                  (is_clean ? "missed: " : "not complete: ") + wrong + " (" + remarks + ")");
}

void Campaign::note_unreported(const FaultKind& kind, const Mutant& mutant,
                               const Original& original, const std::string& why) {
  unreported_.push_back(std::string(kind.name) + " in " + original.subject.name + " at " +
                        mutant.what + ", " + why + ": " + mutant.definition.dump());
}

Tally Campaign::total() const {
  Tally all;
  for (const auto& [name, tally] : tallies_) all.add(tally);
  return all;
}

std::string Campaign::table() const {
  std::string text =
      "| kind | fault | reported by | made | counted | reported | not complete | missed |\n"
      "|---|---|---|---|---|---|---|---|\n";
  for (const auto& kind : catalogue()) {
    const auto found = tallies_.find(kind.name);
    text += row(kind.name, kind.fault, found == tallies_.end() ? Tally{} : found->second);
  }
  return text + row("all", "", total());
}

}  // namespace backstitch::test
