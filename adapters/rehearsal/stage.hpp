#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <backstitch/engine/runtime/engine.hpp>
#include <backstitch/memory/store.hpp>
#include <backstitch/rehearsal/rehearsal.hpp>
#include <backstitch/virtual/world.hpp>

#include "recorder.hpp"
#include "stand_ins.hpp"

namespace backstitch::rehearsal {

class Silence final : public engine::Observer {
 public:
  void note(engine::Level, std::string_view, std::initializer_list<engine::Field>) override {}
};

/// Everything that one run consists of: the world, the engine in it, and who plays what.
class Stage {
 public:
  explicit Stage(const Options& options);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  Result<Done> prepare(const std::vector<std::string>& documents);
  Result<Report> play();

 private:
  /// For what takes no time at all in this world.
  static constexpr Duration patience_{60'000};

  Result<Done> parse(const std::vector<std::string>& documents);
  Result<Done> open();
  Result<Done> register_services();
  Result<Done> register_definitions(std::vector<std::string> documents);
  const dsl::Service* service_named(const std::string& name) const;
  void schedule_inputs();
  void cancel(const std::string& why);
  void signal(const Signal& signal);
  SagaId receiver_of(const std::string& signal) const;
  void command(SagaId saga, engine::Command command, const std::string& what);
  Report report() const;
  std::vector<LedgerEntry> ledger() const;

  /// Runs until the engine has answered.
  template <class T>
  Result<T> answer_of(const std::function<void(std::function<void(Result<T>)>)>& ask) {
    std::optional<Result<T>> answer;
    ask([&](Result<T> given) { answer = std::move(given); });
    if (!world_.run_until([&] { return answer.has_value(); }, patience_)) {
      return Error{ErrorCode::internal, "internal", "The rehearsal's engine does not answer."};
    }
    return std::move(*answer);
  }

  const Options& options_;
  virtual_time::VirtualWorld world_;
  virtual_time::VirtualExecutor executor_;
  memory::MemoryStore store_;
  Recorder recorder_;
  virtual_time::SeededRandom random_;
  Silence observer_;
  Definitions definitions_;
  std::map<std::string, std::shared_ptr<const dsl::Service>> services_;
  std::optional<Answers> answers_;
  std::optional<StandIns> stand_ins_;
  std::optional<engine::Engine> engine_;
  engine::SteadyTime origin_{};
  SagaId root_;
  std::size_t inputs_left_ = 0;  ///< from outside, still to come or on their way
};

}  // namespace backstitch::rehearsal
