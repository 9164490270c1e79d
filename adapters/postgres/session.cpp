#include "session.hpp"

#include <cstddef>

// 6.4 marks inhibit_reactivation as deprecated because 7 needs it no more; late 7.x marks
// exec_prepared.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace backstitch::postgres {
namespace {

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

void forbid_reconnecting([[maybe_unused]] pqxx::connection& connection) {
#if PQXX_VERSION_MAJOR < 7
  connection.inhibit_reactivation(true);
#endif
}

}  // namespace

std::string with_options(std::string url,
                         const std::vector<std::pair<std::string, std::string>>& options) {
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

Session::Session(const SessionOptions& options) : connection_(connection_text(options)) {
  forbid_reconnecting(connection_);
  std::string settings = "set client_min_messages = warning;";
  for (const auto& [name, value] : options.settings) {
    settings += "set " + name + " = " + connection_.quote(value) + ";";
  }
  run(settings);
  const pqxx::result me =
      run("select pid, (extract(epoch from backend_start) * 1000000)::bigint"
          " from pg_stat_activity where pid = pg_backend_pid()");
  backend_ = {me[0][0].as<int>(), me[0][1].c_str()};
}

pqxx::result Session::run(const std::string& sql) {
  pqxx::nontransaction tx(connection_);
  return tx.exec(sql);
}

std::string Session::prepared(std::string_view name, const std::string& sql) {
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
