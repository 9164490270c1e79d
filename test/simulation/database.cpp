#include "database.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace backstitch::simulation {
namespace {

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
            if (result.outcome != engine::AppendOutcome::failed) result = std::move(*next++);
          }
          done(std::move(results));
        });
}

void Database::write(const Caller& caller, std::vector<engine::Append> batch, AppendDone done) {
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
