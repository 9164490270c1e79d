#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include <backstitch/base/time.hpp>
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
/// Threads: any. One instance a process; the destructor writes what is queued, however long that
/// takes.
class LogObserver : public engine::Observer {
 public:
  explicit LogObserver(LogOptions options);
  ~LogObserver() override;
  void note(engine::Level level, std::string_view event,
            std::initializer_list<engine::Field> fields) override;
  /// Lines that a full queue has dropped.
  std::uint64_t dropped() const;
  /// Writes what is queued, but waits no longer than `most` for whoever reads it. Once, after the
  /// last note.
  /// @return whether all is written; else a thread still tries, and only the end of the process
  ///   ends it
  bool close(Duration most);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace backstitch::telemetry
