#include <backstitch/engine/machine/masking.hpp>
#include <backstitch/rehearsal/rehearsal.hpp>

#include <algorithm>
#include <set>

#include "faults.hpp"
#include "stage.hpp"

// The run itself; what stands before it is in stage.cpp.

namespace backstitch::rehearsal {

using namespace engine;

namespace {

bool waits_for(const dsl::Definition& definition, const std::string& signal) {
  const auto& paths = definition.step_paths;
  return std::any_of(paths.begin(), paths.end(), [&](const auto& entry) {
    const dsl::Step* step = dsl::find_step(definition, entry.first);
    const auto* wait = step == nullptr ? nullptr : std::get_if<dsl::Wait>(&step->body);
    if (wait == nullptr) return false;
    return std::find(wait->signals.begin(), wait->signals.end(), signal) != wait->signals.end();
  });
}

}  // namespace

Result<Report> Stage::play() {
  origin_ = world_.now();
  std::set<std::string> left(options_.cancel_at_steps.begin(), options_.cancel_at_steps.end());
  recorder_.on_moment = [this, left](const Moment& moment) mutable {
    for (auto step = left.begin(); step != left.end();) {
      if (!names_path(*step, moment.path)) {
        ++step;
        continue;
      }
      step = left.erase(step);
      ++inputs_left_;
      // Behind everything that happens at this time, the answer to the start included.
      executor_.call_after(Duration{0},
                           [this, path = moment.path] { cancel("when " + path + " began"); });
    }
  };
  StartRequest request;
  request.definition = definitions_.front()->name;
  request.version = definitions_.front()->version;
  request.input = options_.input;
  auto started = answer_of<StartReply>(
      [&](auto done) { engine_->start(0, std::move(request), std::move(done)); });
  if (!started) return std::move(started).error();
  root_ = started->id;
  schedule_inputs();
  world_.run_until([this] { return inputs_left_ == 0 && recorder_.at_rest(); }, options_.until);
  recorder_.on_moment = {};
  return report();
}

void Stage::schedule_inputs() {
  for (const auto& one : options_.signals) {
    ++inputs_left_;
    executor_.call_after(one.at, [this, &one] { signal(one); });
  }
  if (!options_.cancel_at) return;
  ++inputs_left_;
  executor_.call_after(*options_.cancel_at,
                       [this] { cancel("after " + backstitch::to_text(*options_.cancel_at)); });
}

void Stage::cancel(const std::string& why) {
  command(root_, Cancel{"rehearsal", why}, "cancel");
}

void Stage::signal(const Signal& signal) {
  command(receiver_of(signal.name), engine::Signal{signal.name, signal.payload, signal.by, {"*"}},
          "signal " + signal.name);
}

/// The saga itself, or the sub-saga that has a wait for it.
SagaId Stage::receiver_of(const std::string& signal) const {
  if (waits_for(*recorder_.saga(root_).definition, signal)) return root_;
  for (const auto& [id, saga] : recorder_.sagas()) {
    if (!is_terminal(saga.state.status) && waits_for(*saga.definition, signal)) return id;
  }
  return root_;
}

void Stage::command(SagaId saga, Command command, const std::string& what) {
  engine_->command(saga, std::move(command), [this, saga, what](const Result<Done>& done) {
    --inputs_left_;
    if (done) return;
    const auto at = options_.start + std::chrono::duration_cast<Duration>(world_.now() - origin_);
    recorder_.refused(saga, at, what, done.error());
  });
}

Report Stage::report() const {
  const auto& root = recorder_.saga(root_);
  const Json seen = view({root.definition, nullptr}, root.state);
  Report report;
  report.definition = root.definition->name;
  report.version = root.definition->version;
  report.saga = root_;
  report.status = engine::to_text(root.state.status);
  report.failure = seen["failure"];
  report.suspension = seen["suspension"];
  report.output = seen["output"];
  report.timeline = recorder_.timeline();
  report.took = report.timeline.back().offset;
  report.ledger = ledger();
  return report;
}

std::vector<LedgerEntry> Stage::ledger() const {
  std::vector<LedgerEntry> list;
  const auto since_start = [&](SteadyTime time) {
    return std::chrono::duration_cast<Duration>(time - origin_);
  };
  for (const auto* effect : stand_ins_->effects()) {
    LedgerEntry& entry = list.emplace_back(effect->entry);
    if (effect->done) entry.done = since_start(*effect->done);
    if (effect->undone) entry.undone = since_start(*effect->undone);
    // Method and target, or the name of an operation.
    const auto target = entry.request.find(' ') + 1;
    const auto& saga = recorder_.saga(effect->saga);
    entry.request.replace(
        target, std::string::npos,
        engine::Masking(*saga.definition, saga.state)
            .target(entry.path, engine::Phase::forward, entry.request.substr(target)));
  }
  return list;
}

Rehearsal::Rehearsal(std::vector<std::string> definitions) : definitions_(std::move(definitions)) {}

Result<Report> Rehearsal::run(const Options& options) const {
  Stage stage(options);
  if (auto prepared = stage.prepare(definitions_); !prepared) return std::move(prepared).error();
  return stage.play();
}

}  // namespace backstitch::rehearsal
