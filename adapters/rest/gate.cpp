#include "gate.hpp"

#include <algorithm>

#include <backstitch/base/ascii.hpp>

#include "connections.hpp"
#include "problem.hpp"

namespace backstitch::rest {
namespace {

// What pages of other origins may send and read.
constexpr const char* methods = "GET, HEAD, POST, PUT";
constexpr const char* request_headers = "Authorization, Content-Type, Idempotency-Key";
constexpr const char* answer_headers = "Idempotent-Replayed, Location, Retry-After";

Error host_invalid(const std::string& what) {
  return {ErrorCode::invalid, "host-invalid", what + "; send one, like `Host: localhost:7420`."};
}

Error origin_refused(const std::string& origin, const std::string& remedy) {
  return {ErrorCode::forbidden, "origin-refused",
          "Requests of pages from the origin `" + origin.substr(0, 300) +
              "` are not accepted, because it is not the server's own. " + remedy};
}

/// @param token in lower case
bool is_same_token(std::string_view text, std::string_view token) {
  return std::equal(text.begin(), text.end(), token.begin(), token.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

/// Where a body ends is only known of `chunked` alone (RFC 9112, section 6.1). A proxy in front
/// might see another end, and what follows it as another request.
std::optional<Reply> refuse_framing(const RequestHead& head) {
  if (head.transfer_encodings.empty()) return std::nullopt;
  if (head.is_http_1_0)
    return problem(400, "http-malformed", "HTTP/1.0 has no `Transfer-Encoding`.");
  if (head.transfer_encodings.size() == 1 && is_same_token(head.transfer_encodings[0], "chunked"))
    return std::nullopt;
  return problem(501, "transfer-encoding-unsupported",
                 "`chunked` alone is a `Transfer-Encoding` that this server takes; send "
                 "`Transfer-Encoding: chunked` or `Content-Length`.");
}

/// @return nothing for what is not `type/subtype`
std::optional<std::string> media_type_of(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  std::size_t slashes = 0;
  for (char& c : type) {
    c = lower_case(c);
    const bool is_token = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                          std::string_view("!#$&-^_.+").find(c) != std::string_view::npos;
    if (c == '/') ++slashes;
    if (!is_token && c != '/') return std::nullopt;
  }
  if (slashes != 1 || type.front() == '/' || type.back() == '/') return std::nullopt;
  return type;
}

/// A page can send other types without the consent of the server; these it cannot.
std::optional<Error> refuse_content_type(const RequestHead& head) {
  if (!head.has_body) return std::nullopt;
  std::string found = "has none";
  if (head.content_types.size() == 1) {
    const auto type = media_type_of(head.content_types[0]);
    if (type == "application/json" || (type && type->ends_with("+json"))) return std::nullopt;
    found = "is `" + head.content_types[0].substr(0, 100) + "`";
  } else if (head.content_types.size() > 1) {
    found = "has several";
  }
  return Error{ErrorCode::invalid, "content-type-unsupported",
               "The body must have a JSON content type, and this one " + found +
                   "; send `Content-Type: application/json`."};
}

/// Of whatever body: nothing here decodes one.
std::optional<Reply> refuse_content_encoding(const RequestHead& head) {
  if (!head.has_body) return std::nullopt;
  for (const auto& encoding : head.content_encodings) {
    if (encoding.empty() || is_same_token(encoding, "identity")) continue;
    Reply reply = problem(415, "content-encoding-unsupported",
                          "The body has the `Content-Encoding` `" + encoding.substr(0, 100) +
                              "`; send it as it is, without a `Content-Encoding`.");
    reply.headers.emplace_back("Accept-Encoding", "identity");
    return reply;
  }
  return std::nullopt;
}

/// The page may read the answer; a preflight asks whether it may send the request (Fetch standard,
/// section 3.2).
void share_with_page(const RequestHead& head, Gate::Verdict& verdict) {
  verdict.headers.emplace_back("Access-Control-Allow-Origin", head.origins[0]);
  if (head.method != "OPTIONS" || !head.asks_for_method) {
    verdict.headers.emplace_back("Access-Control-Expose-Headers", answer_headers);
    return;
  }
  verdict.headers.emplace_back("Access-Control-Allow-Methods", methods);
  verdict.headers.emplace_back("Access-Control-Allow-Headers", request_headers);
  verdict.headers.emplace_back("Access-Control-Max-Age", "600");
  verdict.answer = Reply{.status = 204, .content_type = {}};
}

/// The host of a URL: what comes after `://`, without path and query.
std::optional<Authority> host_of_url(const std::string& url) {
  const auto begin = url.find("://");
  if (begin == std::string::npos) return std::nullopt;
  const std::string rest = url.substr(begin + 3);
  return parse_authority(rest.substr(0, rest.find_first_of("/?#")));
}

/// An IPv6 address may be written without brackets where no port can follow.
std::optional<Authority> host_of_option(const std::string& text) {
  const bool is_bare_ipv6 = std::count(text.begin(), text.end(), ':') > 1 && text.front() != '[';
  auto host = parse_authority(is_bare_ipv6 ? "[" + text + "]" : text);
  if (host && host->port) return std::nullopt;
  return host;
}

}  // namespace

Result<Gate> Gate::create(const Options& options) {
  Gate gate;
  const auto listener = host_of_option(options.host);
  const bool on_loopback = listener && is_loopback(listener->host);
  gate.checks_hosts_ = on_loopback || !options.hosts.empty();
  // Without --callback-url participants are told to call the address of the listener.
  if (listener && !on_loopback) gate.hosts_.push_back(listener->host);
  for (const auto& text : options.hosts) {
    const auto host = host_of_option(text);
    if (!host) {
      return Error{ErrorCode::invalid, "host-option-invalid",
                   "`" + text +
                       "` is not a valid --host; give a name or an address without a port, like "
                       "saga.example."};
    }
    gate.hosts_.push_back(host->host);
  }
  for (const auto& text : options.origins) {
    auto origin = Origin::parse(text);
    if (!origin) {
      return Error{ErrorCode::invalid, "origin-option-invalid",
                   "`" + text +
                       "` is not a valid --allow-origin; give scheme, host and port of the page, "
                       "like https://console.example or http://localhost:3000."};
    }
    gate.origins_.push_back(std::move(*origin));
  }
  for (const auto& text : options.proxies) {
    if (canonical_address(text)) continue;
    return Error{ErrorCode::invalid, "proxy-option-invalid",
                 "`" + text + "` is not a valid --proxy; give an IP address, like 10.0.0.7."};
  }
  if (options.callback_url.empty()) return gate;
  const auto host = host_of_url(options.callback_url);
  if (!host) {
    return Error{ErrorCode::invalid, "callback-url-invalid",
                 "`" + options.callback_url +
                     "` is not a valid --callback-url; give a URL like https://saga.example."};
  }
  gate.hosts_.push_back(host->host);
  return gate;
}

Result<std::optional<Authority>> Gate::host_of(const RequestHead& head) const {
  if (head.hosts.size() > 1) return host_invalid("The request has several `Host` headers");
  if (head.hosts.empty() && !head.is_http_1_0)
    return host_invalid("The request has no `Host` header");
  std::optional<Authority> host;
  if (!head.hosts.empty()) {
    host = parse_authority(head.hosts[0]);
    if (!host) return host_invalid("The `Host` header of the request is not a valid host");
  }
  // Beside the absolute form `Host` counts for nothing (RFC 9112, section 3.2.2).
  return head.target ? head.target : host;
}

std::optional<Error> Gate::refuse_host(const std::optional<Authority>& host) const {
  if (!checks_hosts_) return std::nullopt;
  if (!host) return host_invalid("The request has no `Host` header");
  const bool known = std::find(hosts_.begin(), hosts_.end(), host->host) != hosts_.end();
  if (known || is_loopback(host->host)) return std::nullopt;
  std::string names = "`localhost` and loopback addresses";
  for (const auto& name : hosts_) names += ", `" + name + "`";
  return Error{ErrorCode::forbidden, "host-refused",
               "The request is for the host `" + host->host + "`, and this server is known as " +
                   names + "; if it is to be reached under that host, start it with --host " +
                   host->host + "."};
}

Result<bool> Gate::is_listed_origin(const std::vector<std::string>& origins,
                                    const std::optional<Authority>& host) const {
  const auto origin = origins.size() == 1 ? Origin::parse(origins[0]) : std::nullopt;
  if (!origin) {
    return origin_refused(
        origins[0],
        "Files and sandboxed frames have no origin that can be allowed: serve the page by HTTP, "
        "and start the server with --allow-origin and the page's scheme, host and port.");
  }
  const auto is_same = [&](const Origin& one) { return one.text() == origin->text(); };
  if (std::any_of(origins_.begin(), origins_.end(), is_same)) return true;
  if (host && origin->has_host(*host)) return false;
  return origin_refused(origins[0],
                        "To accept them, start the server with --allow-origin " + origin->text() +
                            "; a proxy in front of it has to pass on `Host` unchanged.");
}

Gate::Verdict Gate::judge(const RequestHead& head, Access access) const {
  Verdict verdict;
  const auto refuse = [&](const Error& error) {
    verdict.answer = problem(error);
    return verdict;
  };
  verdict.answer = refuse_framing(head);
  verdict.must_close = verdict.answer.has_value();
  if (verdict.answer) return verdict;
  if (head.idempotency_keys > 1) {
    return refuse({ErrorCode::invalid, "idempotency-key-invalid",
                   "The request has several `Idempotency-Key` headers; send one."});
  }
  if (!origins_.empty()) verdict.headers.emplace_back("Vary", "Origin");
  auto host = host_of(head);
  if (access == Access::probe && !host) host = std::optional<Authority>{};
  if (!host) return refuse(host.error());
  if (access != Access::probe) {
    if (const auto refused = refuse_host(*host)) return refuse(*refused);
  }
  if (!head.origins.empty()) {
    const auto listed = is_listed_origin(head.origins, *host);
    if (!listed) return refuse(listed.error());
    if (*listed) share_with_page(head, verdict);
    if (verdict.answer) return verdict;
  }
  if (access != Access::callback) {
    if (const auto refused = refuse_content_type(head)) return refuse(*refused);
  }
  verdict.answer = refuse_content_encoding(head);
  return verdict;
}

}  // namespace backstitch::rest
