#pragma once
#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace backstitch::examples {

/// What a request came to. Spelled in the ledger as here, with `-` for `_`.
enum class Effect {
  accepted,   ///< the action will be decided later
  done,       ///< the action took effect
  captured,   ///< the money was taken: the point of no return took effect
  undone,     ///< an effect that stood was taken back
  noop_undo,  ///< an undo found nothing to take back and closed the key
  refused,    ///< an action without effect, for good
  closed,     ///< a sealed probe found nothing and closed the key
  probed,     ///< a probe found the effect
  unseen,     ///< a probe that promises nothing found nothing
  replayed,   ///< known already: the stored answer was given again
  notified    ///< the decision about an accepted action was told, and the answer to that was 2xx
};

std::string_view to_text(Effect effect);

struct Entry {
  std::int64_t seq = 0;  ///< given by the ledger, from 1
  std::string service;
  std::string saga;
  std::string step;
  std::string phase;
  std::string subject;      ///< what it is about, e.g. `holds/17`
  std::string key;          ///< of this request; for `closed` and `probed` the key asked about
  std::string compensates;  ///< in an undo, the key of the action
  int attempt = 0;
  Effect effect = Effect::done;
  bool undoable = false;  ///< `done` only: there is an undo for it
  unsigned status = 0;
  std::string answer;
  std::string decision;  ///< `accepted` only: the answer if nothing comes in between
  std::string notify;    ///< `accepted` only: the URL to tell the decision to; empty: nobody asked

  bool is_effect() const { return effect == Effect::done || effect == Effect::captured; }
};

/// Everything the participants did, in order; optionally also in a file, one JSON line an entry.
/// The file outlives the process (not the machine: it is not synced).
/// Threads: none of its own; the owner serialises calls.
class Ledger {
 public:
  Ledger() = default;
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  /// Reads back what `file` holds and appends to it from now on. Returns what is wrong, if
  /// anything. A last line cut short by a crash is dropped: its request was never answered.
  std::optional<std::string> open(const std::string& file);

  void append(Entry entry);
  void clear();
  const std::deque<Entry>& entries() const { return entries_; }

 private:
  std::optional<std::string> read_back(const std::string& text);

  std::deque<Entry> entries_;  ///< grows without moving: a vector would pause under load
  int file_ = -1;
};

nlohmann::json to_json(const Entry& entry);

}  // namespace backstitch::examples
