#include "checker.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>
#include <memory>
#include <set>

#include "definition_reader.hpp"
#include "saga_checker.hpp"

namespace backstitch::simulation {
namespace {

/// A request as it is in the log: where it was sent with the token of a callback, the log has the
/// handle, which is the token without its last part.
std::string as_logged(std::string request, const std::string& saga) {
  constexpr std::size_t part_chars = 32;
  const std::size_t handle_chars = saga.size() + 1 + part_chars;
  for (auto at = request.find(saga); at != std::string::npos; at = request.find(saga, at + 1)) {
    const std::size_t end = at + handle_chars;
    const bool is_token = end + part_chars < request.size() && request[at + saga.size()] == '-' &&
                          request[end] == '-';
    if (is_token) request.erase(end, 1 + part_chars);
  }
  return request;
}

using nlohmann::json;
using Stage = SagaChecker::Stage;
using What = LedgerEntry::What;

/// What survives URLs, headers, file names and routers.
bool is_safe(const std::string& key) {
  return key.size() <= 128 && std::all_of(key.begin(), key.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_';
         });
}

/// Key columns often ignore case.
std::string without_case(std::string key) {
  for (char& c : key) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return key;
}

class Checker {
 public:
  explicit Checker(const Evidence& evidence) : evidence_(evidence) {}

  std::vector<std::string> run() {
    for (const auto& [id, log] : evidence_.logs) {
      if (log.empty())
        wrong("I6: " + id + " has no log");
      else
        sagas_[id] = saga_of(id, log, known_of(id));
    }
    read_lost();
    check_rows();
    check_starts();
    check_commands();
    check_keys();
    check_requests();
    check_repeated();
    if (evidence_.drained) {
      check_rest();
      check_effects();
      check_children();
    }
    return std::move(found_);
  }

 private:
  using Saga = std::unique_ptr<SagaChecker>;

  /// How many events of the saga the store has never forgotten.
  std::size_t known_of(const std::string& id) const {
    std::size_t known = std::numeric_limits<std::size_t>::max();
    for (const LostTail& tail : evidence_.lost)
      if (tail.saga == id) known = std::min(known, tail.kept);
    return known;
  }

  Saga saga_of(const std::string& id, const std::vector<LogLine>& log, std::size_t known) {
    const std::string name = log.front().data.value("definition", std::string{});
    auto& reader = readers_[name];
    if (!reader)
      reader =
          std::make_unique<DefinitionReader>(evidence_.documents->at(name), *evidence_.documents);
    auto saga = std::make_unique<SagaChecker>(
        id, *reader, evidence_.timely, [this](const std::string& complaint) { wrong(complaint); });
    saga->read(log, known);
    readers_of_[id] = reader.get();
    return saga;
  }

  /// What the store has forgotten was there, so it has to be right, too.
  void read_lost() {
    for (const auto& [id, log] : evidence_.logs) place(id, log);
    for (const LostTail& tail : evidence_.lost) {
      // Most of it may have come before the store went back for the first time.
      lost_[tail.saga].push_back(
          saga_of(tail.saga, tail.log, std::numeric_limits<std::size_t>::max()));
      place(tail.saga, tail.log);
      for (std::size_t i = tail.kept; i < tail.log.size(); ++i)
        lost_senders_.insert({tail.saga, tail.log[i].data.value("by", std::string{})});
      for (const auto& [path, step] : lost_[tail.saga].back()->steps()) {
        if (!step.key.empty()) lost_keys_.insert({step.key, tail.saga});
        if (!step.undo_key.empty()) lost_undos_.insert(step.key);
      }
    }
  }

  /// Where its calls stand: all sagas of a start that has a key are at one place.
  void place(const std::string& id, const std::vector<LogLine>& log) {
    const json& start = log.front().data;
    const auto parent = start.find("parent");
    if (parent != start.end()) {
      places_[id] = {parent->value("saga", std::string{}), parent->value("path", std::string{})};
      return;
    }
    const std::string label = start.value("labels", json::object()).value("start", std::string{});
    const bool has_key =
        std::any_of(evidence_.starts.begin(), evidence_.starts.end(),
                    [&](const StartTold& told) { return told.has_key && told.label == label; });
    places_[id] = {"", has_key ? label : id};
  }
  std::string place_of(const std::string& id) const {
    const auto found = places_.find(id);
    if (found == places_.end()) return id;
    const auto& [parent, path] = found->second;
    return parent.empty() ? path : place_of(parent) + "/" + path;
  }

  /// I6: the row says what the log says.
  void check_rows() {
    for (const auto& [id, saga] : sagas_) {
      const auto row = evidence_.rows.find(id);
      if (row == evidence_.rows.end())
        wrong("I6: " + id + " has a log and no row");
      else if (row->second.status != saga->status())
        wrong("I6: the row of " + id + " says " + row->second.status + ", its log " +
              saga->status());
    }
  }

