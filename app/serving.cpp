#include "serving.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>

#include <backstitch/telemetry/log.hpp>

#include "version.hpp"

namespace backstitch::app {
namespace {

engine::Level level_of(const std::string& name) {
  if (name == "debug") return engine::Level::debug;
  if (name == "warning") return engine::Level::warning;
  if (name == "error") return engine::Level::error;
  return engine::Level::info;
}

telemetry::LogOptions log_options(const ServeOptions& options) {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const bool text = options.log_format == "text" || (options.log_format == "auto" && terminal);
  return {.level = level_of(options.log_level),
          .format = text ? telemetry::LogFormat::text : telemetry::LogFormat::json,
          .colour = terminal};
}

}  // namespace

Result<Done> set_listen(ServerConfig& config, const std::string& listen) {
  const auto colon = listen.rfind(':');
  std::uint16_t port = 0;
  const char* begin = listen.data() + (colon == std::string::npos ? listen.size() : colon + 1);
  const char* end = listen.data() + listen.size();
  const auto [rest, error] = std::from_chars(begin, end, port);
  if (colon == std::string::npos || error != std::errc{} || rest != end) {
    return Error{ErrorCode::invalid, "listen-invalid",
                 "--listen takes HOST:PORT, like 127.0.0.1:7420."};
  }
  config.host = listen.substr(0, colon);
  if (config.host == "localhost") config.host = "127.0.0.1";
  if (config.host.size() > 2 && config.host.front() == '[')
    config.host = config.host.substr(1, config.host.size() - 2);
  config.port = port;
  return Done{};
}

void add_serve_options(CLI::App& command, ServeOptions& options) {
  command.add_option("--listen", options.listen, "HOST:PORT to listen on")->capture_default_str();
  command.add_option("--node", options.server.node,
                     "Name of this node; default: host name and port");
  command
      .add_option("--reactors", options.server.reactors,
                  "Threads that run sagas; default: one a core")
      ->check(CLI::Range(1, 64));
  command.add_option(
      "--allow-host", options.server.allow_hosts,
      "HOST[:PORT] that may be called although it is private or plain http; may be repeated");
  command.add_option("--callback-url", options.server.callback_url,
                     "Where participants reach this server, e.g. https://saga.example; default: "
                     "where it listens");
  command.add_option("--secrets", options.server.secrets, "Directory with one file a secret");
  command.add_option(
      "--allow-unsafe", options.server.allow_unsafe,
      "PostgreSQL setting (fsync, full_page_writes, synchronous_commit) that may be off");
  command.add_option(
      "--lease", options.lease,
      "How long this node's shards stay its own unrenewed, e.g. 10s; others take them over "
      "after that");
  command
      .add_option("--shards-max", options.server.shards_max,
                  "Shards this node takes at most, of the 256 that all nodes share")
      ->check(CLI::Range(1, 256));
  command.add_option("--starts-waiting-max", options.server.starts_waiting_max,
                     "Starts that may wait for their first commit; beyond, 503");
  command.add_option("--sagas-resident-max", options.server.sagas_resident_max,
                     "Sagas that may be in memory; beyond, starts are answered 503");
  command.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  command.add_option("--log-format", options.log_format, "auto, text or json")
      ->check(CLI::IsMember({"auto", "text", "json"}))
      ->capture_default_str();
}

namespace {

/// An ordinary user's soft limit of 1,024 files is less than our connections need.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Result<Done> set_lease(ServerConfig& config, const std::string& text) {
  if (text.empty()) return Done{};
  const auto lease = parse_duration(text);
  if (!lease || *lease < std::chrono::seconds(1) || *lease > std::chrono::minutes(5)) {
    return Error{ErrorCode::invalid, "lease-invalid",
                 "--lease takes a duration from 1s to 5m, like 10s."};
  }
  config.lease = *lease;
  return Done{};
}

}  // namespace

int serve(const Global& global, ServeOptions options) {
  allow_many_files();
  const auto since = std::chrono::steady_clock::now();
  if (auto listen = set_listen(options.server, options.listen); !listen)
    return report(global, listen.error());
  if (auto lease = set_lease(options.server, options.lease); !lease)
    return report(global, lease.error());
  block_signals();
  telemetry::LogObserver log(log_options(options));
  Server server(options.server, log);
  const auto port = server.start();
  if (!port) return report(global, port.error());
  const auto took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - since);
  log.note(engine::Level::info, "ready",
           {{"url", "http://" + options.server.host + ":" + std::to_string(*port)},
            {"version", version},
            {"took", to_text(took)}});
  await_signal();
  log.note(engine::Level::info, "stopping", {});
  bound_stop();
  server.stop();
  log.note(engine::Level::info, "stopped", {});
  return exit_done;
}

}  // namespace backstitch::app
