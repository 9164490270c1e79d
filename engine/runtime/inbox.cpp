/// Commands that came by way of the store: from nodes that do not hold the saga, and from SQL.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/digest.hpp>
#include <backstitch/base/json_text.hpp>

#include "admission.hpp"
#include "inbox_poller.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

/// Also with the same input: the saga's own id has been promised.
Error key_reused(SagaId existing) {
  const std::string message = "The business key belongs to the saga " + existing.text() + ".";
  return {ErrorCode::conflict,
          "BUSINESS_KEY_REUSED",
          message,
          {{"/businessKey", "business-key-reused", message}},
          existing.text()};
}

/// As it was written, for a saga of which nothing is evaluated.
}  // namespace

void Reactor::take_items(const std::vector<InboxItem>& items) {
  for (const InboxItem& item : items) take(item);
}

/// More commands may wait after the last of a full lot, which the poll has left out.
void Reactor::leave(const InboxItem& item, bool is_settled) {
  if (taken_.erase(item.id) > 0) node_.inbox_taken.fetch_sub(1, std::memory_order_relaxed);
  if (auto waits = when_left_.extract(item.id)) waits.mapped()();
  if (!is_settled) node_.inbox->read_again_later(item.saga);
  const auto lot = lots_.find(item.saga);
  if (item.kind == "start" || lot == lots_.end() || --lot->second.open > 0) return;
  const bool may_have_more = lot->second.given >= inbox_lot_max;
  lots_.erase(lot);
  if (!may_have_more || !is_settled) return;
  node_.inbox->read_again(item.saga);
  node_.inbox->poll_soon();
}

void Reactor::give_back(const InboxItem& item) {
  leave(item, false);
}

/// Nothing is wrong with the store, so it would fail again and again.
void Reactor::fail(const InboxItem& item, const Error& why) {
  const Error answer{ErrorCode::internal, "command-set-aside",
                     "The command failed again and again and was set aside: " + why.message};
  node_.ports.inbox->failed(
      {item.id, why.message, written_error(answer)},
      [weak = weak_from_this(), item, message = why.message](Result<bool> set_aside) {
        const auto self = weak.lock();
        if (!self) return;
        self->executor_.post([self, item, message, gone = set_aside && *set_aside] {
          self->leave(item, gone);
          if (!gone) return;
          self->counters.inbox_set_aside.fetch_add(1, std::memory_order_relaxed);
          self->node_.ports.observer->note(Level::error, "command-set-aside",
                                           {{"saga", item.saga.text()},
                                            {"command", item.kind},
                                            {"inbox", std::to_string(item.id)},
                                            {"why", message}});
        });
      });
}

/// For appends that only settle an item.
void Reactor::settled(const InboxItem& item, const AppendResult& result) {
  switch (result.outcome) {
    case AppendOutcome::blocked:
    case AppendOutcome::regenerated:
    case AppendOutcome::fenced:
    case AppendOutcome::failed:
    case AppendOutcome::abandoned:
      return give_back(item);
    case AppendOutcome::refused:
      return fail(item, {ErrorCode::internal, "content-refused",
                         "The database refuses to settle the command."});
    case AppendOutcome::written:
    case AppendOutcome::duplicate:
    case AppendOutcome::unknown:
    case AppendOutcome::reserved:
    case AppendOutcome::conflict:
      return leave(item, true);
  }
}

