#include "saga_actor.hpp"

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>
#include <backstitch/base/match.hpp>

#include "admission.hpp"

namespace backstitch::engine {
namespace {

Error corrupt(SagaId id, const std::string& what) {
  return {ErrorCode::internal, "log-corrupt", "The log of " + id.text() + " " + what + "."};
}

Result<SagaState> fold(const dsl::Definition& definition, SagaId id,
                       const std::vector<EventRecord>& events) {
  SagaState state;
  state.id = id;
  for (const auto& record : events) {
    if (record.sequence.get() != state.sequence.get() + 1) {
      return corrupt(id, "has a gap before " + std::to_string(record.sequence.get()));
    }
    const auto event = decode(record);
    if (!event) return event.error();
    apply(definition, state, *event);
  }
  return state;
}

}  // namespace

std::optional<RowChange> row_change(const SagaActor& actor, bool sleeping) {
  const SagaState& state = actor.state;
  const std::string status = to_text(state.status);
  // A suspended saga that goes on all the same has to be found by the node that takes it over.
  const bool goes_on = state.status == SagaStatus::suspended && is_active(state);
  if (status == actor.stored_status && (sleeping || goes_on) == actor.stored_wake && !sleeping)
    return std::nullopt;
  RowChange row;
  row.status = status;
  if (!state.output.is_null()) row.output = json_text(state.output);
  if (state.failure) {
    row.failure = json_text(to_json(*state.failure));
    row.failure_code = state.failure->code;
  } else if (!state.suspensions.empty()) {
    row.failure_code = state.suspensions.front().reason;
  }
  row.pivot_passed = state.pivot_passed;
  row.ended_at = state.ended_at;
  const auto& retention = actor.program.definition->retention;
  if (state.ended_at && retention && !state.parent) row.expires_at = *state.ended_at + *retention;
  if (sleeping) row.wake_at = actor.sleeps_until;
  if (goes_on) row.wake_at = state.suspensions.front().since;
  return row;
}

std::vector<EventRecord> records_of(const Transition& transition) {
  std::vector<EventRecord> records;
  records.reserve(transition.events.size());
  std::int64_t sequence =
      transition.next.sequence.get() - static_cast<std::int64_t>(transition.events.size());
  for (const auto& event : transition.events)
    records.push_back(encode(event, Sequence{++sequence}));
  return records;
}

Error saga_not_found(SagaId saga) {
  return {ErrorCode::not_found, "saga-not-found", "There is no saga " + saga.text() + "."};
}

Error store_failed() {
  return {ErrorCode::unavailable, "store-failed",
          "The database refused the statement; the log of the server says why, and an operator has "
          "to look at it."};
}

Result<Program> program_of(const Registry& registry, const StoredSaga& stored) {
  if (stored.events.empty()) return corrupt(stored.id, "is empty");
  const auto first = decode(stored.events.front());
  if (!first) return first.error();
  const auto* started = std::get_if<SagaStarted>(&first->body);
  if (started == nullptr) return corrupt(stored.id, "has no start");
  return registry.program(started->definition, started->version);
}

Result<FoldedLog> folded_log(const Registry& registry, const StoredSaga& stored) {
  auto program = program_of(registry, stored);
  if (!program) return std::move(program).error();
  try {
    auto state = fold(*program->definition, stored.id, stored.events);
    if (!state) return std::move(state).error();
    return FoldedLog{std::move(*program), std::move(*state)};
  } catch (const std::exception& bug) {
    return corrupt(stored.id, std::string("does not fold: ") + bug.what());
  }
}

Result<FoldedLog> promised_log(const Registry& registry, const InboxItem& start) {
  auto written = read_promised_start(start);
  if (!written) return std::move(written).error();
  StartRequest& request = written->request;
  auto program = registry.program(request.definition, written->version);
  if (!program) return std::move(program).error();
  SagaStarted started{.definition = request.definition,
                      .version = written->version,
                      .input = std::move(request.input),
                      .labels = std::move(request.labels),
                      .business_key = std::move(request.business_key),
                      .deadline = {}};
  SagaState state;
  state.id = start.saga;
  apply(*program->definition, state, {start.at, std::move(started)});
  state.sequence = {};
  return FoldedLog{std::move(*program), std::move(state)};
}

std::optional<AuditEntry> audit_of(const StimulusBody& body) {
  const auto entry = [](const std::string& by, const char* action, const std::string& reason,
                        Json detail) {
    return std::optional(AuditEntry{by, action, reason, json_text(detail)});
  };
  return std::visit(
      Match{[&](const Cancel& c) { return entry(c.by, "cancel", c.reason, Json::object()); },
            [&](const Retry& c) { return entry(c.by, "retry", c.reason, Json::object()); },
            [&](const Suspend& c) {
              return entry(c.by, "suspend", c.reason, {{"step", c.step}});
            },
            [&](const Skip& c) {
              return entry(c.by, "skip", c.reason, {{"step", c.step}});
            },
            [&](const Resolve& c) {
              Json detail{{"step", c.step}, {"as", to_text(c.as)}};
              if (c.output) detail["output"] = *c.output;
              if (c.captured) detail["captured"] = *c.captured;
              return entry(c.by, "resolve", c.reason, std::move(detail));
            },
            [](const Start&) { return std::optional<AuditEntry>{}; },
            [](const CallEnded&) { return std::optional<AuditEntry>{}; },
            [](const Tick&) { return std::optional<AuditEntry>{}; },
            [](const TakenOver&) { return std::optional<AuditEntry>{}; },
            [](const Signal&) { return std::optional<AuditEntry>{}; },
            [](const Callback&) { return std::optional<AuditEntry>{}; },
            [](const ChildChanged&) { return std::optional<AuditEntry>{}; },
            [](const UndoneByParent&) { return std::optional<AuditEntry>{}; },
            [](const ContentRefused&) { return std::optional<AuditEntry>{}; },
            [](const Quarantine&) { return std::optional<AuditEntry>{}; }},
      body);
}

SagaActor::Refusal refusal_of(const StimulusBody& body) {
  SagaActor::Refusal refusal;
  refusal.is_command = is_command(body);
  refusal.again = std::holds_alternative<ContentRefused>(body);
  if (const auto* again = std::get_if<ContentRefused>(&body)) refusal.suspends = *again;
  if (const auto* ended = std::get_if<CallEnded>(&body))
    refusal.suspends = {ended->path, ended->phase, ended->attempt};
  return refusal;
}

std::optional<AuditEntry> audit_of_refused(const StimulusBody& body) {
  const auto* signal = std::get_if<Signal>(&body);
  if (signal == nullptr) return std::nullopt;
  const Json detail{{"signal", signal->name}, {"payload", signal->payload}};
  return AuditEntry{signal->by, "signal-refused", "",
                    detail.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

}  // namespace backstitch::engine
