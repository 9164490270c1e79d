#include "database.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace backstitch::simulation {
namespace {

/// A database never goes back by more batches than this.
constexpr std::size_t copies_max = 40;
constexpr TimePoint clock_start{Duration{1'767'225'600'000}};

std::string types_of(const engine::Append& item) {
  std::string text;
  for (const auto& event : item.events) {
    text += (text.empty() ? "" : ", ") + event.type;
    if (!event.path.empty()) text += " " + event.path;
  }
  return text;
}

}  // namespace

Database::Database(Scene& scene)
    : scene_(scene),
      executor_(scene.world),
      store_(executor_, clock_start),
      origin_(executor_.now()),
      ownership_(scene) {
  store_.on_free_shards([this] {
    for (const auto& hint : free_hints_) hint();
  });
  store_.on_arrival([this] {
    for (const auto& hint : arrival_hints_) hint();
  });
}

TimePoint Database::now() const {
  return clock_start + std::chrono::duration_cast<Duration>(executor_.now() - origin_);
}

void Database::set_clock(Duration by) {
  // Nodes hear of a clock that was set back at their next renewal, or stop acting.
  if (by < Duration{0}) latest_ = latest() + scene_.plan.lease * 2 / 3;
  executor_.jump(by);
}

Duration Database::away_for() const {
  if (reachable()) return Duration{0};
  return std::chrono::duration_cast<Duration>(away_until_ - scene_.world.now()) + Duration{1};
}

void Database::append(const Caller& caller, std::vector<engine::Append> batch, AppendDone done) {
  std::vector<engine::AppendResult> results(batch.size());
  std::vector<engine::Append> written;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    // The store compares the epoch alone, and an epoch that was lost may come again.
    if (era() > 0 && !ownership_.is_held_by(caller.node, batch[i].saga.shard())) {
      results[i].outcome = engine::AppendOutcome::fenced;
      continue;
    }
    if (!scene_.strikes(scene_.plan.database.lacks)) {
      written.push_back(std::move(batch[i]));
      continue;
    }
    scene_.coverage.reached(Rare::append_lacked);
    results[i].outcome = engine::AppendOutcome::failed;
    results[i].unwritten = std::make_shared<engine::Append>(std::move(batch[i]));
  }
  write(caller, std::move(written),
        [results = std::move(results),
         done = std::move(done)](std::vector<engine::AppendResult> others) mutable {
          auto next = others.begin();
          for (auto& result : results) {
            const bool is_decided = result.outcome == engine::AppendOutcome::failed ||
                                    result.outcome == engine::AppendOutcome::fenced;
            if (!is_decided) result = std::move(*next++);
          }
          done(std::move(results));
        });
}

void Database::keep_copy() {
  if (scene_.plan.lost_tail.count() == 0) return;
  copies_.push_back({++copies_made_, store_.content(), ownership_.holders(), sagas_});
  if (copies_.size() > copies_max) copies_.pop_front();
}

void Database::set_back(std::size_t appends) {
  if (copies_.empty()) return;
  const std::size_t lost = std::min(appends, copies_.size());
  const Copy copy = copies_[copies_.size() - lost];
  copies_.erase(copies_.end() - static_cast<std::ptrdiff_t>(lost), copies_.end());
  ++era_;
  store_.set_back(*copy.content);
  ownership_.set_back(copy.holders);
  for (const auto& [saga, number] : promised_)
    if (number >= copy.number) forgotten_.insert(saga);
  const auto before = std::exchange(sagas_, copy.sagas);
  for (const auto& [id, fold] : before) {
    const auto kept = sagas_.find(id);
    if (kept != sagas_.end()) kept->second.remember(fold);
    const std::size_t events = kept == sagas_.end() ? 0 : kept->second.events();
    if (events < logs_[id].size()) note_lost(id, events);
  }
}

void Database::note_lost(SagaId saga, std::size_t kept) {
  auto& log = logs_[saga];
  scene_.trace.note("database", "forgets ", saga.text().substr(24), " behind +", kept);
  scene_.coverage.reached(kept == 0 ? Rare::start_forgotten : Rare::tail_forgotten);
  lost_.push_back({saga.text(), log, kept});
  if (kept == 0 && !promised_.contains(saga)) forgotten_.insert(saga);
  for (std::size_t i = kept; i < log.size(); ++i) {
    const auto by = log[i].data.find("by");
    if (by != log[i].data.end() && by->is_string()) lost_senders_.insert(by->get<std::string>());
  }
  log.resize(kept);
}

