// Which requests the REST API takes, and which it refuses before anything is done for them: the
// attacks of a web page on a server on its reader's machine, and everyone else.
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <backstitch/base/json_text.hpp>

#include "authority.hpp"
#include "errors.hpp"
#include "gate.hpp"
#include "resources.hpp"
#include "router.hpp"

namespace backstitch::rest {
namespace {

using Values = std::vector<std::string>;

const Options on_loopback{.hosts = {"Saga.Test", "fd00::7"},
                          .callback_url = "https://callbacks.example:8443/base"};
const Options with_origins{.origins = {"https://console.example", "http://localhost:3000"}};
const Options on_every_address{.host = "0.0.0.0"};
const Options on_every_address_by_name{.host = "0.0.0.0", .hosts = {"saga.test"}};

std::string code_of(const std::optional<Reply>& answer) {
  if (!answer) return "";
  return answer->code.empty() ? std::to_string(answer->status) : answer->code;
}

Gate::Verdict judged(const Options& options, const RequestHead& head, Access access = Access::api) {
  const auto gate = Gate::create(options);
  REQUIRE(gate);
  return gate->judge(head, access);
}

std::string judged_host(const Options& options, const Values& hosts) {
  return code_of(judged(options, {.method = "GET", .hosts = hosts}).answer);
}

std::string judged_origin(const Options& options, const std::string& host, const Values& origins) {
  return code_of(judged(options, {.method = "POST", .hosts = {host}, .origins = origins}).answer);
}

std::string header_of(const Gate::Verdict& verdict, const std::string& name) {
  for (const auto& [key, value] : verdict.headers)
    if (key == name) return value;
  return "";
}

/// What a router with one route answers; empty: the handler was called.
std::string routed(const QueryParameters& declared, const std::string& target) {
  Router router;
  bool reached = false;
  router.add("POST", "/v1/sagas/{}/cancel", declared,
             [&](const Request&, const Values&, const Respond& respond) {
               reached = true;
               respond(json_reply(200, Json::object()));
             });
  auto request = parse_target(target);
  REQUIRE(request);
  request->method = "POST";
  Reply reply;
  Router::Match match = router.find(*request);
  Router::route(std::move(match), std::move(*request),
                [&](Reply given) { reply = std::move(given); });
  CHECK(reached == reply.code.empty());
  return reached ? "" : Json::parse(reply.body).at("detail").get<std::string>();
}

}  // namespace

TEST_CASE("a host has one canonical form however it is written") {
  const auto host_of = [](const std::string& text) {
    const auto parsed = parse_authority(text);
    if (!parsed) return std::string("invalid");
    return parsed->host + (parsed->port ? ":" + std::to_string(*parsed->port) : "");
  };
  const std::pair<const char*, const char*> cases[] = {{"localhost", "localhost"},
                                                       {"LocalHost:7420", "localhost:7420"},
                                                       {"localhost.", "localhost"},
                                                       {"localhost.:1", "localhost:1"},
                                                       {"localhost:", "localhost"},
                                                       {"127.0.0.1:65535", "127.0.0.1:65535"},
                                                       {"[::1]:80", "[::1]:80"},
                                                       {"[0:0:0:0:0:0:0:1]", "[::1]"},
                                                       {"[::FFFF:127.0.0.1]:5", "127.0.0.1:5"},
                                                       {"[FD00::7]", "[fd00::7]"},
                                                       {"", "invalid"},
                                                       {".", "invalid"},
                                                       {"a..b", "invalid"},
                                                       {".a", "invalid"},
                                                       {"localhost..", "invalid"},
                                                       {"user@localhost", "invalid"},
                                                       {"localhost@evil.test", "invalid"},
                                                       {"localhost/x", "invalid"},
                                                       {"localhost evil.test", "invalid"},
                                                       {"localhost,evil.test", "invalid"},
                                                       {"local%68ost", "invalid"},
                                                       {"localhost:65536", "invalid"},
                                                       {"localhost:-1", "invalid"},
                                                       {"localhost:80:80", "invalid"},
                                                       {"localhost:80x", "invalid"},
                                                       {"::1", "invalid"},
                                                       {"[::1", "invalid"},
                                                       {"[::1]x", "invalid"},
                                                       {"[fe80::1%25lo]", "invalid"},
                                                       {"[::1%lo]", "invalid"},
                                                       {"[localhost]", "invalid"}};
  for (const auto& [text, expected] : cases) CHECK_MESSAGE(host_of(text) == expected, text);
}

TEST_CASE("a listener on loopback answers to loopback, --host and the host of --callback-url") {
  for (const char* host :
       {"localhost", "localhost:7420", "LOCALHOST.:1", "saga.localhost:7420", "127.0.0.1",
        "127.1.2.3:99", "[::1]:7420", "[::ffff:127.0.0.1]", "saga.test", "SAGA.test.:8080",
        "[fd00::7]:7420", "callbacks.example", "callbacks.example:7420"})
    CHECK_MESSAGE(judged_host(on_loopback, {host}) == "", host);
  for (const char* host :
       {"evil.test", "evil.test:7420", "localhost.evil.test", "127.0.0.1.evil.test", "notlocalhost",
        "0.0.0.0:7420", "[::]", "128.0.0.1", "127.1", "2130706433", "0x7f000001", "[::2]",
        "x.saga.test", "10.0.0.1"})
    CHECK_MESSAGE(judged_host(on_loopback, {host}) == "host-refused", host);
}

TEST_CASE("a request whose host cannot be told is refused on every listener") {
  for (const Options& options : {on_loopback, on_every_address}) {
    CHECK(judged_host(options, {}) == "host-invalid");
    CHECK(judged_host(options, {""}) == "host-invalid");
    CHECK(judged_host(options, {"localhost", "localhost"}) == "host-invalid");
    CHECK(judged_host(options, {"localhost", "evil.test"}) == "host-invalid");
    CHECK(judged_host(options, {"user:password@localhost"}) == "host-invalid");
  }
}

TEST_CASE("HTTP/1.0 needs a host only where hosts are checked") {
  const RequestHead head{.method = "GET", .is_http_1_0 = true};
  CHECK(code_of(judged(on_loopback, head).answer) == "host-invalid");
  CHECK(code_of(judged(on_every_address, head).answer) == "");
}

TEST_CASE("a listener on other addresses checks hosts only with --host") {
  CHECK(judged_host(on_every_address, {"evil.test"}) == "");
  CHECK(judged_host(on_every_address_by_name, {"evil.test"}) == "host-refused");
  CHECK(judged_host(on_every_address_by_name, {"saga.test:7420"}) == "");
  CHECK(judged_host(on_every_address_by_name, {"localhost:7420"}) == "");
  CHECK(judged_host({.host = "192.0.2.1", .hosts = {"saga.test"}}, {"192.0.2.1:7420"}) == "");
  for (const char* listener : {"127.0.0.2", "::1"})
    CHECK(judged_host({.host = listener}, {"evil.test"}) == "host-refused");
  for (const char* listener : {"::", "192.0.2.1"})
    CHECK(judged_host({.host = listener}, {"evil.test"}) == "");
}

TEST_CASE("the authority of an absolute request target is judged in the place of the host") {
  const auto judged_target = [](const char* target, const char* host) {
    return code_of(
        judged(on_loopback, {.method = "GET", .target = parse_authority(target), .hosts = {host}})
            .answer);
  };
  CHECK(judged_target("localhost:7420", "localhost:7420") == "");
  CHECK(judged_target("localhost:7420", "localhost") == "");
  CHECK(judged_target("localhost", "evil.test") == "");
  CHECK(judged_target("evil.test", "evil.test") == "host-refused");
  CHECK(judged_target("evil.test", "localhost") == "host-refused");
  CHECK(judged_target("localhost", "user@localhost") == "host-invalid");
}

TEST_CASE("probes are answered under every host, but not to other pages") {
  const auto probe = [](const RequestHead& head) {
    return code_of(judged(on_loopback, head, Access::probe).answer);
  };
  CHECK(probe({.method = "GET", .hosts = {"evil.test"}}) == "");
  CHECK(probe({.method = "GET", .is_http_1_0 = true}) == "");
  CHECK(probe({.method = "GET", .hosts = {"localhost"}, .origins = {"http://evil.test"}}) ==
        "origin-refused");
}

TEST_CASE("a page of the server's own origin may send requests, and no other page") {
  for (const auto& [host, origin] : {std::pair{"localhost:7420", "http://localhost:7420"},
                                     {"LOCALHOST:7420", "http://localhost:7420"},
                                     {"127.0.0.1:7420", "http://127.0.0.1:7420"},
                                     {"[::1]:7420", "http://[::1]:7420"},
                                     {"localhost", "http://localhost"},
                                     {"localhost:80", "http://localhost"},
                                     {"callbacks.example", "https://callbacks.example"},
                                     {"callbacks.example:443", "https://callbacks.example"}})
    CHECK_MESSAGE(judged_origin(on_loopback, host, {origin}) == "", origin);
  for (const char* origin :
       {"null", "", "http://evil.test", "http://localhost", "http://localhost:3000",
        "https://localhost", "http://127.0.0.1:7420", "http://localhost:7420.evil.test",
        "http://localhost:7420@evil.test", "http://localhost:7420/", "file://",
        "chrome-extension://abcdef", "http://localhost:7420 http://evil.test", "localhost:7420"})
    CHECK_MESSAGE(judged_origin(on_loopback, "localhost:7420", {origin}) == "origin-refused",
                  origin);
  CHECK(judged_origin(on_loopback, "localhost", {"http://localhost", "http://localhost"}) ==
        "origin-refused");
  CHECK(judged_origin(on_every_address, "saga.test", {"http://evil.test"}) == "origin-refused");
}

TEST_CASE("a name that was rebound to the loopback address gets nowhere") {
  // The page's own host and origin agree: only the name is wrong.
  CHECK(judged_origin(on_loopback, "evil.test:7420", {"http://evil.test:7420"}) == "host-refused");
}

TEST_CASE("pages of an allowed origin may send requests and read the answers") {
  const auto verdict = judged(
      with_origins,
      {.method = "POST", .hosts = {"localhost:7420"}, .origins = {"https://console.example"}});
  CHECK(code_of(verdict.answer) == "");
  CHECK(header_of(verdict, "Access-Control-Allow-Origin") == "https://console.example");
  CHECK(header_of(verdict, "Access-Control-Expose-Headers") ==
        "Idempotent-Replayed, Location, Retry-After");
  CHECK(header_of(verdict, "Vary") == "Origin");
  for (const char* origin : {"http://console.example", "https://console.example:8443",
                             "https://console.example.evil.test", "https://x.console.example"})
    CHECK_MESSAGE(judged_origin(with_origins, "localhost:7420", {origin}) == "origin-refused",
                  origin);
}

TEST_CASE("an answer that depends on the origin says so to caches") {
  const auto verdict = judged(with_origins, {.method = "GET", .hosts = {"localhost"}});
  CHECK(header_of(verdict, "Vary") == "Origin");
  CHECK(header_of(verdict, "Access-Control-Allow-Origin") == "");
  CHECK(judged(on_loopback, {.method = "GET", .hosts = {"localhost"}}).headers.empty());
}

TEST_CASE("a preflight is answered to an allowed origin only") {
  const auto preflight = [](const std::string& origin) {
    return judged(with_origins, {.method = "OPTIONS",
                                 .hosts = {"localhost:7420"},
                                 .origins = {origin},
                                 .asks_for_method = true});
  };
  const auto allowed = preflight("http://localhost:3000");
  CHECK(code_of(allowed.answer) == "204");
  CHECK(header_of(allowed, "Access-Control-Allow-Origin") == "http://localhost:3000");
  CHECK(header_of(allowed, "Access-Control-Allow-Methods") == "GET, HEAD, POST, PUT");
  CHECK(header_of(allowed, "Access-Control-Allow-Headers") ==
        "Authorization, Content-Type, Idempotency-Key");
  CHECK(header_of(allowed, "Vary") == "Origin");
  const auto foreign = preflight("http://evil.test");
  CHECK(code_of(foreign.answer) == "origin-refused");
  CHECK(header_of(foreign, "Access-Control-Allow-Origin") == "");
  CHECK(header_of(foreign, "Access-Control-Allow-Methods") == "");
}

TEST_CASE("a body has a JSON content type, but for callbacks and where there is no body") {
  const auto judged_type = [](const Values& types, bool has_body = true,
                              Access access = Access::api) {
    const RequestHead head{
        .method = "POST", .hosts = {"localhost"}, .content_types = types, .has_body = has_body};
    return code_of(judged(on_loopback, head, access).answer);
  };
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json ;x=\"y\"", "application/vnd.saga+json", "application/problem+json;a=b"})
    CHECK_MESSAGE(judged_type({type}) == "", type);
  for (const char* type :
       {"", "text/plain", "text/plain; application/json", "text/plain;charset=application/json",
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp",
        "text/json", "+json", "/+json", "application/", "text/plain, application/json",
        "application/json, text/plain", "text/plain\tapplication/x+json", "a/b/c+json"})
    CHECK_MESSAGE(judged_type({type}) == "content-type-unsupported", type);
  CHECK(judged_type({}) == "content-type-unsupported");
  CHECK(judged_type({"application/json", "text/plain"}) == "content-type-unsupported");
  CHECK(judged_type({}, false) == "");
  CHECK(judged_type({"text/plain"}, false) == "");
  CHECK(judged_type({"text/plain"}, true, Access::callback) == "");
  CHECK(judged_type({}, true, Access::callback) == "");
}

