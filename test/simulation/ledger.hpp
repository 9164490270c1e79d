#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace backstitch::simulation {

/// What a participant did with one request, in the order of time over all participants.
struct LedgerEntry {
  enum class What {
    done,           ///< the action took effect
    replayed,       ///< it had before: the same answer again
    refused,        ///< known not done, and it stays so
    refused_late,   ///< its undo, or a sealed "no", came first
    accepted,       ///< to be decided later
    undone,         ///< what the action did is gone
    undone_unseen,  ///< there was nothing to undo, and there will not be
    undone_again,
    sealed  ///< a probe was told "not seen", which closes the key
  };
  What what = What::done;
  std::int64_t at = 0;  ///< milliseconds of virtual time
  std::string service;
  std::string key;      ///< of the action
  std::string own_key;  ///< of the request: differs from `key` in an undo
  std::string saga;
  std::string path;
  std::string phase;
  std::string request;  ///< method, target and body
};
using Ledger = std::vector<LedgerEntry>;

const char* word_for(LedgerEntry::What what);

}  // namespace backstitch::simulation
