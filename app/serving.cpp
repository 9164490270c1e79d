#include "serving.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include <backstitch/base/authority_text.hpp>
#include <backstitch/rest/server.hpp>
#include <backstitch/telemetry/log.hpp>

#include "process.hpp"
#include "server_options.hpp"
#include "stop_signals.hpp"
#include "version.hpp"

namespace backstitch::app {
namespace {

constexpr Duration connect_retry_every{500};
constexpr std::chrono::seconds awaited_line_every{5};
constexpr Duration companion_check_every{1'000};
/// What reads the log may have stopped reading: the end does not wait for it.
constexpr Duration log_close_max{1'000};

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

/// IPv4 addresses as IPv6 maps them.
std::optional<in6_addr> address_of(const std::string& text) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, text.c_str(), &address) == 1) return address;
  if (::inet_pton(AF_INET6, ("::ffff:" + text).c_str(), &address) == 1) return address;
  return std::nullopt;
}

/// Whether the host stands for every address of the machine, so that it is none to call.
bool is_wildcard(const std::string& host) {
  const auto address = address_of(host);
  if (!address) return false;
  const bool is_ipv4_any =
      IN6_IS_ADDR_V4MAPPED(&*address) && std::all_of(&address->s6_addr[12], &address->s6_addr[16],
                                                     [](auto byte) { return byte == 0; });
  return IN6_IS_ADDR_UNSPECIFIED(&*address) || is_ipv4_any;
}

/// Participants would be told to call themselves.
void warn_of_wildcard(const ServerConfig& config, engine::Observer& log) {
  if (!config.callback_url.empty() || !is_wildcard(config.host)) return;
  log.note(engine::Level::warning, "callback-url-missing",
           {{"listen", authority_text(config.host, config.port)},
            {"what",
             "participants cannot call a wildcard address; state --callback-url before a step has "
             "`callback: true`"}});
}

}  // namespace

Result<Done> set_listen(ServerConfig& config, const std::string& listen) {
  const auto colon = listen.rfind(':');
  std::uint16_t port = 0;
  const char* begin = listen.data() + (colon == std::string::npos ? listen.size() : colon + 1);
  const char* end = listen.data() + listen.size();
  const auto [rest, error] = std::from_chars(begin, end, port);
  if (colon == std::string::npos || error != std::errc{} || rest != end) {
    return invalid_option("`" + listen +
                          "` is not a valid --listen; write for example 127.0.0.1:7420.");
  }
  config.host = listen.substr(0, colon);
  if (config.host == "localhost") config.host = "127.0.0.1";
  if (config.host.size() > 2 && config.host.front() == '[' && config.host.back() == ']')
    config.host = config.host.substr(1, config.host.size() - 2);
  config.port = port;
  if (address_of(config.host)) return Done{};
  return Error{ErrorCode::invalid, "listen-not-an-address",
               "`" + config.host +
                   "` is not an IP address; --listen takes one, like 127.0.0.1:7420, [::1]:7420 or "
                   "0.0.0.0:7420. Names are for --host and --callback-url."};
}

void add_access_options(CLI::App& command, ServerConfig& config) {
  command.add_option("--host", config.hosts,
                     "Name or address that requests may use for this server, beside loopback ones; "
                     "may be repeated");
  command.add_option("--allow-origin", config.origins,
                     "Origin whose pages may send requests, e.g. https://console.example; may be "
                     "repeated");
}

void add_reactors(CLI::App& command, ServerConfig& config) {
  command
      .add_option("--reactors", config.reactors,
                  "Threads that run sagas, each with a connection to the database; default: one a "
                  "core, at most " +
                      std::to_string(reactors_max))
      ->check(CLI::Range(std::size_t{1}, reactors_max));
}

void add_process_options(CLI::App& command, ServeOptions& options) {
  command.add_flag("--core-dumps", options.core_dumps,
                   "Let a crash leave a core dump, in which secrets and inputs can be read");
}