  /// I1, I2: what was answered is there, once.
  void check_starts() {
    std::map<std::string, std::set<std::string>> by_label;
    for (const auto& [id, log] : evidence_.logs) {
      const auto labels = log.front().data.find("labels");
      if (labels == log.front().data.end() || log.front().data.contains("parent")) continue;
      by_label[labels->value("start", std::string{})].insert(id);
    }
    for (const auto& start : evidence_.starts) {
      if (start.by_sql) {
        for (const auto& id : start.sagas) {
          if (evidence_.drained && sagas_.count(id) == 0 && !is_forgotten(id))
            wrong("I1: " + id + " was started by SQL, and is not there");
        }
        continue;
      }
      const auto& there = by_label[start.label];
      if (there.size() > 1) wrong("I2: " + start.label + " was started more than once");
      for (const auto& id : start.sagas) {
        if (there.count(id) == 0 && !is_forgotten(id))
          wrong("I1: " + start.label + " was answered " + id + ", which is not there");
      }
    }
  }

  /// What was answered as done is in the log, and in the audit.
  void check_commands() {
    std::set<std::pair<std::string, std::string>> audited(evidence_.audited.begin(),
                                                          evidence_.audited.end());
    for (const auto& told : evidence_.commands) {
      if (is_forgotten(told.saga) || lost_senders_.contains({told.saga, told.by})) continue;
      const auto found = sagas_.find(told.saga);
      if (found == sagas_.end()) {
        wrong("I1: " + told.what + " was taken by " + told.saga + ", which is not there");
        continue;
      }
      const SagaChecker& saga = *found->second;
      if (told.what == "signal" && saga.signals().count(told.by) == 0)
        wrong("I1: a signal of " + told.by + " to " + told.saga + " was taken and is lost");
      const bool operated = told.what == "retry" || told.what == "suspend" || told.what == "skip" ||
                            told.what == "resolve";
      if (!operated) continue;
      if (saga.people().count(told.by) == 0)
        wrong("I1: " + told.what + " by " + told.by + " was taken by " + told.saga +
              " and is lost");
      if (audited.count({told.saga, told.by}) == 0)
        wrong("I6: " + told.what + " by " + told.by + " for " + told.saga + " is in no audit");
    }
  }

  /// I3: a key is one step's.
  void check_keys() {
    std::map<std::string, std::string> owners;
    for (const auto& [id, saga] : sagas_) {
      for (const auto& [path, step] : saga->steps()) {
        for (const auto& key : {step.key, step.undo_key}) {
          if (key.empty()) continue;
          if (!is_safe(key)) wrong("I3: the key of " + id + " " + path + " is " + key);
          const auto [owner, fresh] = owners.emplace(without_case(key), id + " " + path);
          if (!fresh) wrong("I3: " + id + " " + path + " has the key of " + owner->second);
        }
      }
    }
  }

  /// What participants got is what the logs say, to the byte; nothing was sent before it was
  /// committed.
  void check_requests() {
    for (const auto& entry : evidence_.ledger) {
      std::optional<std::string> complaint;
      const auto look_into = [&](const SagaChecker& saga) {
        const auto step = saga.steps().find(entry.path);
        if (step == saga.steps().end()) return false;
        complaint = complaint_of(entry, step->second);
        return !complaint;
      };
      const auto lost = lost_.find(entry.saga);
      const bool was_right =
          lost != lost_.end() && std::any_of(lost->second.begin(), lost->second.end(),
                                             [&](const Saga& saga) { return look_into(*saga); });
      const auto saga = sagas_.find(entry.saga);
      if (was_right || (saga != sagas_.end() && look_into(*saga->second))) continue;
      wrong(complaint.value_or("I6: " + entry.saga + " " + entry.path + " was sent to " +
                               entry.service + ", and no log knows of it"));
    }
  }

  static std::optional<std::string> complaint_of(const LedgerEntry& entry,
                                                 const SagaChecker::Step& step) {
    const std::string what = entry.saga + " " + entry.path;
    const std::string request = as_logged(entry.request, entry.saga);
    if (entry.phase == "forward" && entry.own_key != step.key)
      return "I3: " + what + " was sent under " + entry.own_key + ", its key is " + step.key;
    if (entry.phase == "forward" && request != step.request)
      return "I3: " + what + " was not sent as it was stored: " + entry.request;
    if (entry.phase == "compensate" && entry.own_key != step.undo_key)
      return "I3: the undo of " + what + " was sent under " + entry.own_key;
    if (entry.phase == "compensate" && request != step.undo_request)
      return "I3: the undo of " + what + " was not sent as it was stored: " + entry.request;
    return std::nullopt;
  }

