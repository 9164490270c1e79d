#pragma once
#include <memory>

#include <backstitch/engine/ports/executor.hpp>

namespace backstitch::asio {

/// An engine thread in production: an Asio io_context.
/// Threads: run() on one thread for life; post, now and stop from any; timers on the reactor's own.
/// Lifetime: destroyed after run() has returned; tasks that did not run are dropped then.
class Reactor : public engine::Executor {
 public:
  Reactor();
  ~Reactor() override;

  /// Runs tasks until stop(). An exception of a task ends the process: it is a bug above us.
  void run();
  void stop();

  void post(engine::Task task) override;
  engine::TimerId call_after(Duration delay, engine::Task task) override;
  void cancel(engine::TimerId timer) override;
  engine::SteadyTime now() const override;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::asio
