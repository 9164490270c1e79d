#include "recorder.hpp"

#include <algorithm>

#include <backstitch/dsl/json_gate.hpp>

namespace backstitch::rehearsal {
namespace {

using namespace engine;

struct Place {
  std::size_t depth = 0;
  std::string label;
};

/// How deep a path is in blocks that have begun, and what is left of it below the innermost.
Place place_of(const SagaState& state, const std::string& path) {
  Place place{0, path};
  for (auto slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    std::string block = path.substr(0, slash);
    std::string iteration;
    if (block.ends_with("]")) {
      const auto bracket = block.rfind('[');
      iteration = block.substr(bracket) + " ";
      block.resize(bracket);
    }
    if (!state.blocks.contains(block)) continue;
    ++place.depth;
    place.label = iteration + path.substr(slash + 1);
  }
  return place;
}

bool is_at_rest(const SagaState& state) {
  return !is_active(state) && (is_terminal(state.status) || !has_call_in_flight(state));
}

}  // namespace

void Recorder::append(std::size_t lane, std::vector<Append> batch,
                      std::function<void(std::vector<AppendResult>)> done) {
  store_.append(lane, batch,
                [this, batch, done = std::move(done)](std::vector<AppendResult> results) {
                  for (std::size_t i = 0; i < batch.size(); ++i) {
                    if (results[i].outcome == AppendOutcome::written) record(batch[i]);
                  }
                  done(std::move(results));
                });
}

void Recorder::record(const Append& append) {
  std::vector<Moment> moments;
  Saga& saga = sagas_[append.saga];
  for (const auto& record : append.events) {
    const auto event = decode(record);
    BACKSTITCH_INVARIANT(event.has_value(), "the engine can read what it writes");
    if (const auto* started = std::get_if<SagaStarted>(&event->body))
      begin(saga, append.saga, *started);
    apply(*saga.definition, saga.state, *event);
    moments.push_back(moment_of(saga, append.saga, record));
  }
  at_rest_ = std::all_of(sagas_.begin(), sagas_.end(),
                         [](const auto& entry) { return is_at_rest(entry.second.state); });
  for (auto& moment : moments) {
    timeline_.push_back(std::move(moment));
    // A copy, because more may be recorded before this returns.
    if (on_moment) on_moment(Moment(timeline_.back()));
  }
}

void Recorder::begin(Saga& saga, SagaId id, const SagaStarted& started) {
  saga.definition = find_(started.definition, started.version);
  saga.state.id = id;
  if (!started.parent) return;
  const Saga& parent = sagas_.at(started.parent->saga);
  saga.depth = parent.depth + place_of(parent.state, started.parent->step).depth + 1;
}

Moment Recorder::moment_of(const Saga& saga, SagaId id, const EventRecord& record) const {
  const EventRecord shown = engine::Masking(*saga.definition, saga.state).masked(record);
  Place place = place_of(saga.state, record.path);
  return {record.at,
          record.at - start_,
          id,
          saga.definition->name,
          record.type,
          record.path,
          saga.depth + place.depth,
          std::move(place.label),
          dsl::stored_json(shown.data)};
}

void Recorder::refused(SagaId saga, TimePoint at, const std::string& what, const Error& why) {
  const Saga& known = sagas_.at(saga);
  timeline_.push_back({at,
                       at - start_,
                       saga,
                       known.definition->name,
                       "Refused",
                       "",
                       known.depth,
                       "",
                       {{"what", what}, {"code", why.reason}, {"message", why.message}}});
}

}  // namespace backstitch::rehearsal
