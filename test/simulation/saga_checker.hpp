#pragma once
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "definition_reader.hpp"
#include "evidence.hpp"
#include "status_fold.hpp"

namespace backstitch::simulation {

/// Reads one saga's log from front to back and holds what can be held there: order of undos (I4),
/// keys (I3, I5), time (I8), ends (I6, I9).
class SagaChecker {
 public:
  enum class Stage {
    running,
    succeeded,
    failed,
    skipped,
    unknown,
    undoing,
    undone,
    undo_skipped,
    undo_failed
  };
  struct Step {
    Stage stage = Stage::running;
    std::string key;      ///< of the action
    std::string request;  ///< method, target and body
    std::string undo_key;
    std::string undo_request;
    std::string child;
    bool by_operator = false;  ///< a person said what became of it
    bool not_done_by_operator = false;
    bool failed_in_doubt = false;  ///< the store had gone back under the saga by then
    bool effect_unknown = false;
    bool without_output = false;   ///< it took effect, and its output could not be computed
    bool unknown_attempt = false;  ///< an attempt of the action ended unknown
  };
  using Complain = std::function<void(const std::string&)>;

  SagaChecker(std::string id, const DefinitionReader& definition, bool timely, Complain complain)
      : id_(std::move(id)),
        definition_(definition),
        timely_(timely),
        complain_(std::move(complain)) {}
  /// @param known  so many events are older than the last time that the store forgot some of this
  ///               saga: what came after them may repeat what is forgotten
  void read(const std::vector<LogLine>& log, std::size_t known);
  /// The saga is suspended and comes to rest: no chain of compensations waits but for one that is
  /// stuck.
  void check_chains();

  const std::map<std::string, Step>& steps() const { return steps_; }
  const std::string& status() const { return fold_.status(); }
  bool ended() const { return fold_.ended(); }
  const std::set<std::string>& people() const { return people_; }
  const std::set<std::string>& signals() const { return signal_senders_; }
  bool gave_up_forward() const { return gave_up_; }

 private:
  struct Signal {
    std::string name;
    bool consumed = false;
  };
  void note(const LogLine& line);
  void forward(const LogLine& line);
  void refusals(const LogLine& line);
  void backward(const LogLine& line);
  void times(const LogLine& line);
  void repetitions(const LogLine& line);
  void signals(const LogLine& line);
  void scheduled(const LogLine& line);
  void undo_not_rendered(const LogLine& line);
  void asked(const LogLine& line, const nlohmann::json& request);
  void undo_begins(const LogLine& line);
  void wait_ended(const LogLine& line, bool succeeded);
  void saga_ended(const LogLine& line);
  void wrong(const std::string& promise, const LogLine& line, const std::string& what);
  bool in_failed_try(const std::string& path) const;
  void completions(const LogLine& line);
  void check_settled(const LogLine& line);
  void check_stop_bound(const LogLine& line);
  bool waits_for_a_stuck_one(const std::string& path) const;
  bool share_failed_try(const std::string& path, const std::string& other) const;

  std::string id_;
  const DefinitionReader& definition_;
  bool timely_;
  Complain complain_;
  StatusFold fold_;
  std::map<std::string, Step> steps_;
  std::map<std::string, std::int64_t> not_before_;  ///< `path phase` -> when the next may begin
  std::map<std::string, std::int64_t> waiting_until_;
  std::map<std::string, std::int64_t> undo_not_before_;
  std::map<std::int64_t, Signal> queued_;
  std::set<std::string> people_;
  std::set<std::string> signal_senders_;
  std::set<std::string> failed_tries_;
  /// Accepted by their participants, the answer is awaited; and how long a question may take.
  std::map<std::string, std::int64_t> pending_;
  std::set<std::string> refused_callbacks_;
  std::map<std::string, std::int64_t> overdue_;  ///< those of pending_ that were asked
  std::map<std::string, std::size_t> noted_answers_;
  std::map<std::string, std::string> last_noted_;
  std::size_t take_overs_ = 0;
  std::set<std::string> stuck_;          ///< a person is needed at their compensations
  std::optional<std::int64_t> stop_at_;  ///< from when the saga is to stop
  bool delayed_ = false;                 ///< since then something else than a call was awaited
  std::int64_t last_at_ = 0;
  bool pivot_sent_ = false;
  bool going_back_ = false;
  std::string operator_at_;  ///< what the last event was an operator's doing for
  std::int64_t deadline_ = 0;
  bool set_back_ = false;  ///< the store went back: what is refused may have been done before
  bool pivot_passed_ = false;
  bool incomplete_ = false;
  bool gave_up_ = false;
};

}  // namespace backstitch::simulation
