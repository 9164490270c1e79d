#include <nlohmann/json.hpp>

#include <backstitch/base/digest.hpp>
#include <backstitch/base/json_text.hpp>

#include <backstitch/engine/machine/masking.hpp>

#include "../machine/limits.hpp"
#include "admission.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// What its sender said, whatever the active version and its defaults make of it.
AskedFor asked_for(const StartRequest& request, const std::string& stored_input) {
  std::string input = json_text(request.input);
  std::string hash = sha256_hex(request.definition + '\n' + input);
  if (input == stored_input) input.clear();
  return {std::move(hash), request.version, std::move(input)};
}

/// The caller's key first: where it is known, nothing else counts.
std::vector<StartKey> keys_of(const StartRequest& request, const std::optional<ParentLink>& parent,
                              const std::optional<std::string>& business_key,
                              dsl::BusinessKeyReuse reuse, std::optional<std::int64_t> generation) {
  std::vector<StartKey> keys;
  const bool reuses = business_key && reuse == dsl::BusinessKeyReuse::after_failed;
  if (request.idempotency_key) keys.push_back({"key", *request.idempotency_key});
  if (parent && reuses) keys.push_back({"child", parent->saga.text() + "/" + parent->step});
  if (business_key)
    keys.push_back({"business:" + request.definition, *business_key, reuses && !keys.empty(),
                    parent ? std::nullopt : generation});
  return keys;
}

Error key_of_removed(const AppendResult& result) {
  return {ErrorCode::conflict,
          "start-removed",
          std::string(result.by_business_key ? "The business key" : "The idempotency key") +
              " started the saga " + result.existing.text() +
              ", which has ended and was removed; use another key.",
          {},
          result.existing.text()};
}

Error reused(bool business_key, const std::string& key, SagaId holder) {
  if (business_key) {
    return {ErrorCode::conflict,
            "business-key-reused",
            "The business key `" + key + "` belongs to the saga " + holder.text() +
                ", which has other input; use another key, or the input and version that it was "
                "started with.",
            {},
            holder.text()};
  }
  return {ErrorCode::conflict,
          "idempotency-key-reused",
          "The idempotency key `" + key + "` started the saga " + holder.text() +
              " with other input or of another version; use a new key.",
          {},
          holder.text()};
}

Error not_written(AppendOutcome outcome) {
  switch (outcome) {
    case AppendOutcome::refused:
      return {ErrorCode::invalid, "content-refused", "The database cannot store this input."};
    case AppendOutcome::failed:
      return store_failed();
    case AppendOutcome::blocked:
      return {ErrorCode::unavailable, "start-pending",
              "A transaction that has used this key has not ended; try again."};
    case AppendOutcome::reserved:
      return {ErrorCode::unavailable, "start-pending",
              "A start under this key has not been taken up yet; try again."};
    case AppendOutcome::regenerated:
      return {ErrorCode::unavailable, "start-pending",
              "Other starts under this business key begin and fail; try again."};
    case AppendOutcome::conflict:
    case AppendOutcome::fenced:
      return {ErrorCode::unavailable, "saga-owned-elsewhere",
              "This node lost the shard; try again."};
    case AppendOutcome::written:
    case AppendOutcome::duplicate:
    case AppendOutcome::unknown:
    case AppendOutcome::abandoned:
      break;
  }
  return {ErrorCode::outcome_unknown, "outcome-unknown",
          "It is not known whether the saga was started; repeat the start under its key."};
}

/// Another node may have registered the definition, or made another version active.
bool may_be_out_of_date(const StartRequest& request, const Error& error) {
  return error.reason == "definition-not-found" ||
         (error.reason == "INPUT_INVALID" && !request.version);
}

/// Of a start that met a key.
Result<StartReply> known_start(const AppendResult& result, const std::string& idempotency_key,
                               const std::string& business_key) {
  if (result.same_input) return StartReply{result.existing, false};
  if (result.removed) return key_of_removed(result);
  return reused(result.by_business_key, result.by_business_key ? business_key : idempotency_key,
                result.existing);
}

}  // namespace

/// A proxy, a client or a person that repeats a start without a key starts another saga.
std::optional<Error> Reactor::lacks_key(const StartRequest& request,
                                        const Prepared& prepared) const {
  if (!node_.options.require_keys || request.idempotency_key || prepared.business_key)
    return std::nullopt;
  return Error{ErrorCode::invalid, "key-required",
               "This server takes no start without a key, because its repetition would start a "
               "second saga; send an `Idempotency-Key` (in a batch `idempotencyKey`), or a "
               "`businessKey`."};
}

std::optional<Error> Node::hindrance() const {
  if (!ports.store->reachable()) return ports.store->unreachable_reason();
  if (!on_hold) return std::nullopt;
  return Error{ErrorCode::unavailable, "database-on-hold",
               "The database is on hold until an operator sets `hold` in backstitch.lineage to "
               "false."};
}

