#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster.hpp"
#include "corpus.hpp"
#include "evidence.hpp"
#include "service.hpp"

namespace backstitch::simulation {

/// Who uses the engine: clients that start sagas and repeat themselves, senders of signals,
/// participants that call back, people who cancel and who look after what is suspended. They talk
/// to any node and try another one if that does not answer.
class OutsideWorld {
 public:
  OutsideWorld(Scene& scene, Database& database, Cluster& cluster, Corpus& corpus);

  /// Registers the definitions and plans who does what when.
  void begin();
  /// Faults are over: signals come as long as somebody waits, and people look after the rest.
  void finish();
  /// The database went back, and clients that have a key make sure.
  void repeat_starts();
  void post(const std::string& url, const Answer& answer, int tries = 0);
  /// Everybody has what they asked for.
  bool quiet() const { return open_ == 0; }

  const std::vector<StartTold>& starts() const { return starts_; }
  const std::vector<CommandTold>& commands() const { return commands_; }

 private:
  struct Client {
    std::size_t number = 0;
    const Specimen* specimen = nullptr;
    engine::StartRequest request;
    bool answered = false;
  };
  using Shared = std::shared_ptr<Client>;
  using Replied = std::function<void(std::optional<Result<engine::StartReply>>)>;

  Shared client(std::size_t number);
  std::vector<std::string> signals_of(const StatusFold& saga) const;
  void start(const Shared& client);
  void start_by_sql(const Shared& client);
  void started(const Shared& client, SagaId saga);
  void repeat(const Shared& client, SagaId saga);
  void misuse_key(const Shared& client);
  void send_start(const engine::StartRequest& request, Replied replied);

  void send_signal(SagaId saga, const std::string& name);
  void command(SagaId saga, engine::Command command, const std::string& what, const std::string& by,
               int tries);
  void send_again(SagaId saga, const engine::Command& command, const std::string& key);
  void look_around();
  void operate(SagaId saga);
  void hurry(SagaId saga);
  engine::Resolve resolution_of(const std::string& step, const std::string& by);
  void look_at(SagaId saga);
  void urge();
  std::string somebody() { return "user-" + std::to_string(++people_); }

  Scene& scene_;
  Database& database_;
  Cluster& cluster_;
  Corpus& corpus_;
  std::vector<StartTold> starts_;
  std::vector<Shared> clients_;
  std::vector<CommandTold> commands_;
  std::map<std::string, std::vector<std::string>> signals_;  ///< by definition
  std::map<SagaId, int> urged_;
  std::size_t open_ = 0;
  std::size_t people_ = 0;
};

}  // namespace backstitch::simulation