namespace {

/// Whether this database is the one to work on.
void add_copy_options(CLI::App& command, ServerConfig& config) {
  CLI::Option* adopt = command.add_flag(
      "--adopt", config.adopt,
      "Work on a database that was restored or copied; nothing may work on the original any more");
  command
      .add_flag("--read-only", config.read_only,
                "Serve what is stored, write nothing and take no shards")
      ->excludes(adopt);
  command.add_flag("--require-identity", config.require_identity,
                   "Refuse a database that does not tell its system identifier and timeline");
}

}  // namespace

void add_serve_options(CLI::App& command, ServeOptions& options) {
  command.add_option("--listen", options.listen, "HOST:PORT to listen on")->capture_default_str();
  command.add_option("--node", options.server.node,
                     "Name of this node; default: host name and port");
  add_reactors(command, options.server);
  command.add_option(
      "--allow-host", options.server.allow_hosts,
      "HOST[:PORT] that may be called although it is private or plain http; may be repeated");
  command.add_option("--egress-proxy", options.server.egress_proxy,
                     "Forward proxy, http://HOST:PORT, that services are called through which name "
                     "none of their own");
  command.add_option("--no-egress-proxy", options.server.no_egress_proxy,
                     "Host that is called without it: a name and those under it, .suffix or a "
                     "literal address; may be repeated");
  command.add_option("--callback-url", options.server.callback_url,
                     "Where participants reach this server, e.g. https://saga.example; default: "
                     "where it listens");
  add_access_options(command, options.server);
  command.add_option("--secrets", options.server.secrets, "Directory with one file a secret")
      ->type_name(path_type);
  command.add_option(
      "--allow-unsafe", options.server.allow_unsafe,
      "PostgreSQL setting (fsync, full_page_writes, synchronous_commit) that may be off");
  add_copy_options(command, options.server);
  add_duration(
      command, "--lease", options.server.lease, std::chrono::seconds(1), std::chrono::minutes(5),
      "How long this node's shards stay its own unrenewed, e.g. 10s; others take them over "
      "after that");
  add_duration(command, "--key-retention", options.server.key_retention, std::chrono::hours(1),
               std::chrono::hours(20 * 365 * 24),
               "How long idempotency and business keys are known after retention has removed "
               "their saga; default: 365d");
  add_duration(command, "--database-wait", options.database_wait, Duration(0),
               std::chrono::hours(24),
               "How long to wait at the start for a database that cannot be reached; default: 30s");
  command
      .add_option("--shards-max", options.server.shards_max,
                  "Shards this node takes at most, of the 256 that all nodes share")
      ->check(CLI::Range(1, 256));
  command.add_option("--starts-waiting-max", options.server.starts_waiting_max,
                     "Starts that may wait for their first commit; beyond, 503");
  command.add_option("--sagas-resident-max", options.server.sagas_resident_max,
                     "Sagas that may be in memory; beyond, starts are answered 503");
  command
      .add_option("--connections-max", options.server.connections_max,
                  "Connections that clients may have open; the longest idle one gives way")
      ->check(CLI::Range(1, 1'000'000));
  command
      .add_option("--connections-per-peer-max", options.server.connections_per_peer_max,
                  "The same of one address; default: half of them")
      ->check(CLI::Range(1, 1'000'000));
  command.add_option("--proxy", options.server.proxies,
                     "IP address that may have any number of connections; may be repeated");
  add_duration(command, "--idle-timeout", options.server.idle_timeout, std::chrono::seconds(1),
               std::chrono::hours(24),
               "How long a connection may be without a request; longer than that of a proxy in "
               "front, which then closes first; default: 620s");
  command
      .add_option("--header-max", options.server.header_max,
                  "Bytes that the header of a request may have; default: 16384")
      ->check(CLI::Range(std::size_t{1024}, std::size_t{256 * 1024}));
  command.add_flag("--require-keys", options.server.require_keys,
                   "Refuse starts that have neither an idempotency key nor a business key");
  command.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  command.add_option("--log-format", options.log_format, "auto, text or json")
      ->check(CLI::IsMember({"auto", "text", "json"}))
      ->capture_default_str();
  add_process_options(command, options);
}

