#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/machine/machine.hpp>
#include <backstitch/engine/ports/executor.hpp>
#include <backstitch/engine/ports/store.hpp>
#include <backstitch/engine/runtime/registry.hpp>

#include "call_queue.hpp"
#include "notices.hpp"

namespace backstitch::engine {

/// Called when a stimulus has had its effect, or has been refused.
using Settled = std::function<void(Result<Done>)>;

/// Where a command came from.
struct Origin {
  std::int64_t inbox = 0;  ///< its number in the inbox; 0: it came another way
  bool by_sql = false;     ///< nobody waits for its answer
  std::string idempotency_key{};
};

/// One saga in memory. Plain data that its reactor works on: one stimulus at a time is decided,
/// what arrives while its append is on the way waits here.
struct SagaActor {
  struct Pending {
    StimulusBody body;
    Settled settled;
    std::optional<AuditEntry> audit;
    Origin origin;
  };

  /// What follows if the store cannot hold what was decided.
  struct Refusal {
    ContentRefused suspends;
    bool is_command = false;  ///< whoever sent it is told, and the saga goes on
    bool again = false;       ///< it is what followed that was refused
  };

  /// A call that waits in the queue of its service.
  struct Queued {
    CallParticipant effect;
    std::shared_ptr<CallQueue> queue;
    CallQueue::Ticket ticket;
    bool held = false;  ///< every connection to the service is refused
  };

  SagaId id;
  Epoch epoch;
  Program program;
  SagaState state;
  bool appending = false;
  bool withdrew = false;          ///< a queued call, for what is being appended
  bool unfinished = false;        ///< its last transition was cut, and goes on after its append
  bool dropped = false;           ///< no longer this reactor's: nothing more is done with it
  std::vector<Notice> notices;    ///< of the append in flight; told when it is committed
  std::deque<Pending> pending;    ///< bounded by pending_max
  std::vector<Queued> queued;     ///< at most one a phase of an open step
  std::optional<TimePoint> wake;  ///< when the machine wants a Tick
  std::optional<TimePoint> sleeps_until;  ///< set while it is on its way out of memory
  std::uint64_t timer = 0;                ///< 0: none is set
  SteadyTime looked_around{};             ///< at the sagas it waits for
  std::string stored_status;              ///< of the row
  bool stored_wake = false;  ///< the row has a time: the saga sleeps, or goes on while suspended
  bool ended = false;        ///< it is counted among the ended

  static constexpr std::size_t pending_max = 1'000;

  std::vector<QueuedCall> queued_calls() const {
    std::vector<QueuedCall> calls;
    for (const auto& call : queued)
      calls.push_back({call.effect.path, call.effect.phase, call.held});
    return calls;
  }
};

/// What a transition changes in the saga's row; nothing if the row stays as it is.
/// `sleeping`: the saga leaves memory until `sleeps_until`.
std::optional<RowChange> row_change(const SagaActor& actor, bool sleeping);
/// The events of a transition as log rows; the last has the state's sequence.
std::vector<EventRecord> records_of(const Transition& transition);
Error saga_not_found(SagaId saga);
/// Of an append that the store failed at, for whatever reason.
Error store_failed();
/// A log with the program it runs by.
struct FoldedLog {
  Program program;
  SagaState state;
};
/// What a log runs by, from its first event.
/// @return internal/log-corrupt, or not_found/definition-not-found
Result<Program> program_of(const Registry& registry, const StoredSaga& stored);
/// @return internal/log-corrupt, or why the definition is not there
Result<FoldedLog> folded_log(const Registry& registry, const StoredSaga& stored);
/// Of a start by SQL that has not been taken up: the saga runs, and has done nothing.
Result<FoldedLog> promised_log(const Registry& registry, const InboxItem& start);
/// What an operator's command leaves in the audit; nothing for other stimuli.
std::optional<AuditEntry> audit_of(const StimulusBody& body);
SagaActor::Refusal refusal_of(const StimulusBody& body);
/// What a signal from SQL leaves there when it is refused.
std::optional<AuditEntry> audit_of_refused(const StimulusBody& body);
/// A command as it lies in the inbox: its kind and the JSON text of its data; nothing for what no
/// inbox carries. And back, from the JSON of its data: invalid/inbox-corrupt.
struct WrittenCommand {
  std::string kind;
  std::string data;
};
bool is_command(const StimulusBody& body);  ///< whether an inbox carries it
std::optional<WrittenCommand> written_command(const StimulusBody& body,
                                              const std::string& idempotency_key);
Result<StimulusBody> read_command(const std::string& kind, const Json& json);
/// An answer in the inbox, and back.
std::string written_error(const Error& error);
/// What the node has answered: empty for done, and for done before.
std::string written_answer(const Result<Done>& answer);
Result<Done> read_answer(const std::string& text);

}  // namespace backstitch::engine
