#include "checker.hpp"

#include <algorithm>
#include <cctype>
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
    for (const auto& [id, log] : evidence_.logs) read_saga(id, log);
    check_rows();
    check_starts();
    check_commands();
    check_keys();
    check_requests();
    if (evidence_.drained) {
      check_rest();
      check_effects();
      check_children();
    }
    return std::move(found_);
  }

 private:
  void read_saga(const std::string& id, const std::vector<LogLine>& log) {
    if (log.empty()) return wrong("I6: " + id + " has no log");
    const std::string name = log.front().data.value("definition", std::string{});
    auto& reader = readers_[name];
    if (!reader)
      reader =
          std::make_unique<DefinitionReader>(evidence_.documents->at(name), *evidence_.documents);
    auto saga = std::make_unique<SagaChecker>(
        id, *reader, evidence_.timely, [this](const std::string& complaint) { wrong(complaint); });
    saga->read(log);
    readers_of_[id] = reader.get();
    sagas_[id] = std::move(saga);
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
          if (evidence_.drained && sagas_.count(id) == 0)
            wrong("I1: " + id + " was started by SQL, and is not there");
        }
        continue;
      }
      const auto& there = by_label[start.label];
      if (there.size() > 1) wrong("I2: " + start.label + " was started more than once");
      for (const auto& id : start.sagas) {
        if (there.count(id) == 0)
          wrong("I1: " + start.label + " was answered " + id + ", which is not there");
      }
    }
  }

  /// What was answered as done is in the log, and in the audit.
  void check_commands() {
    std::set<std::pair<std::string, std::string>> audited(evidence_.audited.begin(),
                                                          evidence_.audited.end());
    for (const auto& told : evidence_.commands) {
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
      const std::string what = entry.saga + " " + entry.path;
      const auto saga = sagas_.find(entry.saga);
      const auto* steps = saga == sagas_.end() ? nullptr : &saga->second->steps();
      const auto step = steps == nullptr
                            ? std::map<std::string, SagaChecker::Step>::const_iterator{}
                            : steps->find(entry.path);
      if (steps == nullptr || step == steps->end()) {
        wrong("I6: " + what + " was sent to " + entry.service + ", and no log knows of it");
        continue;
      }
      if (entry.phase == "forward") {
        if (entry.own_key != step->second.key)
          wrong("I3: " + what + " was sent under " + entry.own_key + ", its key is " +
                step->second.key);
        if (as_logged(entry.request, entry.saga) != step->second.request)
          wrong("I3: " + what + " was not sent as it was stored: " + entry.request);
      }
      if (entry.phase == "compensate") {
        if (entry.own_key != step->second.undo_key)
          wrong("I3: the undo of " + what + " was sent under " + entry.own_key);
        if (as_logged(entry.request, entry.saga) != step->second.undo_request)
          wrong("I3: the undo of " + what + " was not sent as it was stored: " + entry.request);
      }
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
        if (step.stage == Stage::succeeded && !stands)
          wrong("I3: " + id + " " + path + " succeeded, and its effect is not there");
        if (step.stage == Stage::failed && stands && !step.not_done_by_operator)
          wrong("I4: " + id + " " + path + " failed, and its effect is there");
        if (step.stage == Stage::undone && stands)
          wrong("I5: " + id + " " + path + " was undone, and its effect is there");
      }
    }
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

  void wrong(const std::string& what) { found_.push_back(what); }

  const Evidence& evidence_;
  std::map<std::string, std::unique_ptr<DefinitionReader>> readers_;
  std::map<std::string, const DefinitionReader*> readers_of_;
  std::map<std::string, std::unique_ptr<SagaChecker>> sagas_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> check(const Evidence& evidence) {
  return Checker(evidence).run();
}

}  // namespace backstitch::simulation