TEST_CASE("a body that is compressed is refused, that of a callback too") {
  for (const Access access : {Access::api, Access::callback, Access::probe}) {
    const auto judged_encoding = [&](const Values& encodings, bool has_body = true) {
      return judged(on_loopback,
                    {.method = "POST",
                     .hosts = {"localhost"},
                     .content_types = {"application/json"},
                     .content_encodings = encodings,
                     .has_body = has_body},
                    access)
          .answer;
    };
    for (const char* encoding : {"gzip", "GZIP", "br", "identity, gzip", "x", "aws-chunked"}) {
      const auto answer = judged_encoding({encoding});
      REQUIRE_MESSAGE(answer, encoding);
      CHECK(answer->code == "content-encoding-unsupported");
      CHECK(answer->status == 415);
    }
    CHECK(judged_encoding({"identity", "gzip"}));
    CHECK(!judged_encoding({}));
    CHECK(!judged_encoding({""}));
    CHECK(!judged_encoding({"Identity"}));
    CHECK(!judged_encoding({"gzip"}, false));
  }
}

TEST_CASE("a body whose end is not certain is refused before it is read, and closes") {
  const auto framed = [](Values encodings, bool is_http_1_0 = false) {
    const auto verdict = judged(on_loopback, {.method = "POST",
                                              .hosts = {"localhost"},
                                              .content_types = {"application/json"},
                                              .transfer_encodings = std::move(encodings),
                                              .is_http_1_0 = is_http_1_0});
    CHECK(verdict.must_close == verdict.answer.has_value());
    return code_of(verdict.answer);
  };
  for (const char* chunked : {"chunked", "Chunked", "CHUNKED"})
    CHECK_MESSAGE(framed({chunked}) == "", chunked);
  for (const char* other : {"", "identity", "gzip", "gzip, chunked", "chunked, gzip", "xchunked",
                            "chunked;q=1", "chunked,", "chunked, chunked", "\"chunked\""})
    CHECK_MESSAGE(framed({other}) == "transfer-encoding-unsupported", other);
  CHECK(framed({"chunked", "chunked"}) == "transfer-encoding-unsupported");
  CHECK(framed({"identity", "chunked"}) == "transfer-encoding-unsupported");
  CHECK(framed({"chunked"}, true) == "http-malformed");
}