std::optional<Error> Reactor::not_admitted() const {
  const Options& options = node_.options;
  if (node_.closing)
    return Error{ErrorCode::unavailable, "shutting-down",
                 "This node is stopping; try another or later."};
  if (auto hindrance = node_.hindrance()) {
    hindrance->message += " Nothing was started; try again when this is over.";
    return hindrance;
  }
  if (shards_.empty() || !may_act()) {
    return Error{ErrorCode::unavailable, "no-shards",
                 "This node holds no shards at the moment; try again."};
  }
  if (node_.starts_waiting.load(std::memory_order_relaxed) >= options.starts_waiting_max ||
      journal_.waiting() >= options.journal_queue_max ||
      node_.resident.load(std::memory_order_relaxed) >= options.sagas_resident_max) {
    return Error{ErrorCode::overloaded, "overloaded",
                 "More sagas are running than this node takes; try again later."};
  }
  return std::nullopt;
}

Result<Reactor::Prepared> Reactor::prepare(const StartRequest& request) const {
  return attempted(SagaId{}, [&] { return prepared(request); });
}

Result<Reactor::Prepared> Reactor::prepared(const StartRequest& request) const {
  auto program = registry_.program(request.definition, request.version);
  if (!program) return std::move(program).error();
  auto input = admit_input(*program->definition, request.input);
  if (!input) return std::move(input).error();
  Prepared ready{std::move(*program), std::move(*input), {}, request.business_key};
  ready.input_text = json_text(ready.input);
  if (ready.input_text.size() > node_.options.input_bytes_max) {
    return Error{ErrorCode::invalid, "input-too-large",
                 "The input has " + std::to_string(ready.input_text.size()) + " bytes; at most " +
                     std::to_string(node_.options.input_bytes_max) + " are taken."};
  }
  if (!ready.business_key) {
    auto key = business_key_of(ready.program, ready.input);
    if (!key) return std::move(key).error();
    ready.business_key = std::move(*key);
  }
  if (ready.business_key) {
    if (auto flaw = business_key_flaw(*ready.business_key)) return std::move(*flaw);
  }
  return ready;
}

NewSaga Reactor::new_saga(const StartRequest& request, const Prepared& prepared,
                          const SagaState& state, std::optional<std::int64_t> generation) const {
  NewSaga saga;
  saga.definition = state.definition;
  saga.version = state.version;
  saga.business_key = state.business_key;
  saga.labels = Json(state.labels).dump();
  saga.input = prepared.input_text;
  saga.deadline = state.deadline;
  saga.started_at = state.started_at;
  if (state.parent) saga.parent = state.parent->saga;
  saga.keys = keys_of(request, state.parent, state.business_key,
                      prepared.program.definition->business_key_reuse, generation);
  saga.sensitive = stored_taints(*prepared.program.definition, state.sensitive);
  if (!saga.keys.empty()) saga.asked = asked_for(request, prepared.input_text);
  return saga;
}

Append Reactor::first_append(const Actor& actor, Transition& transition,
                             const StartRequest& request, const Prepared& prepared,
                             std::optional<std::int64_t> generation) {
  Append append;
  append.saga = actor->id;
  append.epoch = actor->epoch;
  append.events = records_of(transition);
  actor->notices = notices_of(*actor->program.definition, transition);
  actor->state = std::move(transition.next);
  actor->unfinished = transition.cut;
  transition.next = {};
  actor->wake = next_wake(actor->state);
  actor->stored_status = to_text(SagaStatus::running);
  actor->stored_wake = falls_asleep(actor);
  append.start = new_saga(request, prepared, actor->state, generation);
  append.row = row_change(*actor, actor->stored_wake);
  if (append.row) actor->stored_status = append.row->status;
  actor->appending = true;
  return append;
}

void Reactor::append_first(Append append, std::function<void(const AppendResult&)> done) {
  std::uint32_t& on_their_way = first_appends_[append.saga.shard()];
  ++on_their_way;
  journal_.append(std::move(append), [self = shared_from_this(), &on_their_way,
                                      done = std::move(done)](const AppendResult& result) {
    --on_their_way;
    done(result);
  });
}

void Reactor::start(StartRequest request, StartDone done, bool up_to_date) {
  if (auto error = not_admitted()) return done(std::move(*error));
  if (auto error = admit_start(request)) return done(std::move(*error));
  auto prepared = prepare(request);
  if (!prepared && !up_to_date && may_be_out_of_date(request, prepared.error()))
    return start_up_to_date(std::move(request), std::move(done));
  if (!prepared) return refuse_unless_known(request, prepared.error(), std::move(done));
  if (auto error = lacks_key(request, *prepared)) return done(std::move(*error));
  start_prepared(std::move(request), std::move(*prepared), 0, std::move(done));
}

