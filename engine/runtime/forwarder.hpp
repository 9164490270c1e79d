#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "reactor.hpp"

namespace backstitch::engine {

/// Commands for sagas that other nodes hold: puts them into the inbox and waits for the answers.
/// Threads: forward from any; all else on the first reactor's.
class Forwarder : public std::enable_shared_from_this<Forwarder> {
 public:
  explicit Forwarder(Node& node) : node_(node), executor_(*node.ports.reactors.front().executor) {}

  /// `done` with the other node's answer; see Engine::command.
  void forward(SagaId saga, const StimulusBody& body, const std::string& idempotency_key,
               Settled done);
  /// This node stops: what was put down is carried out by others.
  void answer_everybody();
  /// The store was set back: what was put down may be lost, and its numbers may be used again.
  void forget();

 private:
  struct Waiting {
    Settled done;
    TimerId timer = 0;
  };

  void put_down(std::int64_t number, Settled done);
  void answer_all(const Error& error);
  void look();
  void answered(const std::vector<InboxAnswer>& answers);

  Node& node_;
  Executor& executor_;
  std::map<std::int64_t, Waiting> waiting_;
  std::size_t being_put_ = 0;  ///< their answers may come before their numbers do
  std::map<std::int64_t, InboxAnswer> early_;
  bool looking_ = false;
};

}  // namespace backstitch::engine