void Reactor::take(const InboxItem& item) {
  // It may have been read before it was settled: then its append is refused, and nothing is lost.
  // A shard that is not held any more is read from the beginning by the node that gains it.
  if (!epochs_[item.saga.shard()] || !taken_.insert(item.id).second) {
    node_.inbox_taken.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  if (item.kind != "start") {
    Lot& lot = lots_[item.saga];
    ++lot.open;
    ++lot.given;
  }
  // The poll may have been answered long ago: a node that was paused knows neither whether the
  // shard is still its own nor what time it is.
  if (!may_act()) return give_back(item);
  suspects_.test(item.saga.shard()) ? take_carefully(item) : work_on(item);
}

/// Of a suspect shard: see strikes.cpp.
void Reactor::take_carefully(const InboxItem& item) {
  work_carefully(
      {item.saga,
       [self = shared_from_this(), item](Task survived) {
         self->when_left_[item.id] = std::move(survived);
         // It has waited for its turn.
         const bool is_ours = self->epochs_[item.saga.shard()] && self->may_act();
         is_ours ? self->work_on(item) : self->give_back(item);
       },
       [self = shared_from_this(), item](bool is_first) { self->strike_out(item, is_first, 0); },
       [] {}});
}

void Reactor::work_on(const InboxItem& item) {
  if (item.kind == "start") return take_start(item);
  auto written = read_command(item);
  if (!written) return refuse_command(item, written.error());
  command(item.saga, std::move(written->body),
          [weak = weak_from_this(), item](const Result<Done>& done) {
            if (const auto self = weak.lock()) self->command_done(item, done);
          },
          {item.id, item.node.empty(), std::move(written->idempotency_key)});
}

/// What the saga has answered, be it a refusal, has left the inbox with the saga's own append.
void Reactor::command_done(const InboxItem& item, const Result<Done>& done) {
  if (done) return leave(item, true);
  if (done.error().reason == "content-refused") return refuse_command(item, done.error());
  switch (done.error().code) {
    case ErrorCode::conflict:
    case ErrorCode::invalid:
    case ErrorCode::forbidden:
      return leave(item, true);
    case ErrorCode::not_found:
      return refuse_command(item, done.error());
    case ErrorCode::internal:
      return fail(item, done.error());
    case ErrorCode::overloaded:
    case ErrorCode::unavailable:
    case ErrorCode::outcome_unknown:
    case ErrorCode::fenced:
      return give_back(item);
  }
}

/// Whoever may send signals must not be able to fill the log; the audit has each of them.
void Reactor::note_refused(const InboxItem& item, const Error& why) {
  if (!refusals_.tells(executor_.now(), refusal_told_every)) {
    ++refusals_untold_;
    return;
  }
  node_.ports.observer->note(Level::warning, "command-refused",
                             {{"saga", item.saga.text()},
                              {"why", why.message},
                              {"leftOut", std::to_string(std::exchange(refusals_untold_, 0))}});
}

/// For what no saga can settle: by its number alone, with the answer to its sender.
void Reactor::refuse_command(const InboxItem& item, const Error& why) {
  counters.inbox_refused.fetch_add(1, std::memory_order_relaxed);
  note_refused(item, why);
  Append append;
  append.saga = item.saga;
  append.epoch = epochs_[item.saga.shard()].value_or(Epoch{});
  append.expected = Sequence{-1};
  append.inbox = InboxSettled{item.id, written_error(why)};
  // Nobody waits for the answer but who looks there.
  if (item.node.empty())
    append.audit = AuditEntry{"sql", item.kind + "-refused", why.message, "{}"};
  journal_.append(std::move(append), [weak = weak_from_this(), item](const AppendResult& result) {
    if (const auto self = weak.lock()) self->settled(item, result);
  });
}

void Reactor::take_start(const InboxItem& item) {
  auto start = read_start(item);
  if (!start) return refuse_start(item, start.error());
  begin_start(item, *start, 0);
}

/// However often a start is taken up, its steps have the same keys.
Start Reactor::promised_start(const InboxItem& item, const StartRequest& request,
                              std::int64_t generation) const {
  Start start{item.saga, request.input, request.labels, request.business_key};
  start.accepted_at = item.at;
  start.identity = {generation, request.idempotency_key.value_or("")};
  // A server that is gone may have had it taken up already.
  start.is_set_back = node_.lineage > 1 && item.at < node_.lineage_since.load();
  return start;
}

void Reactor::begin_start(const InboxItem& item, const WrittenStart& start,
                          std::int64_t generation) {
  StartRequest chosen = start.request;
  chosen.version = start.version;
  auto prepared = prepare(chosen);
  if (!prepared) {
    // Registered a moment ago, and not known here yet.
    if (prepared.error().code == ErrorCode::not_found)
      give_back(item);
    else
      refuse_start(item, prepared.error());
    return;
  }
  Start first = promised_start(item, chosen, generation);
  first.input = prepared->input;
  first.business_key = prepared->business_key;
  auto begun = begin(std::move(first), start.request, *prepared);
  if (!begun) return refuse_start(item, begun.error());
  begun->append.inbox = InboxSettled{item.id, {}};
  append_first(std::move(begun->append),
               [self = shared_from_this(), actor = std::move(begun->actor), item, start, generation,
                effects = std::move(begun->effects)](const AppendResult& result) {
                 const bool again = result.outcome == AppendOutcome::regenerated && generation == 0;
                 if (again) return self->begin_start(item, start, result.generation);
                 self->start_taken(actor, item, result, effects);
               });
}

void Reactor::start_taken(const Actor& actor, const InboxItem& item, const AppendResult& result,
                          const std::vector<Effect>& effects) {
  switch (result.outcome) {
    case AppendOutcome::written:
      leave(item, true);
      counters.starts.fetch_add(1, std::memory_order_relaxed);
      admit_written(actor);
      return written(actor, result, effects, {}, actor->stored_wake);
    case AppendOutcome::duplicate:
      return refuse_start(item, key_reused(result.existing));
    case AppendOutcome::refused:
      return refuse_start(
          item, {ErrorCode::invalid, "INPUT_INVALID", "the database cannot store this input"});
    case AppendOutcome::blocked:
    case AppendOutcome::reserved:
    case AppendOutcome::regenerated:
    case AppendOutcome::unknown:
    case AppendOutcome::conflict:
    case AppendOutcome::fenced:
    case AppendOutcome::failed:
    case AppendOutcome::abandoned:
      give_back(item);  // it is still in the inbox, or somebody else has taken it
  }
}

/// Its transaction was told the saga's id, so the saga has to be: it FAILED, and nothing was done.
void Reactor::refuse_start(const InboxItem& item, const Error& why) {
  count_refused(why);
  // After a bug the next reader would trip as well.
  auto written = read_promised_start(item);
  if (!written || why.code == ErrorCode::internal) return refuse_without_input(item, why);
  Start start = promised_start(item, written->request, 0);
  start.refusal = failure_of_start(why);
  append_refused(item, *written, std::move(start));
}

/// Nodes were lost over it, so it is not looked into any more: a start is a suspended saga. Only
/// its business key is made, without which its steps would have other keys than they may have had;
/// not again, if that was what brought the last node down.
void Reactor::strike_out(const InboxItem& item, bool is_first, std::int64_t generation) {
  const Quarantine why = repeatedly_lost();
  const Error error{ErrorCode::internal, why.reason, why.message};
  if (item.kind != "start") return refuse_command(item, error);
  auto written = read_promised_start(item);
  if (!written) return refuse_without_input(item, error);
  Start start = promised_start(item, written->request, generation);
  start.quarantine = why;
  if (is_first && !start.business_key) {
    StartRequest chosen = written->request;
    chosen.version = written->version;
    if (const auto prepared = prepare(chosen)) start.business_key = prepared->business_key;
  }
  const auto regenerated = [self = shared_from_this(), item, is_first,
                            generation](std::int64_t now_known) {
    if (generation != 0) return self->give_back(item);
    self->strike_out(item, is_first, now_known);
  };
  append_refused(item, *written, std::move(start), regenerated);
}

/// What can be neither read nor written down is left out; the columns say what the start is of.
void Reactor::refuse_without_input(const InboxItem& item, const Error& why) {
  counters.inbox_refused.fetch_add(1, std::memory_order_relaxed);
  Start start{item.saga, nullptr, {}, std::nullopt};
  start.accepted_at = item.at;
  start.refusal = failure_of_unreadable_start(item, why);
  append_refused(item, named_start(item), std::move(start));
}

void Reactor::append_refused(const InboxItem& item, const WrittenStart& written, Start start,
                             const std::function<void(std::int64_t)>& regenerated) {
  const StartRequest& request = written.request;
  const auto program = registry_.program(request.definition, written.version);
  if (!program) {
    // It was there when the start was written, so it will be known here.
    if (program.error().code == ErrorCode::not_found) return give_back(item);
    return fail(item, program.error());
  }
  const bool is_whole = !start.input.is_null();
  const bool is_refused = start.refusal.has_value();
  const Prepared prepared{*program, start.input, json_text(start.input), std::nullopt};
  auto begun = begin(std::move(start), request, prepared);
  // Settled it would never have been, though its caller has its id.
  if (!begun) return fail(item, begun.error());
  Append append = std::move(begun->append);
  // The business key that SQL has reserved is free again; the caller's is the saga's.
  if (is_refused) append.start->keys.clear();
  if (!is_whole) append.start->asked = {.hash = sha256_hex(item.data)};
  append.inbox = InboxSettled{item.id, {}};
  append_first(std::move(append),
               [weak = weak_from_this(), item, is_whole, regenerated](const AppendResult& result) {
                 const auto self = weak.lock();
                 if (!self) return;
                 if (result.outcome == AppendOutcome::regenerated && regenerated)
                   return regenerated(result.generation);
                 if (result.outcome != AppendOutcome::refused || !is_whole)
                   return self->settled(item, result);
                 self->refuse_without_input(item, {ErrorCode::invalid, "content-refused",
                                                   "The database cannot store this start."});
               });
}

}  // namespace backstitch::engine
