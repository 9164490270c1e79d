#pragma once
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <backstitch/contract_check/contract_check.hpp>
#include <backstitch/engine/ports/observer.hpp>
#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/memory/store.hpp>
#include <backstitch/rest/server.hpp>
#include <backstitch/system/random.hpp>
#include <backstitch/system/secrets.hpp>

#include "examiner.hpp"

namespace backstitch::contract_check {

class Silence final : public engine::Observer {
 public:
  void note(engine::Level, std::string_view, std::initializer_list<engine::Field>) override {}
};

/// The production engine in this process: a thread, a store in memory, real HTTP, and a listener
/// on loopback for callbacks. Threads: the one that made it; every member may block.
class World {
 public:
  explicit World(const Options& options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Result<Done> open(const std::vector<std::string>& definitions);

  Examiner& examiner() { return examiner_; }
  /// The definition that is checked. @pre open succeeded
  const engine::Program& program() const { return program_; }
  /// Name and place of every service that the definition calls.
  std::vector<std::pair<std::string, std::string>> services() const;

  /// A new saga, whatever business key the definition makes out of the input. `hurried`: steps with
  /// a probe make one attempt before they ask it, and polls follow each other quickly.
  Result<SagaId> start(Json input, std::string business_key, bool hurried);
  Result<Done> cancel(SagaId saga);
  /// Gives the steps of a suspended saga another attempt.
  Result<Done> retry(SagaId saga);
  Result<Done> signal(SagaId saga, const Signal& signal);
  /// As GET /v1/sagas/{id} shows it.
  Json view(SagaId saga);

 private:
  Result<Done> register_services(const std::vector<Json>& documents);
  Result<Done> register_definitions(const std::vector<Json>& documents);
  void register_hurried(Json document);

  template <class T>
  Result<T> answer_of(const std::function<void(std::function<void(Result<T>)>)>& ask) {
    auto answer = std::make_shared<std::promise<Result<T>>>();
    auto come = answer->get_future();
    ask([answer](Result<T> given) { answer->set_value(std::move(given)); });
    if (come.wait_for(std::chrono::seconds(30)) == std::future_status::ready) return come.get();
    return Error{ErrorCode::internal, "internal", "The engine of the check does not answer."};
  }

  const Options& options_;
  Silence observer_;
  system::SystemRandom random_;
  system::SecretsDirectory secrets_;
  std::shared_ptr<http::EgressPolicy> egress_;
  asio::Reactor reactor_;
  memory::MemoryStore store_;
  Examiner examiner_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<rest::Server> rest_;
  std::thread thread_;
  engine::Program program_;
  /// The version of the definition that hurries; nothing: there is nothing to hurry.
  std::optional<std::int64_t> hurried_version_;
};

}  // namespace backstitch::contract_check
