#include "simulation.hpp"

#include <algorithm>
#include <exception>

#include "checker.hpp"
#include "cluster.hpp"
#include "outside_world.hpp"

namespace backstitch::simulation {
namespace {

/// The longest that anything here may take once faults have stopped: retries are up to five minutes
/// apart, and what was sent last may be on its way for one.
constexpr Duration drained_within{40 * 60'000};
/// For what was asked late: timers that fire, answers that find nobody.
constexpr Duration aftermath{30'000};

class Simulation {
 public:
  Simulation(std::uint64_t seed, Corpus& corpus, bool traced)
      : scene_(seed, traced),
        corpus_(corpus),
        database_(scene_),
        services_(scene_, [this](const std::string& url,
                                 const Answer& answer) { outside_.post(url, answer); }),
        network_(scene_, services_),
        cluster_(scene_, database_, network_),
        outside_(scene_, database_, cluster_, corpus) {
    scene_.trace.note("seed", seed, ": ", scene_.plan.text());
  }

  Outcome play() {
    outside_.begin();
    for (const auto& service : corpus_.services()) services_.names.push_back(service.name);
    services_.names.insert(services_.names.end(), 8, "s");
    cluster_.begin();
    services_go_down();
    database_goes_back();
    scene_.world.run_for(scene_.plan.faults_for);
    const bool drained = scene_.plan.drain && drain();
    Evidence evidence = collect();
    evidence.drained = drained;
    evidence.timely = scene_.plan.is_timely();
    for (auto& violation : check(evidence)) scene_.violated(violation);
    cover(evidence, scene_.coverage);
    return outcome();
  }

 private:
  void services_go_down() {
    const Duration every = scene_.plan.events.service_down;
    if (every.count() == 0) return;
    scene_.outside.call_after(scene_.between(every.count() / 4, every.count() * 7 / 4), [this] {
      if (!scene_.faults) return;
      services_.go_down(scene_.between(500, 20'000));
      services_go_down();
    });
  }

  /// A failover to a standby that lags, or a restore.
  void database_goes_back() {
    const Duration every = scene_.plan.lost_tail;
    if (every.count() == 0) return;
    const auto wait = every.count() / 4 + static_cast<std::int64_t>(scene_.more_dice.below(
                                              static_cast<std::size_t>(every.count() * 3 / 2)));
    scene_.outside.call_after(Duration{wait}, [this] {
      if (!scene_.faults) return;
      const std::size_t appends = scene_.more_dice.pick({1, 1, 2, 3, 5, 8, 13, 30});
      scene_.trace.note("database", "is set back by ", appends, " batches of appends");
      database_.set_back(appends);
      outside_.repeat_starts();
      database_goes_back();
    });
  }

  /// @return whether all came to rest
  bool drain() {
    scene_.faults = false;
    scene_.trace.note("world", "faults have stopped");
    cluster_.heal();
    outside_.finish();
    const auto at_rest = [this] {
      return outside_.quiet() && services_.quiet() && network_.quiet() && all_taken_up() &&
             std::all_of(database_.sagas().begin(), database_.sagas().end(), [](const auto& saga) {
               return saga.second.ended() || saga.second.status() == "SUSPENDED";
             });
    };
    const auto rests = [&] {
      if (!at_rest()) return false;
      // What people try with a suspended saga may set it going again.
      scene_.world.run_for(aftermath);
      return at_rest();
    };
    if (scene_.world.run_until(rests, drained_within)) return true;
    for (const auto& [id, saga] : database_.sagas()) {
      if (!saga.ended() && saga.status() != "SUSPENDED")
        scene_.violated("I10: " + id.text() + " is " + saga.status() + ", " +
                        to_text(drained_within) + " after the last fault");
    }
    if (scene_.violations.empty())
      scene_.violated(std::string("I10: not everything came to rest:") +
                      (outside_.quiet() ? "" : " the outside world waits") +
                      (services_.quiet() ? "" : " a participant is undecided") +
                      (network_.quiet() ? "" : " something is on its way") +
                      (all_taken_up() ? "" : " a start by SQL was not taken up"));
    return false;
  }

  /// What was started by SQL waits in the inbox until a node takes it up.
  bool all_taken_up() const {
    const auto& starts = outside_.starts();
    return std::all_of(starts.begin(), starts.end(), [&](const StartTold& start) {
      return !start.by_sql ||
             std::all_of(start.sagas.begin(), start.sagas.end(), [&](const auto& text) {
               const SagaId id = *SagaId::parse(text);
               return database_.sagas().count(id) > 0 || database_.has_forgotten(id);
             });
    });
  }

  Evidence collect() {
    Evidence evidence;
    evidence.documents = &corpus_.documents();
    evidence.ledger = services_.ledger();
    evidence.starts = outside_.starts();
    evidence.commands = outside_.commands();
    evidence.lost = database_.lost();
    for (const SagaId id : database_.forgotten()) evidence.forgotten.insert(id.text());
    for (const auto& [saga, entry] : database_.store().audited())
      evidence.audited.emplace_back(saga.text(), entry.actor);
    std::vector<SagaId> ids;
    for (const auto& [id, saga] : database_.sagas()) ids.push_back(id);
    bool rows_read = false;
    bool logs_read = false;
    database_.store().load(ids, [&](const Result<std::vector<engine::StoredSaga>>& stored) {
      for (const auto& saga : *stored) {
        auto& log = evidence.logs[saga.id.text()];
        for (const auto& event : saga.events)
          log.push_back({event.sequence.get(), event.type, event.path, Json::parse(event.data),
                         event.at.time_since_epoch().count()});
      }
      logs_read = true;
    });
    engine::ListQuery all;
    all.limit = 500;
    database_.store().list(all, [&](const Result<std::vector<engine::SagaSummary>>& rows) {
      for (const auto& row : *rows) evidence.rows[row.id.text()] = {row.status, row.failure};
      rows_read = true;
    });
    scene_.world.run_until([&] { return rows_read && logs_read; });
    return evidence;
  }

  Outcome outcome() {
    Outcome out;
    out.violations = scene_.violations;
    out.trace = scene_.trace.lines();
    out.coverage = scene_.coverage;
    out.sagas = database_.sagas().size();
    out.appends = database_.written();
    out.virtual_millis = scene_.trace.millis();
    return out;
  }

  Scene scene_;
  Corpus& corpus_;
  Database database_;
  Services services_;
  Network network_;
  Cluster cluster_;
  OutsideWorld outside_;
};

}  // namespace

Outcome simulate(std::uint64_t seed, Corpus& corpus, bool traced) {
  Simulation simulation(seed, corpus, traced);
  return simulation.play();
}

}  // namespace backstitch::simulation