TEST_CASE("a request has one idempotency key at most") {
  const auto keyed = [](std::size_t keys) {
    return code_of(
        judged(on_loopback, {.method = "GET", .hosts = {"localhost"}, .idempotency_keys = keys})
            .answer);
  };
  CHECK(keyed(0) == "");
  CHECK(keyed(1) == "");
  CHECK(keyed(2) == "idempotency-key-invalid");
}

TEST_CASE("a host that is not ours is a misdirected request, and a bad one a bad request") {
  const auto status = [](const Values& hosts) {
    return judged(on_loopback, {.method = "GET", .hosts = hosts}).answer->status;
  };
  CHECK(status({"evil.test"}) == 421);
  CHECK(status({}) == 400);
  CHECK(status({"localhost", "localhost"}) == 400);
}

TEST_CASE("a refusal says how to allow what it refuses") {
  const auto detail = [](const RequestHead& head) {
    const auto verdict = judged(on_loopback, head);
    REQUIRE(verdict.answer);
    return Json::parse(verdict.answer->body).at("detail").get<std::string>();
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  CHECK(has(detail({.method = "GET", .hosts = {"saga.lan:7420"}}), "--host saga.lan"));
  CHECK(has(detail({.method = "GET", .hosts = {"localhost"}, .origins = {"https://a.test:8443"}}),
            "--allow-origin https://a.test:8443;"));
  CHECK(has(detail({.method = "POST", .hosts = {"localhost"}, .has_body = true}),
            "send `Content-Type: application/json`"));
}

TEST_CASE("an option that is not valid stops the server before it listens") {
  const auto reason = [](const Options& options) {
    const auto checked = Server::check(options);
    return checked ? std::string{} : checked.error().reason;
  };
  CHECK(reason({.hosts = {"saga.test", "fd00::7", "[::1]", "10.0.0.5"}}) == "");
  for (const char* host : {"", "saga.test:7420", "http://saga.test", "*.saga.test", "a b"})
    CHECK_MESSAGE(reason({.hosts = {host}}) == "host-option-invalid", host);
  CHECK(reason({.origins = {"http://localhost:3000", "chrome-extension://abc"}}) == "");
  for (const char* origin :
       {"", "null", "*", "console.example", "https://console.example/", "https://*"})
    CHECK_MESSAGE(reason({.origins = {origin}}) == "origin-option-invalid", origin);
  CHECK(reason({.callback_url = "saga.example"}) == "callback-url-invalid");
  CHECK(reason({.callback_url = "https://saga.example/base?x"}) == "");
}

TEST_CASE("a query parameter that the route does not declare keeps the request from its handler") {
  const std::string cancel = "/v1/sagas/1/cancel";
  CHECK(routed({"dryRun"}, cancel) == "");
  CHECK(routed({"dryRun"}, cancel + "?") == "");
  CHECK(routed({"dryRun"}, cancel + "?dryRun=true&") == "");
  CHECK(routed({"dryRun"}, cancel + "?dryrun=true") ==
        "Unknown query parameter `dryrun` of POST /v1/sagas/{}/cancel; known are `dryRun`. Nothing "
        "was done.");
  CHECK(routed({}, cancel + "?dryRun=true") ==
        "Unknown query parameter `dryRun` of POST /v1/sagas/{}/cancel; it takes none. Nothing was "
        "done.");
  CHECK(routed({"dryRun"}, cancel + "?dryRun=true&dryRun=true") ==
        "The query parameter `dryRun` appears several times; send it once. Nothing was done.");
  CHECK(routed({"dryRun"}, cancel + "?%64ryRun=true") == "");
  CHECK(routed({"dryRun"}, cancel + "?dryRun%20=true") != "");
  CHECK(routed({"dryRun"}, cancel + "?=true") != "");
  CHECK(routed({"dryRun"}, cancel + "?dryRun=true&force") != "");
}

TEST_CASE("repeatable parameters may repeat, and each name of a prefix once") {
  const QueryParameters declared{QueryParameter::repeatable("status"),
                                 QueryParameter::prefix("label.")};
  const std::string path = "/v1/sagas/1/cancel?";
  CHECK(routed(declared, path + "status=A&status=B&label.a=1&label.b=2") == "");
  CHECK(routed(declared, path + "label.a=1&label.a=2") != "");
  CHECK(routed(declared, path + "label.=1").find("known are `status` and `label.NAME`") !=
        std::string::npos);
}

TEST_CASE("HEAD is a route of its own where there is one, and otherwise GET") {
  Router router;
  const auto add = [&](const char* method, const char* pattern) {
    router.add(method, pattern, {}, [](const Request&, const Values&, const Respond&) {});
  };
  add("GET", "/a/{}");
  add("HEAD", "/a/{}");
  add("GET", "/b/{}/c");
  add("POST", "/b/{}/{}");
  add("POST", "/d");
  const auto found = [&](const std::string& method, const char* target) {
    auto request = parse_target(target);
    REQUIRE(request);
    request->method = method;
    const auto match = router.find(*request);
    std::string text = match.route == nullptr ? "none, but " + match.allowed : match.route->method;
    for (const auto& one : match.captured) text += " " + one;
    return text;
  };
  CHECK(found("GET", "/a/x") == "GET x");
  CHECK(found("HEAD", "/a/x") == "HEAD x");
  CHECK(found("HEAD", "/b/x/c") == "GET x");
  CHECK(found("POST", "/b/x/c") == "POST x c");
  CHECK(found("HEAD", "/d") == "none, but POST");
}

TEST_CASE("an absolute request target is split from its path") {
  using Parts = SplitTarget;
  CHECK(split_target("/v1/sagas?x=http://a") == Parts{std::nullopt, "/v1/sagas?x=http://a"});
  CHECK(split_target("http://localhost:7420/v1/sagas?x") == Parts{"localhost:7420", "/v1/sagas?x"});
  CHECK(split_target("HTTP://localhost/x") == Parts{"localhost", "/x"});
  CHECK(split_target("https://localhost") == Parts{"localhost", "/"});
  CHECK(split_target("http://localhost?x") == Parts{"localhost", "?x"});
  CHECK(split_target("http:///x") == Parts{"", "/x"});
  CHECK(split_target("http:/x") == Parts{std::nullopt, "http:/x"});
  CHECK(split_target("ftp://localhost/x") == Parts{std::nullopt, "ftp://localhost/x"});
}

TEST_CASE("the type of every error code is a page that says what to do") {
  Router router;
  add_error_routes(router);
  REQUIRE(error_pages().size() > 50);
  for (const ErrorPage& page : error_pages()) {
    const Json document = Json::parse(problem(400, page.code, "").body);
    auto request = parse_target(document.at("type").get<std::string>());
    REQUIRE(request);
    request->method = "GET";
    Reply reply;
    Router::Match match = router.find(*request);
    Router::route(std::move(match), std::move(*request),
                  [&](Reply given) { reply = std::move(given); });
    CHECK_MESSAGE(reply.status == 200, page.code);
    CHECK_MESSAGE(reply.body.starts_with(std::string(page.code) + " (status "), page.code);
    CHECK_MESSAGE(reply.body.find(page.text) != std::string::npos, page.code);
  }
}

TEST_CASE("refusals are counted by code") {
  Refusals refusals;
  refusals.count("host-refused");
  refusals.count("host-refused");
  refusals.count("never-heard-of");
  const std::string text = refusals.metrics_text();
  const auto has = [&](const std::string& line) {
    return text.find("backstitch_http_refusals_total{code=" + line + "\n") != std::string::npos;
  };
  CHECK(has("\"host-refused\"} 2"));
  CHECK(has("\"origin-refused\"} 0"));
  CHECK(has("\"other\"} 1"));
}

TEST_CASE("the problem document of a conflict names the saga that holds the key") {
  Error error{ErrorCode::conflict, "business-key-reused", "x"};
  CHECK_FALSE(Json::parse(problem(error).body).contains("saga"));
  error.saga = "0190a0a0-0000-7000-8000-000000000000";
  CHECK(Json::parse(problem(error).body).at("saga") == error.saga);
}

}  // namespace backstitch::rest
