#include "session.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <system_error>

#include "connection_text.hpp"
#include "failure.hpp"
#include "lineage.hpp"
#include "own_backend.hpp"
#include "server_safety.hpp"

// 6.4 marks inhibit_reactivation as deprecated because 7 needs it no more; late 7.x marks
// exec_prepared.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace backstitch::postgres {
namespace {

constexpr int transaction_timeout_since = 170000;
constexpr std::size_t application_name_size_max = 63;

std::string connection_text(const SessionOptions& options) {
  return with_options(options.url, {{"connect_timeout", "3"},
                                    {"keepalives", "1"},
                                    {"keepalives_idle", "5"},
                                    {"keepalives_interval", "2"},
                                    {"keepalives_count", "3"},
                                    {"tcp_user_timeout", std::to_string(options.unacknowledged_ms)},
                                    {"target_session_attrs", "read-write"},
                                    {"application_name", options.application_name}});
}

bool is_uri(std::string_view url) {
  return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      out += c;
    } else {
      out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out;
}

std::string quoted_value(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

const std::string& checked(const std::string& text) {
  if (const auto flaw = flaw_of_connection_text(text))
    throw ConnectError(*flaw, {.sqlstate = {}, .is_attempted = false});
  return text;
}

void forbid_reconnecting([[maybe_unused]] pqxx::connection& connection) {
#if PQXX_VERSION_MAJOR < 7
  connection.inhibit_reactivation(true);
#endif
}

}  // namespace

std::string with_options(std::string url, const Settings& options) {
  const bool uri = is_uri(url);
  for (const auto& [name, value] : options) {
    if (value.empty() || url.find(name + "=") != std::string::npos) continue;
    if (uri) {
      url += url.find('?') == std::string::npos ? '?' : '&';
      url += name + "=" + percent_encoded(value);
    } else {
      url += " " + name + "=" + quoted_value(value);
    }
  }
  return url;
}

std::string application_name(std::string_view incarnation, std::string_view role,
                             std::string_view node) {
  std::string name;
  for (const std::string_view part : {incarnation, role, node}) {
    if (!name.empty() && !part.empty()) name += ' ';
    for (const char c : part) name += c >= ' ' && c <= '~' ? c : '?';
  }
  return name.substr(0, application_name_size_max);
}

OpenConnection::OpenConnection(const std::string& text) try : pqxx
  ::connection(checked(text)) {}
catch (const ConnectError&) {
  throw;
} catch (const pqxx::broken_connection& error) {
  throw ConnectError(error.what(), ConnectFailure::of(text));
}

void OpenSessions::add(const Backend& backend, int socket) {
  const int kept = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (kept < 0) throw std::system_error(errno, std::generic_category(), "duplicating a socket");
  const std::lock_guard lock(mutex_);
  entries_.push_back({backend, kept});
}

void OpenSessions::remove(const Backend& backend) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const Entry& entry) {
    if (entry.backend != backend) return false;
    ::close(entry.socket);
    return true;
  });
}

std::vector<Backend> OpenSessions::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<Backend> backends;
  for (const Entry& entry : entries_) backends.push_back(entry.backend);
  return backends;
}

void OpenSessions::break_all_but(const Backend& kept) {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.backend != kept) ::shutdown(entry.socket, SHUT_RDWR);
  }
}

Session::Session(const SessionOptions& options)
    : lineage_(options.lineage),
      era_(lineage_ ? lineage_->era() : 0),
      connection_(connection_text(options)) {
  forbid_reconnecting(connection_);
  require_own_backend(connection_, connection_text(options));
  require_safe_server(*this, options);
  apply(settings_of(options));
  const pqxx::result me =
      run("select pid, (extract(epoch from backend_start) * 1000000)::bigint"
          " from pg_stat_activity where pid = pg_backend_pid()");
  backend_ = {me[0][0].as<int>(), me[0][1].c_str()};
  if (options.registry) {
    options.registry->add(backend_, connection_.sock());
    registered_.registry = options.registry;
    registered_.backend = backend_;
  }
  if (lineage_) era_ = lineage_->admit(*this, era_);
}

