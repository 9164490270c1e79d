#include <backstitch/client/client.hpp>

#include <chrono>
#include <random>

// cpprest defines a macro `U` otherwise, which other headers trip over.
#define _TURN_OFF_PLATFORM_STRING  // NOLINT(bugprone-reserved-identifier)
#include <cpprest/http_client.h>

#include <backstitch/base/json_text.hpp>

namespace backstitch::client {
namespace {

using web::http::http_request;
using web::http::http_response;
using web::http::methods;

/// What a start is repeated under when the caller gave no key: two random words are enough to be
/// alone.
std::string random_key() {
  std::random_device device;
  std::mt19937_64 generator(
      (static_cast<std::uint64_t>(device()) << 32) ^ device() ^
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
  return "client-" + std::to_string(generator()) + "-" + std::to_string(generator());
}

std::string segment(const std::string& text) {
  return "/" + web::uri::encode_data_string(text);
}

std::string with_query(std::string path, const Query& query) {
  char separator = '?';
  for (const auto& [name, value] : query) {
    path +=
        separator + web::uri::encode_data_string(name) + '=' + web::uri::encode_data_string(value);
    separator = '&';
  }
  return path;
}

ErrorCode code_of(int status) {
  switch (status) {
    case 400:
    case 413:
    case 422:
    case 431:
      return ErrorCode::invalid;
    case 403:
      return ErrorCode::forbidden;
    case 404:
      return ErrorCode::not_found;
    case 409:
      return ErrorCode::conflict;
    case 503:
      return ErrorCode::unavailable;
    default:
      return ErrorCode::internal;
  }
}

Error error_of(int status, const std::string& body) {
  const Json problem = Json::parse(body, nullptr, false);
  if (!problem.is_object() || !problem.contains("code")) {
    return {code_of(status), "http-" + std::to_string(status),
            "The server answered " + std::to_string(status) + " without saying why."};
  }
  Error error{code_of(status), problem.value("code", ""), problem.value("detail", "")};
  for (const char* list : {"errors", "findings"}) {
    if (!problem.contains(list)) continue;
    for (const auto& detail : problem[list]) {
      error.details.push_back(
          {detail.value("pointer", ""), detail.value("code", ""), detail.value("message", "")});
    }
  }
  return error;
}

}  // namespace

struct Client::Impl {
  explicit Impl(Options given) : options(std::move(given)) {
    web::http::client::http_client_config config;
    config.set_timeout(options.timeout);
    http = std::make_unique<web::http::client::http_client>(options.server, config);
  }

  struct Answer {
    int status = 0;
    std::string body;
  };

  Result<Answer> send(const web::http::method& method, const std::string& path,
                      const std::string* body = nullptr, const std::string& idempotency_key = {}) {
    http_request request(method);
    request.set_request_uri(path);
    if (body != nullptr) request.set_body(*body, "application/json");
    if (!idempotency_key.empty()) request.headers().add("Idempotency-Key", idempotency_key);
    if (!options.token.empty()) request.headers().add("Authorization", "Bearer " + options.token);
    try {
      const http_response response = http->request(request).get();
      return Answer{response.status_code(), response.extract_utf8string(true).get()};
    } catch (const std::exception& failure) {
      return Error{ErrorCode::unavailable, "server-unreachable",
                   "No answer from " + options.server + ": " + failure.what() +
                       ". Is it running? Name another with --server or BACKSTITCH_SERVER."};
    }
  }

  Result<Json> json(const web::http::method& method, const std::string& path,
                    const std::string* body = nullptr, const std::string& idempotency_key = {},
                    int* status = nullptr) {
    auto answer = send(method, path, body, idempotency_key);
    if (!answer) return std::move(answer).error();
    if (answer->status >= 300) return error_of(answer->status, answer->body);
    if (status != nullptr) *status = answer->status;
    Json parsed = Json::parse(answer->body, nullptr, false);
    if (parsed.is_discarded()) {
      return Error{
          ErrorCode::internal, "answer-malformed",
          options.server + " answered with something that is not JSON; is it a Backstitch server?"};
    }
    return parsed;
  }

  Result<Json> get(const std::string& path) { return json(methods::GET, path); }
  Result<Json> post(const std::string& path, const std::string& body) {
    return json(methods::POST, path, &body);
  }
  Result<Json> act(const std::string& path, const Json& body) {
    return post(path, json_text(body));
  }
  Result<Json> command(const Order& order, const std::string& what, const Json& body) {
    return act("/v1/sagas" + segment(order.id) + what + (order.dry_run ? "?dryRun=true" : ""),
               body);
  }

