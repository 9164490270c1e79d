#include "process.hpp"

#include <utility>

namespace backstitch::simulation {
namespace {

engine::Options options_of(const Scene& scene, const Caller& who, std::size_t shards_max) {
  engine::Options options;
  options.node = who.node;
  options.lease = scene.plan.lease;
  options.lease_renewal = scene.plan.lease * 3 / 10;
  options.shards_max = shards_max;
  if (scene.plan.cuts) options.transition_steps_max = 0;
  options.callback_base = "https://saga.example";
  // Nothing is registered while nodes run.
  options.catalog_refresh_every = Duration{600'000};
  return options;
}

}  // namespace

void Reports::note(engine::Level level, std::string_view event,
                   std::initializer_list<engine::Field> fields) {
  std::string text(event);
  for (const auto& [name, value] : fields) text += " " + std::string(name) + "=" + value;
  scene_.trace.note(node_, text);
  if (event == "lease-not-renewed") scene_.coverage.reached(Rare::lease_not_renewed);
  if (event == "saga-work-failed" || event == "reactor-stalled" || event == "saga-not-revived")
    scene_.violated("the engine reports a bug of its own: " + text);
}

Process::Process(Scene& scene, Database& database, Network& network, Caller who,
                 std::size_t shards_max)
    : scene_(scene),
      life_(std::make_shared<Life>()),
      random_(scene.dice.roll()),
      reports_(scene, who.node) {
  life_->who = std::move(who);
  life_->era = database.era();
  life_->store_thread = std::make_unique<VirtualExecutor>(scene.world);
  ports_ = std::make_shared<NodePorts>(scene, database, life_);
  engine::Ports ports;
  for (std::size_t i = 0; i < scene.plan.reactors; ++i) {
    executors_.push_back(std::make_unique<VirtualExecutor>(scene.world));
    participants_.push_back(
        std::make_unique<RemoteParticipants>(network, life_, *executors_.back()));
    ports.reactors.push_back({executors_.back().get(), participants_.back().get()});
  }
  upkeep_ = std::make_unique<VirtualExecutor>(scene.world);
  ports.upkeep = upkeep_.get();
  ports.store = ports_.get();
  ports.leases = ports_.get();
  ports.inbox = ports_.get();
  ports.reader = ports_.get();
  ports.catalog = ports_.get();
  ports.random = &random_;
  ports.observer = &reports_;
  engine_ =
      std::make_unique<engine::Engine>(std::move(ports), options_of(scene, life_->who, shards_max));
}

Process::~Process() {
  life_->alive = false;
  scene_.coverage.reached(Rare::transition_cut, engine_->counters().transitions_cut);
  // First what may still hold parts of the engine, then the engine.
  executors_.clear();
  upkeep_.reset();
  life_->store_thread.reset();
  engine_.reset();
}

void Process::open() {
  engine_->open([this, life = life_](const Result<Done>& opened) {
    if (!life->alive) return;
    if (opened) return scene_.trace.note(life->who.node, "is open");
    // Like the program, which ends and is started again.
    executors_.front()->call_after(Duration{500}, [this] { open(); });
  });
}

void Process::stop(std::function<void()> gone) {
  stopping_ = true;
  engine_->close([this, life = life_, gone = std::move(gone)] {
    scene_.outside.post([this, life, gone] {
      if (!life->alive) return;
      ports_->abandon();
      scene_.outside.call_after(Duration{1}, [life, gone] {
        if (life->alive) gone();
      });
    });
  });
}

void Process::pause(bool paused) {
  if (paused == paused_) return;
  paused_ = paused;
  if (paused) paused_at_ = scene_.world.now();
  if (!paused && scene_.world.now() - paused_at_ > scene_.plan.lease) {
    life_->slept_past_lease = true;
    scene_.coverage.reached(Rare::paused_past_lease);
  }
  for (const auto& executor : executors_) executor->pause(paused);
  upkeep_->pause(paused);
  life_->store_thread->pause(paused);
}

}  // namespace backstitch::simulation
