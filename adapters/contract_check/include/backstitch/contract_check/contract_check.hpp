#pragma once
/// Whether the participants of a definition keep the participant contract: calls them as the engine
/// would, repeats, cuts off and overtakes its own calls, and judges the answers. The calls are
/// real.
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::contract_check {

/// A kind of request that a step of a definition makes.
enum class RequestKind {
  action,
  compensation,
  probe,
  poll,
  callback,  ///< made by the participant
  sub_saga   ///< all requests of another definition
};
const char* to_text(RequestKind request);

/// A promise about one request of a step. Each names its clause of docs/participant-contract.md.
enum class Promise {
  repeat,           ///< the action again under its key: the same answer
  at_once,          ///< two copies of the action at once: the same answer, never a refusal
  overtaken,        ///< a copy that overtakes the first on the network: the same
  cut_off,          ///< the answer lost, then the action again: it is settled
  key_case,         ///< a key that differs only in case is another key
  undo,             ///< the undo of what was done succeeds
  undo_again,       ///< and once more
  action_after,     ///< the action again after that: refused, or the first answer again
  undo_of_nothing,  ///< the undo of an action that never came succeeds
  late_action,      ///< and the action that comes after it is refused
  undo_overtakes,   ///< an undo that overtakes the action: nothing is done after it
  undo_during,      ///< an undo while the participant works on the action: the same
  probe,            ///< a probe finds what was done
  seal,             ///< a sealed probe that found nothing keeps the action out
  seal_during,      ///< also an action that is in flight at that moment
  router,           ///< the probe's rules do not take the 404 of an intermediary for "not done"
  poll,             ///< a poll finds the answer of an accepted action, again and again
  callback,         ///< the answer of an accepted action is posted to the callback address
  sub_saga,         ///< the requests of the sub-saga keep the contract
  in_time,          ///< every answer comes within the attempt's time
  marked,           ///< every answer, refusals too, is recognised by the service's `answers`
  not_stored        ///< no cache may keep the answers to probes and polls
};
/// As JSON and `--accept` spell it: `undo-of-nothing`.
const char* to_text(Promise promise);
/// In words: `an undo of nothing succeeds`.
const char* title_of(Promise promise);
/// The clause of the participant contract: `2.1`. Empty for a sub-saga.
const char* clause_of(Promise promise);
/// What to do about a broken promise.
const char* advice_of(Promise promise);

enum class Standing { kept, broken, not_checked };
const char* to_text(Standing standing);

/// One pair of a request and a promise. Every pair of the definition is in the report.
struct Finding {
  std::string step;
  RequestKind request = RequestKind::action;
  Promise promise = Promise::repeat;
  Standing standing = Standing::not_checked;
  std::string expected;     ///< broken: the answer that the contract asks for
  std::string came;         ///< broken: the answer that came; kept: what was seen, if it matters
  std::string reason;       ///< not checked: why
  std::string accepted_by;  ///< not checked: the option that accepts this; empty: none
};

enum class Conclusion { all_checked, broken, unreachable, not_all_checked };
const char* to_text(Conclusion conclusion);

struct Report {
  std::string definition;
  std::vector<std::pair<std::string, std::string>> services;  ///< name and base URL
  std::vector<Finding> findings;                              ///< in the order of the steps
  std::vector<std::string> unreachable;  ///< services that no call reached, with the reason
  std::vector<std::string> left;         ///< what may still be done at the participants, in words
  std::size_t calls = 0;                 ///< made by the check itself, beside those of its sagas

  std::size_t count(Standing standing) const;
  /// Not checked, and accepted by no option.
  std::size_t open() const;
  /// `broken` before `unreachable` before `not_all_checked`.
  Conclusion conclusion() const;
};

struct Signal {
  std::string name;
  Json payload;
};

/// A pair that need not be checked, as `--accept STEP:PROMISE` names it.
struct Accepted {
  std::string step;
  std::string promise;
};

struct Options {
  /// `${run}` in a text of it becomes new for every saga. Null: made from the schema.
  Json input;
  std::map<std::string, std::string>
      base_urls;                         ///< by the name in the definition, or as registered
  std::map<std::string, Json> services;  ///< registered services, as documents
  std::vector<std::string> steps;        ///< empty: all
  bool pairs_only = false;  ///< only steps with an undo: every saga is undone, nothing is left done
  std::vector<Accepted> accept;
  std::vector<Signal> signals;  ///< sent when a saga starts; they wait for their step
  std::vector<std::string> allow_hosts;
  std::string secrets;        ///< directory; empty: none
  Duration patience{60'000};  ///< how long one saga may take
  std::string version = "0";  ///< for User-Agent
  std::function<void(const std::string&)> progress = [](const std::string&) {};
};

/// @param definitions as JSON text: the one to check, then those of its sub-sagas.
/// Threads: blocks the caller; `progress` is called on its thread.
/// @return invalid/definition-invalid with the findings, invalid/step-unknown,
/// invalid/accept-unknown, invalid/service-missing, invalid/INPUT_INVALID
Result<Report> check(std::vector<std::string> definitions, const Options& options);
Json to_json(const Report& report);

}  // namespace backstitch::contract_check