  /// However often the store forgot a step and it was taken again, it took effect under one key.
  void check_repeated() {
    std::map<std::string, std::string> keys;
    for (const auto& entry : evidence_.ledger) {
      if (entry.what != What::done) continue;
      const auto [known, fresh] =
          keys.try_emplace(place_of(entry.saga) + "/" + entry.path, entry.key);
      if (!fresh && known->second != entry.key)
        wrong("I3: " + entry.saga + " " + entry.path + " took effect under " + entry.key +
              ", and before under " + known->second);
    }
  }

  void check_rest() {
    for (const auto& [id, saga] : sagas_) {
      if (!saga->ended() && saga->status() != "SUSPENDED")
        wrong("I10: " + id + " is " + saga->status());
      if (saga->status() != "SUSPENDED") continue;
      saga->check_chains();
      const auto& log = evidence_.logs.at(id);
      const bool has_reason = std::any_of(log.begin(), log.end(), [](const LogLine& line) {
        return line.type == "SagaSuspended" && !line.data.value("reason", std::string{}).empty();
      });
      if (!has_reason) wrong("I1: " + id + " is SUSPENDED without a reason");
    }
  }

  /// What participants have done, against what the log believes.
  void check_effects() {
    std::map<std::string, bool> standing;
    std::map<std::string, int> done;
    for (const auto& entry : evidence_.ledger) {
      if (entry.what == What::done) {
        standing[entry.key] = true;
        if (++done[entry.key] > 1)
          wrong("I3: " + entry.saga + " " + entry.path + " was done twice");
      }
      if (entry.what == What::undone) standing[entry.key] = false;
    }
    for (const auto& [id, saga] : sagas_) {
      if (!saga->ended()) continue;
      for (const auto& [path, step] : saga->steps()) {
        const StepSheet* sheet = readers_of_[id]->step(path);
        if (sheet == nullptr || step.key.empty() || sheet->is_readonly() || step.by_operator)
          continue;
        if (path.starts_with("onSuspended")) continue;
        const auto found = standing.find(step.key);
        const bool stands = found != standing.end() && found->second;
        // What was undone on a way that was forgotten is gone.
        if (step.stage == Stage::succeeded && !stands && !lost_undos_.contains(step.key))
          wrong("I3: " + id + " " + path + " succeeded, and its effect is not there");
        if (step.stage == Stage::failed && stands && !step.not_done_by_operator &&
            !repeats_unknowingly(id, step))
          wrong("I4: " + id + " " + path + " failed, and its effect is there");
        if (step.stage == Stage::undone && stands)
          wrong("I5: " + id + " " + path + " was undone, and its effect is there");
      }
    }
  }

  /// A saga that repeats another one, which the store has forgotten, knows nothing of it: it
  /// believes a refusal that means "the same key with another request".
  bool repeats_unknowingly(const std::string& id, const SagaChecker::Step& step) const {
    if (step.failed_in_doubt) return false;
    const auto first = lost_keys_.lower_bound({step.key, ""});
    return std::any_of(first, lost_keys_.end(), [&](const auto& known) {
      return known.first == step.key && known.second != id;
    });
  }

  void check_children() {
    for (const auto& [id, saga] : sagas_) {
      if (!saga->ended()) continue;
      for (const auto& [path, step] : saga->steps()) {
        if (step.child.empty() || step.by_operator) continue;
        const auto child = sagas_.find(step.child);
        const std::string status = child == sagas_.end() ? "not there" : child->second->status();
        if (step.stage == Stage::succeeded && status != "COMPLETED")
          wrong("I6: " + id + " " + path + " succeeded, and its saga is " + status);
        if (step.stage == Stage::undone && status != "FAILED")
          wrong("I4: " + id + " " + path + " was undone, and its saga is " + status);
        if (step.stage == Stage::failed && (status == "COMPLETED" || status == "RUNNING"))
          wrong("I4: " + id + " " + path + " failed, and its saga is " + status);
      }
    }
  }

  bool is_forgotten(const std::string& saga) const {
    return evidence_.forgotten.contains(saga) && !sagas_.contains(saga);
  }
  void wrong(const std::string& what) { found_.push_back(what); }

  const Evidence& evidence_;
  std::map<std::string, std::unique_ptr<DefinitionReader>> readers_;
  std::map<std::string, const DefinitionReader*> readers_of_;
  std::map<std::string, Saga> sagas_;
  std::map<std::string, std::vector<Saga>> lost_;  ///< as they were before the store went back
  /// Parent and path of a sub-saga; of others nothing, and what they are known by.
  std::map<std::string, std::pair<std::string, std::string>> places_;
  std::set<std::pair<std::string, std::string>> lost_senders_;  ///< saga, who
  std::set<std::pair<std::string, std::string>> lost_keys_;     ///< key, saga
  std::set<std::string> lost_undos_;                            ///< keys of the actions
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> check(const Evidence& evidence) {
  return Checker(evidence).run();
}

}  // namespace backstitch::simulation
