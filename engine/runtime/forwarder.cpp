#include "forwarder.hpp"

#include <utility>

namespace backstitch::engine {
namespace {

constexpr Duration look_every{25};

Error pending(const Node& node) {
  const auto hindrance = node.hindrance();
  return {ErrorCode::outcome_unknown, "command-pending",
          (hindrance ? hindrance->message
                     : std::string("The node that holds the saga has not answered yet.")) +
              " The command is stored and will be executed; look at the saga to see what came of "
              "it."};
}

}  // namespace

void Forwarder::forward(SagaId saga, const StimulusBody& body, const std::string& idempotency_key,
                        Settled done) {
  auto written = written_command(body, idempotency_key);
  if (!written) {
    return done(Error{ErrorCode::unavailable, "saga-owned-elsewhere",
                      "This node does not hold the saga's shard; try again."});
  }
  InboxItem item{0, saga, std::move(written->kind), node_.options.node, std::move(written->data)};
  executor_.post([self = shared_from_this(), item = std::move(item),
                  done = std::move(done)]() mutable {
    if (self->waiting_.size() + self->being_put_ >= self->node_.options.waiters_max) {
      return done(Error{ErrorCode::overloaded, "overloaded",
                        "Too many commands are waiting for other nodes; try again."});
    }
    ++self->being_put_;
    self->node_.ports.inbox->put(std::move(item), [self, done = std::move(done)](
                                                      const Result<std::int64_t>& number) mutable {
      self->executor_.post([self, number, done = std::move(done)]() mutable {
        --self->being_put_;
        if (!number) return done(number.error());
        self->put_down(*number, std::move(done));
      });
    });
  });
}

void Forwarder::put_down(std::int64_t number, Settled done) {
  waiting_[number] = {
      std::move(done),
      executor_.call_after(node_.options.command_answer_max, [weak = weak_from_this(), number] {
        const auto self = weak.lock();
        if (!self) return;
        if (auto late = self->waiting_.extract(number)) late.mapped().done(pending(self->node_));
      })};
  if (auto early = early_.extract(number)) answered({early.mapped()});
  if (being_put_ == 0) early_.clear();
  if (!looking_) look();
}

void Forwarder::answer_everybody() {
  executor_.post([self = shared_from_this()] { self->answer_all(pending(self->node_)); });
}

void Forwarder::forget() {
  executor_.post([self = shared_from_this()] {
    self->early_.clear();
    self->answer_all({ErrorCode::outcome_unknown, "outcome-unknown",
                      "The database went back, so it is not known whether this was done; look at "
                      "the saga, or repeat it under its key."});
  });
}

void Forwarder::answer_all(const Error& error) {
  for (auto& [number, waiting] : std::exchange(waiting_, {})) {
    executor_.cancel(waiting.timer);
    waiting.done(error);
  }
}

/// Answers are few, so they are asked for again and again while one is awaited.
void Forwarder::look() {
  looking_ = !waiting_.empty();
  if (!looking_) return;
  node_.ports.inbox->take_answers(
      node_.options.node,
      [self = shared_from_this()](const Result<std::vector<InboxAnswer>>& answers) {
        self->executor_.post([self, answers] {
          if (answers) self->answered(*answers);
          self->executor_.call_after(look_every, [weak = std::weak_ptr(self)] {
            if (const auto alive = weak.lock()) alive->look();
          });
        });
      });
}

void Forwarder::answered(const std::vector<InboxAnswer>& answers) {
  for (const auto& answer : answers) {
    auto waiting = waiting_.extract(answer.id);
    if (!waiting) {
      if (being_put_ > 0) early_[answer.id] = answer;
      continue;
    }
    executor_.cancel(waiting.mapped().timer);
    waiting.mapped().done(read_answer(answer.error));
  }
}

}  // namespace backstitch::engine
