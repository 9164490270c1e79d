/// Commands that came by way of the store: from nodes that do not hold the saga, and from SQL.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>

#include "admission.hpp"
#include "reactor.hpp"

namespace backstitch::engine {
namespace {

constexpr std::size_t inbox_page = 200;

/// Also with the same input: the saga's own id has been promised.
Error key_reused(SagaId existing) {
  const std::string message = "The business key belongs to the saga " + existing.text() + ".";
  return {ErrorCode::conflict,
          "BUSINESS_KEY_REUSED",
          message,
          {{"/businessKey", "business-key-reused", message}}};
}

}  // namespace

void Reactor::look_into_inbox() {
  scan_inbox(false, 0);
  scan_inbox(true, 0);
}

/// What cannot be taken now waits in the store, which is why nothing has to be refused.
std::size_t Reactor::inbox_room(bool starts) const {
  const auto left = [](std::size_t most, std::size_t used) {
    return most > used ? most - used : 0;
  };
  const Options& options = node_.options;
  std::size_t room = std::min(inbox_page, left(options.inbox_taken_max, taken_.size()));
  if (!starts) return room;
  const std::size_t resident = node_.resident.load(std::memory_order_relaxed);
  room = std::min(room, left(options.sagas_resident_max, resident + taken_.size()));
  return std::min(room, left(options.journal_queue_max, journal_.waiting()));
}

void Reactor::scan_inbox(bool starts, std::int64_t after) {
  InboxScan& scan = inbox_scans_[starts ? 1 : 0];
  if (after == 0) {
    if (scan.running) {
      scan.again = true;
      return;
    }
    scan.all = executor_.now() >= scan.all_at;
    if (!scan.all) after = scan.from;
  }
  const std::size_t room = inbox_room(starts);
  scan.running = room > 0 && !shards_.empty() && may_act() && !node_.closing;
  if (!scan.running) return;
  node_.ports.inbox->waiting(
      {.shards = shards_, .starts = starts, .after = after, .limit = room},
      [self = shared_from_this(), starts, room](Result<std::vector<InboxItem>> items) {
        auto& executor = self->executor_;
        executor.post([self, starts, room, items = std::move(items)] {
          InboxScan& own = self->inbox_scans_[starts ? 1 : 0];
          const bool good = items.has_value() && self->may_act();
          const std::size_t count = good ? items->size() : 0;
          for (std::size_t i = 0; i < count; ++i) self->take((*items)[i]);
          if (count > 0) own.seen = std::max(own.seen, items->back().id);
          if (count > 0 && count == room) return self->scan_inbox(starts, items->back().id);
          own.running = false;
          if (good && own.all) self->all_scanned(own);
          if (std::exchange(own.again, false)) self->scan_inbox(starts, 0);
        });
      });
}

/// Numbers come out of order: what commits late may be below what was seen. So the usual scan
/// begins where the last but one of everything ended. One that failed is made again.
void Reactor::all_scanned(InboxScan& scan) {
  scan.all_at = executor_.now() + node_.options.due_lookback;
  scan.from = std::exchange(scan.settled, scan.seen);
}

/// Its number may be below where the usual scan begins.
void Reactor::give_back(const InboxItem& item) {
  taken_.erase(item.id);
  inbox_scans_[item.kind == "start" ? 1 : 0].scan_all_again();
}

/// For appends that only settle an item.
void Reactor::settled(const InboxItem& item, const AppendResult& result) {
  if (result.outcome == AppendOutcome::fenced || result.outcome == AppendOutcome::abandoned)
    give_back(item);
  else
    taken_.erase(item.id);
}

void Reactor::take(const InboxItem& item) {
  // It may have been read before it was settled: then its append is refused, and nothing is lost.
  if (!epochs_[item.saga.shard()] || !taken_.insert(item.id).second) return;
  if (item.kind == "start") return take_start(item);
  auto written = read_command(item);
  if (!written) return refuse_command(item, written.error());
  command(item.saga, std::move(written->body),
          [weak = weak_from_this(), item](const Result<Done>& done) {
            const auto self = weak.lock();
            if (!self) return;
            const bool gone = !done && done.error().code == ErrorCode::not_found;
            const bool unstorable = !done && done.error().reason == "content-refused";
            if (gone || unstorable) return self->refuse_command(item, done.error());
            // Refused or done it has left the inbox; anything else, and it is still there.
            const bool left = done || done.error().code == ErrorCode::conflict ||
                              done.error().code == ErrorCode::invalid;
            left ? static_cast<void>(self->taken_.erase(item.id)) : self->give_back(item);
          },
          {item.id, item.node.empty(), std::move(written->idempotency_key)});
}

/// For what no saga can settle.
void Reactor::refuse_command(const InboxItem& item, const Error& why) {
  node_.ports.observer->note(Level::warning, "command-refused",
                             {{"saga", item.saga.text()}, {"why", why.message}});
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
  StartRequest chosen = start->request;
  chosen.version = start->version;
  auto prepared = prepare(chosen);
  if (!prepared) {
    // Registered a moment ago, and not known here yet.
    if (prepared.error().code == ErrorCode::not_found)
      give_back(item);
    else
      refuse_start(item, prepared.error());
    return;
  }
  auto actor = std::make_shared<SagaActor>();
  actor->id = item.saga;
  actor->epoch = *epochs_[item.saga.shard()];
  actor->program = prepared->program;
  Start begin{item.saga, prepared->input, chosen.labels, prepared->business_key};
  begin.accepted_at = item.at;
  Transition transition = decide(actor->program, {}, stimulus_of(std::move(begin)));
  if (transition.refused) return refuse_start(item, *transition.refused);
  Append append = first_append(actor, transition, start->request, *prepared);
  append.inbox = InboxSettled{item.id, {}};
  append_first(
      std::move(append),
      [self = shared_from_this(), actor, item, effects = std::move(transition.effects)](
          const AppendResult& result) { self->start_taken(actor, item, result, effects); });
}

void Reactor::start_taken(const Actor& actor, const InboxItem& item, const AppendResult& result,
                          const std::vector<Effect>& effects) {
  switch (result.outcome) {
    case AppendOutcome::written:
      taken_.erase(item.id);
      counters.starts.fetch_add(1, std::memory_order_relaxed);
      admit_written(actor);
      return written(actor, result, effects, {}, actor->stored_wake);
    case AppendOutcome::duplicate:
      return refuse_start(item, key_reused(result.existing));
    case AppendOutcome::refused:
      return refuse_start(
          item, {ErrorCode::invalid, "INPUT_INVALID", "the database cannot store this input"});
    case AppendOutcome::reserved:
    case AppendOutcome::unknown:
    case AppendOutcome::conflict:
    case AppendOutcome::fenced:
    case AppendOutcome::abandoned:
      give_back(item);  // it is still in the inbox, or somebody else has taken it
  }
}

/// Its transaction was told the saga's id, so the saga has to be: it FAILED, and nothing was done.
void Reactor::refuse_start(const InboxItem& item, const Error& why) {
  auto written = read_promised_start(item);
  if (!written) return refuse_command(item, written.error());
  const StartRequest& request = written->request;
  Start start{item.saga, request.input, request.labels, request.business_key};
  start.refusal = failure_of_start(why);
  append_refused(item, *written, std::move(start));
}

/// What cannot even be written down is left out.
void Reactor::refuse_unstorable(const InboxItem& item) {
  auto written = read_promised_start(item);
  if (!written) return refuse_command(item, written.error());
  Start start{item.saga, nullptr, {}, std::nullopt};
  start.refusal =
      failure_of_start({ErrorCode::invalid, "INPUT_INVALID",
                        "The database cannot store this start; its " +
                            std::to_string(item.data.size()) + " bytes were left out."});
  append_refused(item, *written, std::move(start));
}

void Reactor::append_refused(const InboxItem& item, const WrittenStart& written, Start start) {
  const StartRequest& request = written.request;
  const auto program = registry_.program(request.definition, written.version);
  if (!program) return refuse_command(item, program.error());
  auto actor = std::make_shared<SagaActor>();
  actor->id = item.saga;
  actor->epoch = epochs_[item.saga.shard()].value_or(Epoch{});
  actor->program = *program;
  const bool is_whole = !start.input.is_null();
  const Prepared prepared{*program, start.input, json_text(start.input), std::nullopt};
  start.accepted_at = item.at;
  Transition transition = decide(actor->program, {}, stimulus_of(std::move(start)));
  Append append = first_append(actor, transition, request, prepared);
  // The business key that SQL has reserved is free again; the caller's is the saga's.
  append.start->keys.clear();
  if (!is_whole) append.start->asked.input.clear();
  append.inbox = InboxSettled{item.id, {}};
  append_first(std::move(append),
               [weak = weak_from_this(), item, is_whole](const AppendResult& result) {
                 const auto self = weak.lock();
                 if (!self) return;
                 const bool refused = result.outcome == AppendOutcome::refused;
                 if (refused && is_whole) return self->refuse_unstorable(item);
                 // The database refuses everything, it seems.
                 refused ? self->give_back(item) : self->settled(item, result);
               });
}

}  // namespace backstitch::engine
