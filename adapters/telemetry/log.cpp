#include <backstitch/telemetry/log.hpp>

#include <future>
#include <system_error>
#include <thread>

#include <spdlog/async.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

namespace backstitch::telemetry {
namespace {

constexpr std::size_t queue_lines = 8'192;

spdlog::level::level_enum level_of(engine::Level level) {
  switch (level) {
    case engine::Level::debug:
      return spdlog::level::debug;
    case engine::Level::info:
      return spdlog::level::info;
    case engine::Level::warning:
      return spdlog::level::warn;
    case engine::Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

const char* name_of(engine::Level level) {
  switch (level) {
    case engine::Level::debug:
      return "debug";
    case engine::Level::info:
      return "info";
    case engine::Level::warning:
      return "warning";
    case engine::Level::error:
      return "error";
  }
  return "error";
}

std::string json_line(engine::Level level, std::string_view event,
                      std::initializer_list<engine::Field> fields) {
  nlohmann::ordered_json line{{"level", name_of(level)}, {"event", event}};
  for (const auto& [name, value] : fields) line[std::string(name)] = value;
  std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return text.substr(1);  // the pattern opens the object with the time
}

std::string text_line(std::string_view event, std::initializer_list<engine::Field> fields) {
  std::string text(event);
  for (const auto& [name, value] : fields) text.append("  ").append(name).append("=").append(value);
  // One line each, whatever a peer put into a value.
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

}  // namespace

struct LogObserver::Impl {
  LogOptions options;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

LogObserver::LogObserver(LogOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
  impl_->pool = std::make_shared<spdlog::details::thread_pool>(queue_lines, 1);
  spdlog::sink_ptr sink;
  if (options.colour)
    sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();
  else
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  impl_->logger = std::make_shared<spdlog::async_logger>(
      "backstitch", sink, impl_->pool, spdlog::async_overflow_policy::overrun_oldest);
  impl_->logger->set_level(level_of(options.level));
  impl_->logger->flush_on(spdlog::level::warn);
  impl_->logger->set_pattern(options.format == LogFormat::json
                                 ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",%v"
                                 : "%H:%M:%S.%e %^%-7l%$ %v",
                             options.format == LogFormat::json ? spdlog::pattern_time_type::utc
                                                               : spdlog::pattern_time_type::local);
}

LogObserver::~LogObserver() = default;

void LogObserver::note(engine::Level level, std::string_view event,
                       std::initializer_list<engine::Field> fields) {
  const auto spdlog_level = level_of(level);
  if (!impl_->logger->should_log(spdlog_level)) return;
  const std::string line = impl_->options.format == LogFormat::json
                               ? json_line(level, event, fields)
                               : text_line(event, fields);
  impl_->logger->log(spdlog_level, "{}", line);
}

std::uint64_t LogObserver::dropped() const {
  return impl_->pool->overrun_counter();
}

bool LogObserver::close(Duration most) {
  std::promise<void> closing;
  const auto closed = closing.get_future();
  // The pool of spdlog writes what is queued when it is destroyed, and cannot be told to give up.
  try {
    std::thread([impl = impl_.get(), closing = std::move(closing)]() mutable {
      impl->pool.reset();
      closing.set_value();
    }).detach();
  } catch (const std::system_error&) {
    return false;
  }
  return closed.wait_for(most) == std::future_status::ready;
}

}  // namespace backstitch::telemetry
