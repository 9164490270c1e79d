#pragma once
/// Whether the participants of a definition keep their promises: calls them as the engine would,
/// repeats, cuts off and overtakes its own calls, and judges what comes back. The calls are real.
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <backstitch/base/json.hpp>
#include <backstitch/base/result.hpp>
#include <backstitch/base/time.hpp>

namespace backstitch::contract_check {

/// What a participant must promise for one step; see docs/participant-contract.md.
enum class Promise {
  repeat,           ///< the action again under its key: the same answer
  cut_off,          ///< the connection cut after the request, then the action again: it is settled
  undo,             ///< the undo of what was done succeeds
  undo_again,       ///< and once more
  action_after,     ///< the action again after that: refused, or the first answer again
  undo_of_nothing,  ///< the undo of an action that never came succeeds
  late_action,      ///< and the action that comes after it is refused
  probe,            ///< a probe finds what was done
  seal,             ///< a sealed probe that found nothing keeps the action out
  in_time           ///< every answer comes within the attempt's time
};
/// As JSON spells it: `undo-of-nothing`.
const char* to_text(Promise promise);
/// In words: `an undo of nothing succeeds`.
const char* title_of(Promise promise);

enum class Standing { holds, broken, not_checkable };
const char* to_text(Standing standing);

struct Finding {
  std::string step;
  Promise promise = Promise::repeat;
  Standing standing = Standing::holds;
  std::string expected;  ///< broken: what should have come
  std::string came;  ///< broken: what came; not checkable: why; holds: what was seen, if it matters
  std::string advice;  ///< broken: what to do about it
};

struct Report {
  std::string definition;
  std::vector<std::pair<std::string, std::string>> services;  ///< name and base URL
  std::vector<Finding> findings;                              ///< in the order of the steps
  std::vector<std::string> left;  ///< what may still stand at the participants, in words
  std::size_t calls = 0;          ///< made by the check itself, beside those of its sagas
  bool kept() const;              ///< nothing is broken, and something holds
};

struct Signal {
  std::string name;
  Json payload;
};

struct Options {
  /// `${run}` in a text of it becomes new for every saga. Null: made from the schema.
  Json input;
  std::map<std::string, std::string>
      base_urls;                         ///< by the name in the definition, or as registered
  std::map<std::string, Json> services;  ///< registered services, as documents
  std::vector<std::string> steps;        ///< empty: all
  bool pairs_only = false;  ///< only steps with an undo: every saga is undone, nothing is left done
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
/// invalid/service-missing, invalid/INPUT_INVALID
Result<Report> check(std::vector<std::string> definitions, const Options& options);
Json to_json(const Report& report);

}  // namespace backstitch::contract_check
