#include "cluster.hpp"

#include <algorithm>
#include <utility>

namespace backstitch::simulation {

Cluster::Cluster(Scene& scene, Database& database, Network& network)
    : scene_(scene), database_(database), network_(network) {
  const std::size_t nodes = scene.plan.nodes;
  for (std::size_t i = 0; i < nodes; ++i) {
    auto place = std::make_unique<Place>();
    place->name = std::string("node-") + static_cast<char>('a' + i);
    // Without spares every node is needed to hold them all.
    if (!scene.plan.spares) place->shards_max = (256 + nodes - 1) / nodes;
    places_.push_back(std::move(place));
  }
}

void Cluster::begin() {
  for (const auto& place : places_) boot(*place);
  const auto& events = scene_.plan.events;
  now_and_then(events.kill, [this] { kill(); });
  now_and_then(events.pause, [this] { pause(); });
  now_and_then(events.stop, [this] { stop(); });
  now_and_then(events.outage, [this] {
    const Duration time = scene_.between(100, 12'000);
    scene_.coverage.reached(Rare::database_unreachable);
    scene_.trace.note("database", "cannot be reached for ", to_text(time));
    database_.go_away(time);
  });
  now_and_then(events.clock_jump, [this] {
    const bool back = scene_.dice.chance(40);
    const bool far = !back && scene_.dice.chance(25);
    const Duration by = far ? scene_.between(60'000, 5'400'000) : scene_.between(500, 15'000);
    scene_.coverage.reached(back ? Rare::clock_backward : Rare::clock_forward);
    scene_.trace.note("database", "the clock is set ", back ? "back by " : "forward by ",
                      to_text(by));
    database_.set_clock(back ? -by : by);
  });
}

void Cluster::now_and_then(Duration every, std::function<void()> what) {
  if (every.count() == 0) return;
  const Duration wait = scene_.between(every.count() / 4, every.count() * 7 / 4);
  scene_.outside.call_after(wait, [this, every, what = std::move(what)] {
    if (!scene_.faults) return;
    what();
    now_and_then(every, what);
  });
}

void Cluster::boot(Place& place) {
  place.process = std::make_unique<Process>(scene_, database_, network_,
                                            Caller{place.name, ++processes_}, place.shards_max);
  scene_.trace.note(place.name, "process ", processes_, " begins");
  place.process->open();
}

void Cluster::bury(Place& place) {
  left_behind_.push_back(place.process->ports());
  place.process.reset();
}

Cluster::Place* Cluster::pick(const std::function<bool(const Place&)>& wanted) {
  std::vector<Place*> found;
  for (const auto& place : places_) {
    if (wanted(*place)) found.push_back(place.get());
  }
  return found.empty() ? nullptr : scene_.dice.pick(found);
}

Process* Cluster::any() {
  Place* place = pick([](const Place& one) { return one.process && !one.process->stopping(); });
  return place == nullptr ? nullptr : place->process.get();
}

std::size_t Cluster::running() const {
  return static_cast<std::size_t>(std::count_if(
      places_.begin(), places_.end(), [](const auto& place) { return place->process != nullptr; }));
}

void Cluster::kill() {
  Place* place = pick([](const Place& one) { return one.process != nullptr; });
  if (place == nullptr) return;
  if (place->process->life().calls_open > 0) scene_.coverage.reached(Rare::killed_with_calls);
  scene_.trace.note(place->name, "is killed");
  bury(*place);
  // Only where others can take everything over may a node be gone for good.
  if (scene_.plan.spares && running() > 0 && scene_.dice.chance(25)) {
    place->abandoned = true;
    scene_.coverage.reached(Rare::died_for_good);
    scene_.trace.note(place->name, "never comes back");
    return;
  }
  come_back_later(*place);
}

void Cluster::come_back_later(Place& place) {
  const Duration wait = scene_.dice.chance(60)
                            ? scene_.between(1, 2'000)
                            : scene_.between(2'000, 3 * scene_.plan.lease.count());
  scene_.outside.call_after(wait, [this, &place] {
    if (place.process) return;
    scene_.coverage.reached(Rare::restarted_under_name);
    boot(place);
  });
}

void Cluster::pause() {
  Place* place = pick([](const Place& one) { return one.process && !one.process->paused(); });
  if (place == nullptr) return;
  const Duration time = scene_.between(200, 3 * scene_.plan.lease.count());
  scene_.trace.note(place->name, "is paused for ", to_text(time));
  place->process->pause(true);
  scene_.outside.call_after(time, [this, place, number = place->process->number()] {
    if (!place->process || place->process->number() != number) return;
    scene_.trace.note(place->name, "goes on");
    place->process->pause(false);
  });
}

void Cluster::stop() {
  Place* place = pick([](const Place& one) {
    return one.process && !one.process->stopping() && !one.process->paused();
  });
  if (place == nullptr) return;
  scene_.trace.note(place->name, "is told to stop");
  place->process->stop([this, place] {
    scene_.coverage.reached(Rare::stopped_orderly);
    scene_.trace.note(place->name, "has stopped");
    bury(*place);
    come_back_later(*place);
  });
}

void Cluster::heal() {
  for (const auto& place : places_) {
    if (place->process && place->process->paused()) place->process->pause(false);
    if (!place->process && !place->abandoned) boot(*place);
  }
}

}  // namespace backstitch::simulation
