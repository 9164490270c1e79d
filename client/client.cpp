#include <backstitch/client/client.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <random>
#include <string_view>

// cpprest defines a macro `U` otherwise, which other headers trip over.
#define _TURN_OFF_PLATFORM_STRING  // NOLINT(bugprone-reserved-identifier)
#include <cpprest/http_client.h>

#include <backstitch/base/ascii.hpp>
#include <backstitch/base/json_text.hpp>

namespace backstitch::client {
namespace {

using web::http::http_request;
using web::http::http_response;
using web::http::methods;

/// Proxies give up on an answer after 15 to 60 seconds: a longer wait is several requests.
constexpr Duration wait_slice_max{10'000};

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
  if (error.reason == "outcome-unknown") error.code = ErrorCode::outcome_unknown;
  error.saga = text_of(problem, "saga");
  for (const char* list : {"errors", "findings"}) {
    if (!problem.contains(list)) continue;
    for (const auto& detail : problem[list]) {
      const std::string hint = text_of(detail, "hint");
      error.details.push_back({text_of(detail, "pointer"), text_of(detail, "code"),
                               text_of(detail, "message") + (hint.empty() ? "" : "; " + hint)});
    }
    const auto missing = problem.find(std::string(list) + "Missing");
    if (missing != problem.end() && missing->is_number_unsigned())
      error.message += " The list leaves out " + missing->dump() + " more.";
  }
  return error;
}

bool equals_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower_case(x) == lower_case(y); });
}

/// Whether the server may have seen the request. cpprestsdk tells the step that failed as text.
bool may_have_been_sent(const std::exception& failure) {
  constexpr std::string_view before_sending[] = {
      "Error resolving address", "Failed to connect to any resolved endpoint",
      "Failed to set TLS SNI hostname", "Error in SSL handshake"};
  const std::string_view what = failure.what();
  return std::none_of(std::begin(before_sending), std::end(before_sending),
                      [&](std::string_view step) { return what.starts_with(step); });
}

/// What every answer of a Backstitch server to a call has.
struct Expected {
  Expected(const char* name) : member(name) {}  // NOLINT(google-explicit-constructor)
  Expected(const char* name, std::string_view text) : member(name), value(text) {}
  const char* member;
  std::string_view value{};  ///< of the member, without case; empty: any

  bool is_met_by(const Json& body) const {
    return body.is_object() && body.contains(member) &&
           (value.empty() || equals_without_case(text_of(body, member), value));
  }
};

bool goes_on(const Json& saga) {
  const std::string status = text_of(saga, "status");
  return status == "RUNNING" || status == "COMPENSATING";
}

}  // namespace

