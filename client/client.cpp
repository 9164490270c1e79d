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
    case 405:
    case 413:
    case 415:
    case 422:
    case 431:
      return ErrorCode::invalid;
    case 403:
    case 421:
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

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// Every refusal by a Backstitch server is a problem document with a `code`.
bool is_problem(const Json& body) {
  return body.is_object() && !text_of(body, "code").empty();
}

Error error_of(int status, const Json& problem) {
  Error error{code_of(status), text_of(problem, "code"), text_of(problem, "detail")};
  error.saga = text_of(problem, "saga");
  for (const char* list : {"errors", "findings"}) {
    if (!problem.contains(list)) continue;
    for (const auto& detail : problem[list]) {
      const std::string hint = text_of(detail, "hint");
      error.details.push_back({text_of(detail, "pointer"), text_of(detail, "code"),
                               text_of(detail, "message") + (hint.empty() ? "" : "; " + hint)});
    }
  }
  return error;
}

}  // namespace

struct Client::Impl {
  explicit Impl(Options given) : options(std::move(given)) {
    web::http::client::http_client_config config;
    config.set_timeout(options.timeout);
    // Backstitch redirects nothing: whoever does is another program, and gets no second request.
    config.set_max_redirects(0);
    try {
      http = std::make_unique<web::http::client::http_client>(options.server, config);
    } catch (const std::exception&) {
      // `http` stays empty: every call says so.
    }
  }

  struct Call {
    web::http::method method;
    std::string path;
    const std::string* body = nullptr;
    std::string idempotency_key{};
  };
  struct Answer {
    int status = 0;
    std::string content_type;
    std::string location;
    std::string body;
  };

  Result<Answer> send(const Call& call) {
    if (!http) {
      return Error{ErrorCode::invalid, "server-url-invalid",
                   "`" + options.server +
                       "` is not the URL of a server; write for example http://127.0.0.1:7420."};
    }
    http_request request(call.method);
    request.set_request_uri(call.path);
    if (call.body != nullptr) request.set_body(*call.body, "application/json");
    if (!call.idempotency_key.empty())
      request.headers().add("Idempotency-Key", call.idempotency_key);
    if (!options.token.empty()) request.headers().add("Authorization", "Bearer " + options.token);
    try {
      const http_response response = http->request(request).get();
      const auto body = response.extract_vector().get();
      Answer answer{response.status_code(), {}, {}, std::string(body.begin(), body.end())};
      response.headers().match("Content-Type", answer.content_type);
      response.headers().match("Location", answer.location);
      return answer;
    } catch (const std::exception& failure) {
      return Error{ErrorCode::unavailable, "server-unreachable",
                   "No answer from " + options.server + ": " + failure.what() +
                       ". Is it running? Name another with --server or BACKSTITCH_SERVER."};
    }
  }

  Error not_backstitch(const Call& call, const Answer& answer) const {
    const bool redirects = answer.status >= 300 && answer.status < 400;
    return {ErrorCode::unavailable, "not-backstitch",
            options.server + " does not answer like a Backstitch server: " + call.method + " " +
                call.path.substr(0, call.path.find('?')) + " was answered " +
                std::to_string(answer.status) +
                (redirects ? ", a redirect to " + answer.location
                           : " with " + (answer.content_type.empty() ? "no content type"
                                                                     : answer.content_type)) +
                ". Is another program or a proxy at that address? Name the server with --server or "
                "BACKSTITCH_SERVER."};
  }

  struct Reply {
    int status = 0;
    Json body;
  };

  /// @param member what every answer of a Backstitch server to this call has
  Result<Reply> reply(const Call& call, const char* member) {
    const auto answer = send(call);
    if (!answer) return answer.error();
    Json body = Json::parse(answer->body, nullptr, false);
    const bool succeeded = answer->status >= 200 && answer->status < 300;
    if (!succeeded && is_problem(body)) return error_of(answer->status, body);
    if (!succeeded || !body.is_object() || !body.contains(member))
      return not_backstitch(call, *answer);
    return Reply{answer->status, std::move(body)};
  }