bool Session::is_current() const {
  return !lineage_ || lineage_->era() == era_;
}

/// What every statement of this folder is written for. The kind of a session may have other times.
Settings Session::settings_of(const SessionOptions& options) {
  std::map<std::string, std::string> all{{"client_min_messages", "warning"},
                                         {"client_encoding", "UTF8"},
                                         {"standard_conforming_strings", "on"},
                                         {"DateStyle", "ISO, MDY"},
                                         {"IntervalStyle", "postgres"},
                                         {"TimeZone", "UTC"},
                                         {"extra_float_digits", "1"},
                                         {"bytea_output", "hex"},
                                         {"search_path", "pg_catalog, pg_temp"},
                                         {"row_security", "off"},
                                         {"default_transaction_isolation", "read committed"},
                                         {"statement_timeout", "30s"},
                                         {"lock_timeout", "10s"},
                                         {"idle_in_transaction_session_timeout", "30s"},
                                         {"idle_session_timeout", "0"}};
  if (server_version() >= transaction_timeout_since) all["transaction_timeout"] = "0";
  const std::string commit =
      run("select pg_catalog.current_setting('synchronous_commit')")[0][0].c_str();
  const bool stays =
      commit == "remote_apply" || (commit == "off" && options.allow_unsafe &&
                                   options.allow_unsafe->contains("synchronous_commit"));
  all["synchronous_commit"] = stays ? commit : "on";
  for (const auto& [name, value] : options.settings) all[name] = value;
  return {all.begin(), all.end()};
}

/// Names of functions and types are qualified, because the search path is not ours yet; `unnest` of
/// several arrays is syntax, which PostgreSQL resolves to its own.
void Session::apply(const Settings& settings) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const auto& [name, value] : settings) {
    names.push_back(name);
    values.push_back(value);
  }
  run_prepared("apply_settings",
               "select pg_catalog.set_config(s.name, s.value, false)"
               " from unnest($1::pg_catalog.text[], $2::pg_catalog.text[])"
               " s(name, value)",
               array_literal(names), array_literal(values));
  const pqxx::result other =
      run_prepared("check_settings",
                   "select s.name, current_setting(s.name) from unnest($1::text[], $2::text[])"
                   " s(name, value) where current_setting(s.name) is distinct from s.value",
                   array_literal(names), array_literal(values));
  if (other.empty()) return;
  throw std::runtime_error(
      "the session does not keep its settings: " + std::string(other[0][0].c_str()) + " is " +
      other[0][1].c_str() + " again");
}

pqxx::result Session::run(const std::string& sql) {
  statement_ = "session";
  pqxx::nontransaction tx(connection_);
  return tx.exec(sql);
}

std::string Session::prepared(std::string_view name, const std::string& sql) {
  statement_ = name;
  if (!prepared_.contains(name)) {
    connection_.prepare(std::string(name), sql);
    prepared_.emplace(name);
  }
  return std::string(name);
}

pqxx::result Session::run_binary(std::string_view name, const std::string& sql,
                                 const std::vector<std::string_view>& parameters) {
  const std::string statement = prepared(name, sql);
  pqxx::nontransaction tx(connection_);
#if PQXX_VERSION_MAJOR < 7
  std::vector<pqxx::binarystring> bytes;
  bytes.reserve(parameters.size());
  for (const std::string_view parameter : parameters) {
    bytes.emplace_back(parameter.data(), parameter.size());
  }
  return tx.exec_prepared(statement, pqxx::prepare::make_dynamic_params(bytes));
#else
  pqxx::params bytes;
  bytes.reserve(parameters.size());
  for (const std::string_view parameter : parameters) {
    bytes.append(std::basic_string_view<std::byte>(
        reinterpret_cast<const std::byte*>(parameter.data()), parameter.size()));
  }
  return tx.exec_prepared(statement, bytes);
#endif
}

std::string array_literal(const std::vector<std::string>& values) {
  std::string out = "{";
  for (const std::string& value : values) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

}  // namespace backstitch::postgres
