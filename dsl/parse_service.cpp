#include "parse_fields.hpp"

#include <re2/re2.h>

#include <algorithm>

#include <backstitch/dsl/header_field.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/parse.hpp>

#include "excerpt.hpp"

namespace backstitch::dsl {
namespace {

constexpr std::int64_t response_bytes_least = 1024;
constexpr std::int64_t response_bytes_most = 4 * 1024 * 1024;

Auth read_auth(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`auth`", findings);
  Auth auth;
  if (!reader.has("type"))
    reader.refuse("E002", "`auth` needs `type`",
                  "add \"type\": none, bearer, basic, apiKey, oauth2 or hmac");
  auth.type = reader
                  .word<AuthType>("type", {{"none", AuthType::none},
                                           {"bearer", AuthType::bearer},
                                           {"basic", AuthType::basic},
                                           {"apiKey", AuthType::api_key},
                                           {"oauth2", AuthType::oauth2},
                                           {"hmac", AuthType::hmac}})
                  .value_or(AuthType::none);
  auth.secret = reader.text("secret").value_or("");
  auth.header = reader.text("header").value_or("");
  auth.token_url = reader.text("tokenUrl").value_or("");
  auth.scopes = reader.texts("scopes");
  if (auth.type != AuthType::none && auth.secret.empty()) {
    reader.refuse("E002", "`auth` needs the name of its `secret`",
                  "add \"secret\" with the name under which it is registered");
  }
  reader.finish();
  return auth;
}

/// As in a certificate and in the handshake: a host name (RFC 1123, section 2.1), no address.
bool is_server_name(std::string_view name) {
  static const re2::RE2 label("[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?");
  if (name.size() > 253) return false;
  for (;;) {
    const auto dot = name.find('.');
    const std::string_view one = name.substr(0, dot);
    if (!re2::RE2::FullMatch(std::string(one), label)) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

Tls read_tls(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`tls`", findings);
  Tls tls;
  tls.ca = reader.text("ca").value_or("");
  tls.client_cert = reader.text("clientCert").value_or("");
  if (const auto name = reader.text("serverName")) {
    if (!is_server_name(*name))
      reader.refuse("E002", "`serverName` is not a host name",
                    "write the name that the service's certificate is for, as bank.example");
    tls.server_name = *name;
  }
  tls.version_min = reader
                        .word<std::string>("minVersion", {{"1.2", std::string("1.2")},
                                                          {"1.3", std::string("1.3")}})
                        .value_or("");
  reader.finish();
  return tls;
}

/// Its host and port, and nothing else.
bool is_proxy_url(const std::string& url) {
  static const re2::RE2 form(R"(http://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?)");
  return re2::RE2::FullMatch(url, form);
}

/// @return the name of the secret
std::string read_proxy_auth(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`proxyAuth`", findings);
  if (!reader.has("type"))
    reader.refuse("E002", "`proxyAuth` needs `type`", "add \"type\": \"basic\"");
  reader.word<bool>("type", {{"basic", true}});
  auto secret = reader.text("secret").value_or("");
  if (secret.empty())
    reader.refuse("E002", "`proxyAuth` needs the name of its `secret`",
                  "add \"secret\" with the name of the secret that holds user:password");
  reader.finish();
  return secret;
}

Proxy read_proxy(Reader& reader) {
  Proxy proxy;
  proxy.url = reader.text("proxy").value_or("");
  // Not repeated: it may hold a password.
  if (reader.has("proxy") && !is_proxy_url(proxy.url))
    add_error(reader.findings(), "E002", reader.at("proxy"),
              "`proxy` is not of the form http://HOST:PORT",
              "write for example http://proxy.example:3128; its user and password are the secret "
              "of `proxyAuth`");
  if (const Json* auth = reader.take("proxyAuth")) {
    proxy.secret = read_proxy_auth(*auth, reader.at("proxyAuth"), reader.findings());
    if (!reader.has("proxy"))
      reader.refuse("E002", "`proxyAuth` is there without a `proxy`",
                    "add \"proxy\", or remove `proxyAuth`");
  }
  return proxy;
}

Breaker read_breaker(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`breaker`", findings);
  Breaker breaker;
  breaker.window = reader.plain_duration("window", more_than_nothing).value_or(breaker.window);
  breaker.calls_min = static_cast<std::uint32_t>(
      reader.integer("minCalls", 1, 1'000'000).value_or(breaker.calls_min));
  breaker.failure_ratio = reader.number("failureRatio", 0, 1).value_or(breaker.failure_ratio);
  breaker.open_for = reader.plain_duration("openFor", more_than_nothing).value_or(breaker.open_for);
  breaker.half_open_calls = static_cast<std::uint32_t>(
      reader.integer("halfOpenCalls", 1, 1'000).value_or(breaker.half_open_calls));
  reader.finish();
  return breaker;
}

ServiceLimits read_limits(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`limits`", findings);
  ServiceLimits limits;
  const auto count = [&](const char* key, std::int64_t least) -> std::optional<std::uint32_t> {
    const auto number = reader.integer(key, least, 1'000'000);
    return number ? std::optional(static_cast<std::uint32_t>(*number)) : std::nullopt;
  };
  limits.in_flight_max = count("maxInFlight", 1);
  limits.queue_max = count("maxQueue", 0);
  limits.rate_per_second = reader.number("ratePerSecond", 0, 1e9);
  limits.burst = count("burst", 1);
  if (const Json* breaker = reader.take("breaker"))
    limits.breaker = read_breaker(*breaker, reader.at("breaker"), findings);
  reader.finish();
  return limits;
}

/// @return the name of a header, or nothing with a finding
std::string read_header_name(Reader& reader, const char* key, const char* example) {
  const auto name = reader.text(key);
  if (name && name->empty())
    add_error(reader.findings(), "E002", reader.at(key), "the name of a header is not empty",
              std::string("write for example ") + example);
  return name.value_or("");
}

/// One media type or a list of them, without parameters.
std::vector<std::string> read_media_types(Reader& reader, const Json& value) {
  std::vector<std::string> types;
  if (value["contentType"].is_string())
    types.push_back(*reader.text("contentType"));
  else
    types = reader.texts("contentType");
  if (value["contentType"].is_array() && value["contentType"].empty())
    add_error(reader.findings(), "E002", reader.at("contentType"),
              "a list of media types is not empty", "write for example application/json");
  for (std::string& type : types) {
    const auto slash = type.find('/');
    if (slash == std::string::npos || !is_token(type.substr(0, slash)) ||
        !is_token(type.substr(slash + 1)))
      add_error(reader.findings(), "E002", reader.at("contentType"),
                "\"" + type + "\" is not a media type without parameters",
                "write for example application/json");
    type = media_type_of(type);
  }
  return types;
}

AnswerMarks read_answers(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`answers`", findings);
  AnswerMarks marks;
  const int ways = (reader.has("echo") ? 1 : 0) +
                   (reader.has("header") || reader.has("value") ? 1 : 0) +
                   (reader.has("contentType") ? 1 : 0);
  marks.echo = read_header_name(reader, "echo", "Saga-Echo");
  marks.header = read_header_name(reader, "header", "X-Answered-By");
  marks.value = reader.text("value").value_or("");
  if (reader.has("contentType")) marks.content_types = read_media_types(reader, value);
  const bool lacks_half = reader.has("header") != reader.has("value");
  if (value.is_object() && (ways != 1 || lacks_half))
    reader.refuse("E002",
                  "`answers` has exactly one of `echo`, `header` with its `value`, `contentType`",
                  "keep the one that says most: `echo` before `header` before `contentType`");
  reader.finish();
  return marks;
}

void read_headers(Reader& reader, Service& service) {
  const Json* headers = reader.take("headers");
  if (headers == nullptr) return;
  if (!headers->is_object()) {
    return add_error(reader.findings(), "E002", reader.at("headers"),
                     "`headers` is an object of strings", "write { \"name\": \"value\" }");
  }
  for (const auto& [name, value] : headers->items()) {
    if (value.is_string())
      service.headers.emplace_back(name, value.get<std::string>());
    else
      add_error(reader.findings(), "E002", reader.at("headers") + "/" + escaped_pointer(name),
                "a header is a string", "write a string");
  }
}

void read_defaults(Reader& reader, Service& service,
                   const std::map<std::string, RetrySpec>& policies) {
  service.connect_timeout = reader.plain_duration("connectTimeout", more_than_nothing);
  service.attempt_timeout = reader.plain_duration("attemptTimeout", one_attempt);
  if (const Json* retry = reader.take("retry")) {
    service.retry = read_retry(*retry, reader.at("retry"), policies, reader.findings());
  }
  if (const Json* rules = reader.take("outcomes")) {
    service.outcomes = read_outcomes(*rules, reader.at("outcomes"), reader.findings());
  }
  if (const Json* limits = reader.take("limits")) {
    service.limits = read_limits(*limits, reader.at("limits"), reader.findings());
  }
  service.response_bytes_max = static_cast<std::size_t>(
      reader.integer("maxResponseBytes", response_bytes_least, response_bytes_most)
          .value_or(static_cast<std::int64_t>(service.response_bytes_max)));
}

/// What a service says of itself is written where it is registered, once for all definitions.
void refuse_beside_use(Reader& reader, const std::string& name) {
  for (const char* key :
       {"type", "baseUrl", "auth", "tls", "proxy", "proxyAuth", "headers", "idempotency",
        "idempotencyHeader", "keepAlive", "answers", "quietPeriod", "connectTimeout",
        "attemptTimeout", "retry", "outcomes", "limits", "maxResponseBytes"}) {
    if (reader.take(key) == nullptr) continue;
    add_error(reader.findings(), "E002", reader.at(key),
              "a service with `use` has no `" + std::string(key) + "` of its own",
              "remove it, and write it into the registered service `" + name + "`");
  }
}

constexpr const char* service_name_hint =
    "letters, digits, `.`, `_` and `-`, at most 128, the first a letter or digit";

}  // namespace

bool is_service_name(std::string_view text) {
  constexpr std::size_t chars_max = 128;
  const auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= chars_max && is_alphanumeric(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
         });
}

Service read_service(const Json& value, const std::string& pointer, bool registered,
                     const std::map<std::string, RetrySpec>& policies, Findings& findings) {
  Reader reader(value, pointer, "a service", findings);
  Service service;
  service.pointer = pointer;
  if (!registered && reader.has("use")) {
    service.use = reader.text("use").value_or("");
    if (value["use"].is_string() && !is_service_name(service.use))
      add_error(findings, "E002", reader.at("use"),
                excerpt(value["use"].dump(), 80) + " is not a valid name of a service",
                service_name_hint);
    refuse_beside_use(reader, service.use);
    reader.finish();
    return service;
  }
  service.local = reader.word<bool>("type", {{"http", false}, {"local", true}}).value_or(false);
  service.base_url = reader.text("baseUrl").value_or("");
  const bool is_url =
      service.base_url.starts_with("https://") || service.base_url.starts_with("http://");
  if (!service.local && !is_url) {
    const char* wanted =
        "a service of type http needs a `baseUrl` that begins with https:// or http://";
    if (!reader.has("baseUrl"))
      reader.refuse("E002", wanted, "add \"baseUrl\"");
    else if (value["baseUrl"].is_string())
      add_error(findings, "E002", reader.at("baseUrl"), wanted, "write \"https://…\"");
  }
  if (const Json* auth = reader.take("auth"))
    service.auth = read_auth(*auth, reader.at("auth"), findings);
  if (const Json* tls = reader.take("tls"))
    service.tls = read_tls(*tls, reader.at("tls"), findings);
  service.proxy = read_proxy(reader);
  read_headers(reader, service);
  service.idempotency = reader
                            .word<Idempotency>("idempotency", {{"key", Idempotency::key},
                                                               {"natural", Idempotency::natural},
                                                               {"none", Idempotency::none}})
                            .value_or(Idempotency::key);
  service.idempotency_header =
      reader.text("idempotencyHeader").value_or(service.idempotency_header);
  service.keep_alive = reader.boolean("keepAlive").value_or(service.keep_alive);
  if (const Json* answers = reader.take("answers"))
    service.answers = read_answers(*answers, reader.at("answers"), findings);
  service.quiet_period = reader.plain_duration("quietPeriod").value_or(service.quiet_period);
  read_defaults(reader, service, policies);
  reader.finish();
  return service;
}

ParsedService parse_service(std::string_view text) {
  ParsedService parsed;
  auto json = parse_json(text);
  if (!json) {
    add_error(parsed.findings, "E001",
              json.error().details.empty() ? "" : json.error().details[0].pointer,
              json.error().message, hint_of(json.error()));
    return parsed;
  }
  auto service = std::make_shared<Service>(read_service(*json, "", true, {}, parsed.findings));
  if (!has_errors(parsed.findings)) {
    parsed.service = std::move(service);
    parsed.document = std::move(*json);
  }
  parsed.places = SourceMap{std::string(text)};
  for (auto& finding : parsed.findings) {
    put(finding, parsed.places.find(finding.pointer));
  }
  sort(parsed.findings);
  return parsed;
}

}  // namespace backstitch::dsl
