#include "parse_fields.hpp"

#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/dsl/parse.hpp>

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

Tls read_tls(const Json& value, const std::string& pointer, Findings& findings) {
  Reader reader(value, pointer, "`tls`", findings);
  Tls tls;
  tls.ca = reader.text("ca").value_or("");
  tls.client_cert = reader.text("clientCert").value_or("");
  tls.server_name = reader.text("serverName").value_or("");
  tls.version_min = reader
                        .word<std::string>("minVersion", {{"1.2", std::string("1.2")},
                                                          {"1.3", std::string("1.3")}})
                        .value_or("");
  reader.finish();
  return tls;
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

}  // namespace

Service read_service(const Json& value, const std::string& pointer, bool registered,
                     const std::map<std::string, RetrySpec>& policies, Findings& findings) {
  Reader reader(value, pointer, "a service", findings);
  Service service;
  service.pointer = pointer;
  if (!registered && reader.has("use")) {
    service.use = reader.text("use").value_or("");
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
  read_headers(reader, service);
  service.idempotency = reader
                            .word<Idempotency>("idempotency", {{"key", Idempotency::key},
                                                               {"natural", Idempotency::natural},
                                                               {"none", Idempotency::none}})
                            .value_or(Idempotency::key);
  service.idempotency_header =
      reader.text("idempotencyHeader").value_or(service.idempotency_header);
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
  const SourceMap places{std::string(text)};
  for (auto& finding : parsed.findings) {
    put(finding, places.find(finding.pointer));
  }
  sort(parsed.findings);
  return parsed;
}

}  // namespace backstitch::dsl