/// @param generation  of its business key; nearly always the first, so it is tried without asking
void Reactor::start_prepared(StartRequest request, Prepared prepared, std::int64_t generation,
                             StartDone done) {
  Start first{new_saga_id(), prepared.input, request.labels, prepared.business_key};
  first.identity = {generation, request.idempotency_key.value_or("")};
  auto begun = begin(std::move(first), request, prepared);
  if (!begun) return refuse_unless_known(request, begun.error(), std::move(done));
  node_.starts_waiting.fetch_add(1, std::memory_order_relaxed);
  append_first(std::move(begun->append),
               [self = shared_from_this(), actor = std::move(begun->actor),
                effects = std::move(begun->effects), done = std::move(done),
                request = std::move(request), generation](const AppendResult& result) {
                 self->node_.starts_waiting.fetch_sub(1, std::memory_order_relaxed);
                 // One that fails meanwhile makes the next generation; that many do is not to be
                 // expected.
                 if (result.outcome == AppendOutcome::regenerated && generation == 0)
                   return self->start_again(request, result.generation, done);
                 self->start_written(actor, result, request.idempotency_key.value_or(""), effects,
                                     done);
               });
}

void Reactor::start_again(const StartRequest& request, std::int64_t generation,
                          const StartDone& done) {
  if (auto error = not_admitted()) return done(std::move(*error));
  auto prepared = prepare(request);
  if (!prepared) return done(std::move(prepared).error());
  start_prepared(request, std::move(*prepared), generation, done);
}

Result<Reactor::Begun> Reactor::begin(Start start, const StartRequest& request,
                                      const Prepared& prepared) {
  const Pulse::Work at(pulse, start.id);
  return attempted(start.id, [&]() -> Result<Begun> {
    auto actor = std::make_shared<SagaActor>();
    actor->id = start.id;
    actor->epoch = epochs_[start.id.shard()].value_or(Epoch{});
    actor->program = prepared.program;
    const auto generation = start.identity.generation;
    start.lineage = node_.lineage;
    Transition transition = decide(actor->program, {}, stimulus_of(std::move(start)));
    if (transition.refused) return *transition.refused;
    Append append = first_append(actor, transition, request, prepared, generation);
    return Begun{std::move(actor), std::move(append), std::move(transition.effects)};
  });
}

SagaId Reactor::new_saga_id() {
  Random& random = *node_.ports.random;
  const Shard shard = shards_[random.next() % shards_.size()];
  return SagaId::make(now(), random.next(), random.next(), shard);
}

/// A start that this node or its database could not take just now is neither: nothing is wrong with
/// it, and the node does not protect itself.
void Reactor::count_refused(const Error& error) {
  switch (error.code) {
    case ErrorCode::overloaded:
      counters.starts_refused.fetch_add(1, std::memory_order_relaxed);
      return;
    case ErrorCode::invalid:
    case ErrorCode::not_found:
    case ErrorCode::conflict:
    case ErrorCode::forbidden:
      counters.starts_invalid.fetch_add(1, std::memory_order_relaxed);
      return;
    case ErrorCode::unavailable:
    case ErrorCode::outcome_unknown:
    case ErrorCode::fenced:
    case ErrorCode::internal:
      return;
  }
}

/// What is wrong with it now may have been right when it was sent first: a key is looked up before
/// its start is refused.
void Reactor::refuse_unless_known(const StartRequest& request, Error error, StartDone done) {
  const auto program = registry_.program(request.definition, request.version);
  if (program) error = without_values(std::move(error), *program->definition);
  const auto reuse = program ? program->definition->business_key_reuse : dsl::BusinessKeyReuse{};
  Append append;
  append.start =
      NewSaga{.keys = keys_of(request, std::nullopt, request.business_key, reuse, std::nullopt),
              .asked = asked_for(request, "")};
  if (append.start->keys.empty()) return done(std::move(error));
  append.saga = new_saga_id();
  append.epoch = *epochs_[append.saga.shard()];
  append.only_asks = true;
  journal_.append(std::move(append),
                  [error = std::move(error), done = std::move(done),
                   idempotency_key = request.idempotency_key.value_or(""),
                   business_key = request.business_key.value_or("")](const AppendResult& result) {
                    if (result.outcome == AppendOutcome::duplicate)
                      return done(known_start(result, idempotency_key, business_key));
                    const bool unknown = result.outcome == AppendOutcome::unknown;
                    done(unknown ? error : not_written(result.outcome));
                  });
}

void Reactor::start_written(const Actor& actor, const AppendResult& result,
                            const std::string& idempotency_key, const std::vector<Effect>& effects,
                            const StartDone& done) {
  if (result.outcome == AppendOutcome::duplicate) {
    auto known = known_start(result, idempotency_key, actor->state.business_key.value_or(""));
    if (!known) return done(without_values(known.error(), *actor->program.definition));
    return done(std::move(known));
  }
  if (result.outcome != AppendOutcome::written) return done(not_written(result.outcome));
  counters.starts.fetch_add(1, std::memory_order_relaxed);
  admit_written(actor);
  done(StartReply{actor->id, true});
  written(actor, result, effects, {}, actor->stored_wake);
}

/// Another node may have registered a moment ago what this one does not know.
void Reactor::start_up_to_date(StartRequest request, StartDone done) {
  registry_.refresh([self = shared_from_this(), request = std::move(request),
                     done = std::move(done)](const Result<Done>&) mutable {
    auto& executor = self->executor_;
    executor.post(
        [self = std::move(self), request = std::move(request), done = std::move(done)]() mutable {
          self->start(std::move(request), std::move(done), true);
        });
  });
}

}  // namespace backstitch::engine