  Options options;
  std::unique_ptr<web::http::client::http_client> http;
};

Client::Client(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Started> Client::start(const Start& start) {
  Json body{{"definition", start.definition}, {"input", start.input}};
  if (start.version) body["version"] = *start.version;
  if (start.business_key) body["businessKey"] = *start.business_key;
  if (!start.labels.empty()) body["labels"] = start.labels;
  Query query;
  if (start.wait) query.emplace_back("wait", to_text(*start.wait));
  const std::string text = json_text(body);
  int status = 0;
  auto saga =
      impl_->json(methods::POST, with_query("/v1/sagas", query), &text,
                  start.idempotency_key.empty() ? random_key() : start.idempotency_key, &status);
  if (!saga) return std::move(saga).error();
  Started started{saga->value("id", ""), status == 201, {}};
  started.saga = std::move(*saga);
  return started;
}

Result<Json> Client::start_batch(const Json& sagas) {
  auto answer = impl_->act("/v1/sagas/batch", {{"sagas", sagas}});
  if (!answer) return answer;
  return std::move((*answer)["results"]);
}

Result<Json> Client::saga(const std::string& id) {
  return impl_->get("/v1/sagas" + segment(id));
}
Result<Json> Client::sagas(const Query& filters) {
  return impl_->get(with_query("/v1/sagas", filters));
}
Result<Json> Client::history(const std::string& id, std::int64_t after, std::size_t limit) {
  return impl_->get(
      with_query("/v1/sagas" + segment(id) + "/history",
                 {{"after", std::to_string(after)}, {"limit", std::to_string(limit)}}));
}

Result<Json> Client::signal(const std::string& id, const std::string& name, const Json& payload) {
  return impl_->act("/v1/sagas" + segment(id) + "/signals" + segment(name), payload);
}
Result<Json> Client::cancel(const Order& order) {
  return impl_->command(order, "/cancel", {{"reason", order.reason}});
}
Result<Json> Client::retry(const Order& order) {
  return impl_->command(order, "/retry", {{"reason", order.reason}});
}
Result<Json> Client::suspend(const Order& order, const std::string& step) {
  Json body{{"reason", order.reason}};
  if (!step.empty()) body["step"] = step;
  return impl_->command(order, "/suspend", body);
}
Result<Json> Client::skip(const Order& order, const std::string& step) {
  return impl_->command(order, "/steps" + segment(step) + "/skip", {{"reason", order.reason}});
}
Result<Json> Client::resolve(const Order& order, const std::string& step,
                             const Resolution& resolution) {
  Json body{{"reason", order.reason}, {"as", resolution.as}};
  if (resolution.output) body["output"] = *resolution.output;
  if (resolution.captured) body["captured"] = *resolution.captured;
  return impl_->command(order, "/steps" + segment(step) + "/resolve", body);
}

Result<Json> Client::validate(const std::string& definition) {
  return impl_->post("/v1/definitions/validate", definition);
}
Result<Json> Client::register_definition(const std::string& definition, bool activate) {
  return impl_->post(activate ? "/v1/definitions?activate=true" : "/v1/definitions", definition);
}
Result<Json> Client::register_dry_run(const std::string& definition) {
  return impl_->post("/v1/definitions?dryRun=true", definition);
}
Result<Json> Client::definitions() {
  return impl_->get("/v1/definitions");
}
Result<Json> Client::definition(const std::string& name) {
  return impl_->get("/v1/definitions" + segment(name));
}
Result<Json> Client::activate(const std::string& name, std::int64_t version) {
  return impl_->act(
      "/v1/definitions" + segment(name) + "/versions/" + std::to_string(version) + "/activate",
      Json::object());
}
Result<Json> Client::put_service(const std::string& name, const std::string& document) {
  return impl_->json(methods::PUT, "/v1/services" + segment(name), &document);
}
Result<Json> Client::service(const std::string& name) {
  return impl_->get("/v1/services" + segment(name));
}
Result<Json> Client::nodes() {
  return impl_->get("/v1/nodes");
}

Result<Json> Client::services() {
  return impl_->get("/v1/services");
}

Result<Json> Client::ready() {
  return impl_->get("/readyz");
}
Result<Json> Client::version() {
  return impl_->get("/version");
}
Result<std::string> Client::metrics() {
  auto answer = impl_->send(methods::GET, "/metrics");
  if (!answer) return std::move(answer).error();
  if (answer->status != 200) return error_of(answer->status, answer->body);
  return std::move(answer->body);
}

}  // namespace backstitch::client
