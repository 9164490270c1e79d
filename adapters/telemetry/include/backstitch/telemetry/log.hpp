#pragma once
#include <memory>
#include <string>

#include <backstitch/engine/ports/observer.hpp>

namespace backstitch::telemetry {

enum class LogFormat { text, json };

struct LogOptions {
  engine::Level level = engine::Level::info;
  LogFormat format = LogFormat::json;
  bool colour = false;
};

/// Writes every note to standard error, one line each. Asynchronous: a full queue drops the oldest
/// line rather than making the engine wait.
/// Threads: any. One instance a process; the destructor writes what is queued.
class LogObserver : public engine::Observer {
 public:
  explicit LogObserver(LogOptions options);
  ~LogObserver() override;
  void note(engine::Level level, std::string_view event,
            std::initializer_list<engine::Field> fields) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::telemetry