namespace {

/// Participants and the database come first: clients get what is left of the files that may be
/// open.
Result<Done> share_descriptors(ServerConfig& config, engine::Observer& log) {
  const std::size_t wanted =
      config.connections_max > 0 ? config.connections_max : rest::Options{}.connections_max;
  const std::size_t limit = raise_descriptor_limit();
  const auto allowed = client_connections(limit, wanted);
  if (!allowed) return allowed.error();
  config.connections_max = *allowed;
  if (*allowed < wanted) {
    log.note(engine::Level::warning, "connections-limited",
             {{"connections", std::to_string(*allowed)},
              {"wanted", std::to_string(wanted)},
              {"descriptors", std::to_string(limit)}});
  }
  return Done{};
}

/// Other programs take their proxy from the environment. The values are not shown: they may hold
/// passwords.
void note_unused_proxies(engine::Observer& log) {
  std::string found;
  for (const char* name :
       {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    found.append(found.empty() ? "" : ", ").append(name);
  }
  if (found.empty()) return;
  log.note(engine::Level::info, "environment-proxy-unused",
           {{"variables", found},
            {"what",
             "calls to participants do not go through the proxy that the environment "
             "names; state --egress-proxy"}});
}

/// Waits for a database that is away, and says so at once and then every few seconds.
Result<Done> connect(Server& server, Duration wait, engine::Observer& log) {
  using Clock = std::chrono::steady_clock;
  const auto until = Clock::now() + wait;
  auto next_line = Clock::now();
  for (;;) {
    auto connected = server.connect();
    const auto now = Clock::now();
    if (connected || connected.error().code != ErrorCode::unavailable || now >= until)
      return connected;
    const auto left = std::chrono::ceil<Duration>(until - now);
    if (now >= next_line) {
      log.note(engine::Level::warning, "database-awaited",
               {{"why", connected.error().message}, {"left", to_text(left)}});
      next_line = now + awaited_line_every;
    }
    std::this_thread::sleep_for(std::min(connect_retry_every, left));  // poll
  }
}

/// Until the server is told to stop.
void await_stop(StopSignals& signals, Companion* companion) {
  while (!signals.wait_for(companion_check_every)) {
    if (companion == nullptr) continue;
    if (const auto alive = companion->check(); !alive)
      end_at_once(alive.error().message, exit_unreachable);
  }
}

StopSignals::Options signal_options(const ServeOptions& options, engine::Observer& log) {
  if (options.stops_on_hangup) return {};
  return {.on_hangup = [&log] { log.note(engine::Level::info, "hangup-ignored", {}); }};
}

int run_server(const Global& global, ServeOptions options, telemetry::LogObserver& log) {
  StopSignals signals(signal_options(options, log));
  const auto since = std::chrono::steady_clock::now();
  std::unique_ptr<Companion> companion;
  if (options.prepare) {
    auto prepared = options.prepare(options);
    if (!prepared) return report(global, prepared.error());
    companion = std::move(*prepared);
  }
  if (auto shared = share_descriptors(options.server, log); !shared)
    return report(global, shared.error());
  note_unused_proxies(log);
  options.server.log_lines_dropped = [&log] { return log.dropped(); };
  warn_of_wildcard(options.server, log);
  Server server(options.server, log);
  if (const auto connected = connect(server, options.database_wait, log); !connected)
    return report(global, connected.error());
  const auto port = server.start();
  if (!port) {
    Error error = port.error();
    if (error.reason == "listen-failed") error.message += " " + options.address_hint;
    return report(global, error);
  }
  signals.begin_serving();
  options.greet();
  const auto took = std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - since);
  log.note(engine::Level::info, "ready",
           {{"url", "http://" + authority_text(options.server.host, *port)},
            {"version", version},
            {"took", to_text(took)}});
  await_stop(signals, companion.get());
  log.note(engine::Level::info, "stopping", {});
  server.stop();
  log.note(engine::Level::info, "stopped", {});
  return exit_done;
}

}  // namespace

int serve(const Global& global, ServeOptions options) {
  if (options.core_dumps) allow_core_dumps();
  if (auto listen = set_listen(options.server, options.listen); !listen)
    return report(global, listen.error());
  StopSignals::block();
  end_on_unhandled_exceptions();
  telemetry::LogObserver log(log_options(options));
  const int code = run_server(global, std::move(options), log);
  if (!log.close(log_close_max)) end_at_once("the end of the log is lost", code);
  return code;
}

}  // namespace backstitch::app
