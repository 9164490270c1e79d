#pragma once
/// What a simulation leaves behind, in plain data: all that the checker gets to see.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "ledger.hpp"

namespace backstitch::simulation {

struct LogLine {
  std::int64_t sequence = 0;
  std::string type;
  std::string path;
  nlohmann::json data;
  std::int64_t at = 0;
};

struct StoredRow {
  std::string status;
  std::string failure;  ///< JSON text or empty
};

/// What the store had of a saga when it was set back to an earlier content, and lost.
struct LostTail {
  std::string saga;
  std::vector<LogLine> log;  ///< from the first event on
  std::size_t kept = 0;      ///< so many are still there
};

/// A start that a client asked for, however often.
struct StartTold {
  std::string label;  ///< given to every saga of this start, and to no other
  std::vector<std::string> sagas;
  bool by_sql = false;  ///< promised by the database, taken up later; such a saga has no label
  bool has_key = false;
};

/// A command that was answered as done.
struct CommandTold {
  std::string saga;
  std::string what;  ///< signal, cancel, retry, suspend, skip, resolve
  std::string by;    ///< unique
};

struct Evidence {
  std::map<std::string, std::vector<LogLine>> logs;
  std::map<std::string, StoredRow> rows;
  std::vector<LostTail> lost;
  std::set<std::string> forgotten;  ///< sagas that the store had, or had promised, before that
  const std::map<std::string, nlohmann::json>* documents = nullptr;  ///< by name
  Ledger ledger;
  std::vector<StartTold> starts;
  std::vector<CommandTold> commands;
  std::vector<std::pair<std::string, std::string>> audited;  ///< saga, who
  bool timely = false;   ///< no fault that delays a node or its appends was planned
  bool drained = false;  ///< faults had stopped and nothing was on its way any more
};

}  // namespace backstitch::simulation