  Result<Json> json(const Call& call, const char* member) {
    auto got = reply(call, member);
    if (!got) return std::move(got).error();
    return std::move(got->body);
  }
  Result<Json> get(const std::string& path, const char* member) {
    return json({methods::GET, path}, member);
  }
  /// Every page of a list, as one answer.
  Result<Json> get_all(const std::string& path, const char* list) {
    auto all = get(path, list);
    while (all && all->contains("cursor") && (*all)["cursor"].is_string()) {
      auto page = get(with_query(path, {{"cursor", text_of(*all, "cursor")}}), list);
      if (!page) return page;
      for (auto& item : (*page)[list]) (*all)[list].push_back(std::move(item));
      (*all)["cursor"] = (*page)["cursor"];
    }
    if (all) all->erase("cursor");
    return all;
  }
  Result<Json> post(const std::string& path, const std::string& body, const char* member) {
    return json({methods::POST, path, &body}, member);
  }
  Result<Json> command(const Order& order, const std::string& what, const Json& body) {
    return post("/v1/sagas" + segment(order.id) + what + (order.dry_run ? "?dryRun=true" : ""),
                json_text(body), order.dry_run ? "dryRun" : "id");
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
  auto reply = impl_->reply({methods::POST, with_query("/v1/sagas", query), &text,
                             start.idempotency_key.empty() ? random_key() : start.idempotency_key},
                            "id");
  if (!reply) return std::move(reply).error();
  const std::string id = text_of(reply->body, "id");
  return Started{id, reply->status == 201, std::move(reply->body)};
}

Result<Json> Client::start_batch(const Json& sagas) {
  auto answer = impl_->post("/v1/sagas/batch", json_text({{"sagas", sagas}}), "results");
  if (!answer) return answer;
  return std::move((*answer)["results"]);
}

Result<Json> Client::saga(const std::string& id) {
  return impl_->get("/v1/sagas" + segment(id), "id");
}
Result<Json> Client::sagas(const Query& filters) {
  return impl_->get(with_query("/v1/sagas", filters), "sagas");
}
Result<Json> Client::history(const std::string& id, std::int64_t after, std::size_t limit) {
  return impl_->get(
      with_query("/v1/sagas" + segment(id) + "/history",
                 {{"after", std::to_string(after)}, {"limit", std::to_string(limit)}}),
      "events");
}

Result<Json> Client::signal(const std::string& id, const std::string& name, const Json& payload) {
  return impl_->post("/v1/sagas" + segment(id) + "/signals" + segment(name), json_text(payload),
                     "signal");
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
  return impl_->post("/v1/definitions/validate", definition, "valid");
}
Result<Json> Client::register_definition(const std::string& definition, bool activate) {
  return impl_->post(activate ? "/v1/definitions?activate=true" : "/v1/definitions", definition,
                     "hash");
}
Result<Json> Client::register_dry_run(const std::string& definition) {
  return impl_->post("/v1/definitions?dryRun=true", definition, "hash");
}
Result<Json> Client::definitions() {
  return impl_->get_all("/v1/definitions", "definitions");
}
Result<Json> Client::definition(const std::string& name) {
  return impl_->get_all("/v1/definitions" + segment(name), "versions");
}
Result<Json> Client::activate(const std::string& name, std::int64_t version) {
  return impl_->post(
      "/v1/definitions" + segment(name) + "/versions/" + std::to_string(version) + "/activate",
      "{}", "activeVersion");
}
Result<Json> Client::put_service(const std::string& name, const std::string& document) {
  return impl_->json({methods::PUT, "/v1/services" + segment(name), &document}, "name");
}
Result<Json> Client::service(const std::string& name) {
  return impl_->get("/v1/services" + segment(name), "service");
}
Result<Json> Client::nodes() {
  return impl_->get("/v1/nodes", "nodes");
}

Result<Json> Client::services() {
  return impl_->get_all("/v1/services", "services");
}

Result<Json> Client::ready() {
  return impl_->get("/readyz", "status");
}
Result<Json> Client::version() {
  return impl_->get("/version", "dsl");
}
Result<std::string> Client::metrics() {
  const Impl::Call call{methods::GET, "/metrics"};
  auto answer = impl_->send(call);
  if (!answer) return std::move(answer).error();
  if (answer->status != 200) return impl_->not_backstitch(call, *answer);
  return std::move(answer->body);
}

}  // namespace backstitch::client