struct Client::Impl {
  explicit Impl(Options given) : options(std::move(given)) {
    web::http::client::http_client_config config;
    config.set_timeout(options.timeout);
    // Backstitch redirects nothing: whoever does is another program, and gets no second request.
    config.set_max_redirects(0);
    try {
      web::uri_builder server{web::uri(options.server)};
      if (const std::string host = server.host(); host.starts_with('[')) {
        // cpprestsdk takes an IPv6 address in brackets for a name that has to be looked up; without
        // them it would leave them out of `Host`, too.
        host_header = host + (server.port() > 0 ? ":" + std::to_string(server.port()) : "");
        server.set_host(host.substr(1, host.size() - 2));
      }
      http = std::make_unique<web::http::client::http_client>(server.to_uri(), config);
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
    if (!host_header.empty()) request.headers().add("Host", host_header);
    if (!options.token.empty()) request.headers().add("Authorization", "Bearer " + options.token);
    try {
      const http_response response = http->request(request).get();
      const auto body = response.extract_vector().get();
      Answer answer{response.status_code(), {}, {}, std::string(body.begin(), body.end())};
      response.headers().match("Content-Type", answer.content_type);
      response.headers().match("Location", answer.location);
      return answer;
    } catch (const std::exception& failure) {
      return no_answer(call, failure);
    }
  }

  Error no_answer(const Call& call, const std::exception& failure) const {
    const bool changes = call.method != methods::GET;
    return {changes && may_have_been_sent(failure) ? ErrorCode::outcome_unknown
                                                   : ErrorCode::unavailable,
            "server-unreachable",
            "No answer from " + options.server + ": " + failure.what() +
                ". Is it running? Name another with --server or BACKSTITCH_SERVER."};
  }

  Error not_backstitch(const Call& call, const Answer& answer) const {
    if (answer.status >= 300 && answer.status < 400) return redirected(call, answer);
    // A gateway may have passed the request on, whatever it answers in the place of the server; it
    // has not where it refuses the request.
    const bool is_refusal = answer.status >= 400 && answer.status < 500;
    const bool changes = call.method != methods::GET;
    return {changes && !is_refusal ? ErrorCode::outcome_unknown : ErrorCode::unavailable,
            "not-backstitch",
            options.server + " does not answer like a Backstitch server: " + call.method + " " +
                without_query(call.path) + " was answered " + std::to_string(answer.status) +
                " with " + (answer.content_type.empty() ? "no content type" : answer.content_type) +
                ". Is another program or a proxy at that address? Name the server with --server or "
                "BACKSTITCH_SERVER."};
  }

  static std::string without_query(const std::string& path) {
    return path.substr(0, path.find('?'));
  }

  /// A redirect is never followed: the token and the request are for the server that was named, and
  /// a POST would become a GET.
  Error redirected(const Call& call, const Answer& answer) const {
    const std::string path = without_query(call.path);
    std::string target = answer.location.substr(0, answer.location.find_first_of("?#"));
    const bool names_call =
        target.size() > path.size() && target.ends_with(path) && target.front() != '/';
    if (names_call) target.resize(target.size() - path.size());
    const std::string found = options.server + " answers " + call.method + " " + path + " with " +
                              std::to_string(answer.status) + ": the server redirects to ";
    return {ErrorCode::unavailable, "server-redirects",
            names_call ? found + target + "; use that with --server, or in BACKSTITCH_SERVER."
                       : found + (answer.location.empty() ? "no address" : answer.location) +
                             ", which is not followed. Name the server itself with --server or "
                             "BACKSTITCH_SERVER."};
  }

  struct Reply {
    int status = 0;
    Json body;
  };

  Result<Reply> reply(const Call& call, const Expected& expected) {
    const auto answer = send(call);
    if (!answer) return answer.error();
    Json body = Json::parse(answer->body, nullptr, false);
    const bool succeeded = answer->status >= 200 && answer->status < 300;
    if (!succeeded && is_problem(body)) return error_of(answer->status, body);
    if (!succeeded || !expected.is_met_by(body)) return not_backstitch(call, *answer);
    return Reply{answer->status, std::move(body)};
  }

  Result<Json> json(const Call& call, const Expected& expected) {
    auto got = reply(call, expected);
    if (got) return std::move(got->body);
    Error error = std::move(got).error();
    if (error.code == ErrorCode::outcome_unknown && call.method != methods::GET)
      error.message += " It may have been done; look before you repeat it.";
    return error;
  }
  Result<Json> get(const std::string& path, const Expected& expected) {
    return json({methods::GET, path}, expected);
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
  Result<Json> post(const std::string& path, const std::string& body, const Expected& expected) {
    return json({methods::POST, path, &body}, expected);
  }
  Result<Json> command(const Order& order, const std::string& what, const Json& body) {
    return post("/v1/sagas" + segment(order.id) + what + (order.dry_run ? "?dryRun=true" : ""),
                json_text(body), order.dry_run ? Expected("dryRun") : Expected("id", order.id));
  }

  Options options;
  std::string host_header;  ///< empty: what cpprestsdk makes of the URL
  std::unique_ptr<web::http::client::http_client> http;
};

Client::Client(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

namespace {

Json body_of(const Start& start) {
  Json body{{"definition", start.definition}, {"input", start.input}};
  if (start.version) body["version"] = *start.version;
  if (start.business_key) body["businessKey"] = *start.business_key;
  if (!start.labels.empty()) body["labels"] = start.labels;
  return body;
}

}  // namespace

Result<Started> Client::start(const Start& start) {
  using Clock = std::chrono::steady_clock;
  const std::string text = json_text(body_of(start));
  const std::string key = start.idempotency_key.empty() ? random_key() : start.idempotency_key;
  const auto until = Clock::now() + start.wait.value_or(Duration{0});
  std::optional<Started> started;
  for (auto left = start.wait.value_or(Duration{0});;
       left = std::chrono::ceil<Duration>(until - Clock::now())) {
    if (started && (left <= Duration{0} || !goes_on(started->saga))) return std::move(*started);
    Query query;
    if (start.wait) query.emplace_back("wait", to_text(std::min(left, wait_slice_max)));
    // Under its key a repeated start is the same saga: it waits on.
    auto reply = impl_->reply({methods::POST, with_query("/v1/sagas", query), &text, key}, "id");
    if (!reply && started) return std::move(*started);
    if (!reply) {
      Error error = std::move(reply).error();
      if (error.code == ErrorCode::outcome_unknown || error.code == ErrorCode::internal) {
        error.message += " The saga may have been started; repeat with --key " + key +
                         ", its idempotency key, which never starts a second one.";
      }
      return error;
    }
    if (!started) started = Started{text_of(reply->body, "id"), reply->status == 201, {}};
    started->saga = std::move(reply->body);
  }
}

Result<Json> Client::start_batch(const Json& sagas) {
  auto answer = impl_->post("/v1/sagas/batch", json_text({{"sagas", sagas}}), "results");
  if (!answer) return answer;
  return std::move((*answer)["results"]);
}

Result<Json> Client::saga(const std::string& id) {
  return impl_->get("/v1/sagas" + segment(id), {"id", id});
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
                     {"id", id});
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
  return impl_->json({methods::PUT, "/v1/services" + segment(name), &document}, {"name", name});
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