void Database::start_by_sql(SagaId saga, const std::string& definition, std::int64_t version,
                            const std::string& input) {
  promised_[saga] = copies_made_;
  store_.start_by_sql(saga, definition, version, input, std::nullopt);
}

void Database::write(const Caller& caller, std::vector<engine::Append> batch, AppendDone done) {
  keep_copy();
  const auto items = std::make_shared<const std::vector<engine::Append>>(batch);
  store_.append(
      0, std::move(batch),
      [this, caller, items, done = std::move(done)](std::vector<engine::AppendResult> results) {
        for (std::size_t i = 0; i < items->size(); ++i) {
          const auto& item = (*items)[i];
          const auto outcome = results[i].outcome;
          if (outcome == engine::AppendOutcome::written && !item.events.empty())
            look_at(caller, item);
          if (outcome == engine::AppendOutcome::fenced)
            scene_.coverage.reached(Rare::append_fenced);
          if (outcome == engine::AppendOutcome::conflict) scene_.coverage.reached(Rare::conflict);
          if (outcome != engine::AppendOutcome::written && scene_.trace.kept())
            scene_.trace.note("database", caller.node, " is not let write to ", item.saga.text(),
                              ": outcome ", static_cast<int>(outcome), ": ", types_of(item));
        }
        done(std::move(results));
      });
}

void Database::look_at(const Caller& caller, const engine::Append& item) {
  ++written_;
  const std::string id = item.saga.text();
  if (scene_.trace.kept())
    scene_.trace.note("database", id.substr(id.size() - 12), " +", item.expected.get() + 1, " by ",
                      caller.node, "/", caller.process, ": ", types_of(item),
                      item.row ? " [" + item.row->status + "]" : "");
  ownership_.written(caller.node, item.saga.shard(), item.epoch.get(), id);
  StatusFold& saga = sagas_[item.saga];
  const TimePoint latest = this->latest();
  for (const auto& event : item.events) {
    if (scene_.plan.lost_tail.count() > 0)
      logs_[item.saga].push_back({event.sequence.get(), event.type, event.path,
                                  Json::parse(event.data), event.at.time_since_epoch().count()});
    if (event.at > latest)
      scene_.violated("I8: " + id + ": " + event.type + " is dated ahead of the database's clock");
    saga.event(event.type, event.path, event.data);
  }
  if (item.row) saga.row(item.row->status);
  if (saga.row() != saga.status())
    scene_.violated("I6: " + id + ": its log says " + saga.status() + ", its row " + saga.row());
  if (!saga.after_end().empty()) scene_.violated("I9: " + id + ": " + saga.after_end());
}

void Database::renew(const Caller& caller, engine::LeaseRequest request, RenewDone done) {
  const bool first = request.first;
  store_.renew(std::move(request), [this, caller, first,
                                    done = std::move(done)](Result<engine::LeaseAnswer> answer) {
    for (const auto& held : answer->held)
      ownership_.told(caller.node, caller.process, held.shard, held.epoch.get(), first);
    done(std::move(answer));
  });
}

void Database::give_up(const Caller& caller, engine::NodeIdentity node, std::vector<Shard> shards,
                       std::function<void(Result<Done>)> done) {
  store_.give_up(std::move(node), shards,
                 [this, caller, shards, done = std::move(done)](Result<Done> given_up) {
                   scene_.coverage.reached(Rare::shards_handed_over);
                   for (const auto shard : shards)
                     ownership_.released(caller.node, caller.process, shard);
                   done(std::move(given_up));
                 });
}

void Database::release(const Caller& caller, engine::NodeIdentity node,
                       std::function<void(Result<Done>)> done) {
  store_.release(std::move(node), [this, caller, done = std::move(done)](Result<Done> released) {
    for (std::size_t shard = 0; shard < 256; ++shard)
      ownership_.released(caller.node, caller.process, shard);
    done(std::move(released));
  });
}

}  // namespace backstitch::simulation
