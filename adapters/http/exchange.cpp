#include "exchange.hpp"

#include <algorithm>
#include <cstdint>

#include <boost/beast/core/string.hpp>
#include <nlohmann/json.hpp>

#include <backstitch/base/ascii.hpp>
#include <backstitch/base/authority_text.hpp>
#include <backstitch/base/invariant.hpp>
#include <backstitch/dsl/header_field.hpp>
#include <backstitch/engine/machine/answer_body.hpp>
#include <backstitch/engine/machine/answer_marks.hpp>

#include "secret.hpp"

namespace backstitch::http {
namespace {

Error not_sendable(std::string message) {
  return {ErrorCode::invalid, "request-not-sendable", std::move(message)};
}

/// FNV-1a, 64 bits: spreads span ids; nothing depends on its secrecy.
std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 14695981039346656037ULL) {
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return hash;
}

char* put_hex(char* out, std::uint64_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    *out++ = "0123456789abcdef"[value >> shift & 0xFU];
  return out;
}

/// A poll asks what became of a call, as a probe does.
std::string phase_header(engine::Phase phase) {
  return to_text(phase == engine::Phase::poll ? engine::Phase::probe : phase);
}

/// W3C trace context: the saga is the trace, the attempt the span.
class TraceParent {
 public:
  explicit TraceParent(const engine::Call& call) {
    char* out = text_ + 3;
    for (const auto byte : call.saga.bytes()) out = put_hex(out, byte, 2);
    const std::uint64_t span = hash_of(to_text(call.phase), hash_of(call.path)) + call.attempt;
    put_hex(out + 1, span == 0 ? 1 : span, 16);
  }
  std::string_view text() const { return text_; }

 private:
  char text_[56] =
      "00-"
      "00000000000000000000000000000000-"
      "0000000000000000-"
      "01";
};

/// The head of a request. Takes nothing but what HTTP allows in each place.
class RequestHead {
 public:
  explicit RequestHead(std::size_t body_bytes) { bytes_.reserve(512 + body_bytes); }

  /// @param base  what stands before `target`
  void add_line(std::string_view method, std::string_view base, std::string_view target) {
    if (!dsl::is_token(method)) return refuse("its method");
    if (!is_target(base) || !is_target(target)) return refuse("its path");
    bytes_.append(method).append(" ").append(base).append(target).append(" HTTP/1.1\r\n");
  }

  void add(std::string_view name, std::string_view value) {
    const auto field = dsl::HeaderField::of(name, value);
    if (!field) {
      return refuse(dsl::is_token(name) ? "the value of the header " + std::string(name)
                                        : "the name of a header");
    }
    bytes_.append(field->name()).append(": ").append(field->value()).append("\r\n");
  }

  void refuse(const std::string& part) {
    if (flaw_.empty()) flaw_ = "The request cannot be sent: HTTP cannot carry " + part + ".";
  }

  /// Why the request cannot be sent; empty: it can.
  const std::string& flaw() const { return flaw_; }
  std::string end(std::string_view body) && {
    bytes_.append("\r\n").append(body);
    return std::move(bytes_);
  }

 private:
  /// Of a path and query (RFC 9112, 3.2): visible ASCII.
  static bool is_target(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  }

  std::string bytes_;
  std::string flaw_;
};

void add_authentication(RequestHead& head, const dsl::Auth& auth, const std::string& secret) {
  const std::string_view name = dsl::credential_header(auth);
  switch (auth.type) {
    case dsl::AuthType::none:
      return;
    case dsl::AuthType::bearer:
      return head.add(name, "Bearer " + secret);
    case dsl::AuthType::basic:
      return head.add(name, "Basic " + base64(secret));
    case dsl::AuthType::api_key:
      return head.add(name, secret);
    case dsl::AuthType::oauth2:
    case dsl::AuthType::hmac:
      BACKSTITCH_INVARIANT(false, "credentials of this kind are refused before");
  }
}

/// @param is_plain  it is sent as it is
Result<std::string> sendable_secret(const engine::Call& call, const engine::Secrets* secrets,
                                    const std::string& name, bool is_plain) {
  auto secret = find_secret(secrets, name, call.registered_name());
  if (!secret) return secret;
  // Perhaps it is just being written.
  if (secret->empty() || (is_plain && !dsl::is_field_value(*secret))) {
    return Error{ErrorCode::invalid, secret_missing,
                 "The secret `" + name +
                     "` is empty or holds a byte that no header can carry; write its file anew."};
  }
  return secret;
}

/// The secret that the service's authentication needs; empty: none.
Result<std::string> secret_for(const engine::Call& call, const engine::Secrets* secrets) {
  const dsl::Auth& auth = call.service->auth;
  if (auth.type == dsl::AuthType::none) return std::string{};
  if (auth.type == dsl::AuthType::oauth2 || auth.type == dsl::AuthType::hmac)
    return not_sendable("Authentication by oauth2 and hmac is not supported by this version.");
  return sendable_secret(call, secrets, auth.secret, auth.type != dsl::AuthType::basic);
}

/// What `Proxy-Authorization` says to the proxy that the service names; empty: nothing.
Result<std::string> proxy_authorization_of(Exchange& exchange, const engine::Secrets* secrets) {
  const std::string& name = exchange.call.service->proxy.secret;
  if (name.empty()) return std::string{};
  const auto secret = sendable_secret(exchange.call, secrets, name, false);
  if (!secret) return secret.error();
  exchange.secrets.add(dsl::AuthType::basic, *secret);
  return "Basic " + base64(*secret);
}

constexpr const char* proxy_credentials = "Proxy-Authorization";

/// A header may come with any bytes; expressions and the journal hold text.
bool is_text(const std::string& value) {
  if (!dsl::is_field_value(value)) return false;
  try {
    static_cast<void>(Json(value).dump());  // throws on invalid UTF-8
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

std::string_view value_of(const Headers& headers, std::string_view wanted) {
  std::string_view found;
  for (const auto& [name, value] : headers) {
    if (name == wanted) found = value;
  }
  return found;
}

/// What tells who answered in the participant's place, and when to try again.
Headers headers_of_intermediary(Headers headers) {
  std::erase_if(headers, [](const auto& header) {
    return header.first != "server" && header.first != "via" && header.first != "retry-after" &&
           header.first != "content-type";
  });
  return headers;
}

/// A page of text names its author better than a status; what carries the key of another call is
/// another saga's.
template <class ReadBody>
std::string text_of_intermediary(const engine::Call& call, const Headers& headers,
                                 const ReadBody& read_body) {
  const dsl::AnswerMarks& marks = call.service->answers;
  const bool is_of_another_call =
      !marks.echo.empty() && !value_of(headers, lower_case(marks.echo)).empty();
  if (is_of_another_call || !value_of(headers, "content-type").starts_with("text/")) return {};
  const engine::AnswerBody body = read_body(headers);
  return body.value.is_string() ? engine::quoted_beginning(body.value.get<std::string>())
                                : std::string{};
}

/// An answer that is not the participant's own is not read: it may belong to another saga.
template <class ReadBody>
engine::Response response_of(const engine::Call& call, int status, Headers headers,
                             ReadBody&& read_body) {
  std::erase_if(headers, [](const auto& header) { return !is_text(header.second); });
  std::string foreign =
      engine::foreign_answer(call.service->answers, call.request, status, headers);
  if (!foreign.empty()) {
    std::string text = text_of_intermediary(call, headers, read_body);
    return {status,
            headers_of_intermediary(std::move(headers)),
            nullptr,
            {},
            std::move(foreign),
            std::move(text)};
  }
  engine::AnswerBody body = read_body(headers);
  return {status, std::move(headers), std::move(body.value), std::move(body.unreadable), {}, {}};
}

/// No header of the author's takes the place of one of the engine's.
void add_stated_headers(RequestHead& head, const engine::Call& call) {
  const dsl::Service& service = *call.service;
  for (const auto& [name, value] : call.request.headers) {
    const bool is_services = dsl::is_same_header(name, service.idempotency_header) ||
                             dsl::is_same_header(name, dsl::credential_header(service.auth));
    if (is_services || !dsl::is_authors_header(name))
      head.refuse("the header " + name + ", which is the engine's");
    head.add(name, value);
  }
}

bool states(const engine::RenderedRequest& request, std::string_view header) {
  return std::any_of(request.headers.begin(), request.headers.end(),
                     [&](const auto& stated) { return dsl::is_same_header(stated.first, header); });
}

void add_engine_headers(RequestHead& head, const engine::Call& call) {
  const engine::RenderedRequest& request = call.request;
  if (!request.key.empty()) head.add(call.service->idempotency_header, request.key);
  head.add("Saga-Id", call.saga.text());
  head.add("Saga-Step", call.path);
  head.add("Saga-Phase", phase_header(call.phase));
  head.add("Saga-Attempt", std::to_string(call.attempt));
  if (!request.compensates.empty()) head.add("Saga-Compensates", request.compensates);
  if (!request.probes.empty()) head.add("Saga-Probes", request.probes);
  if (!request.callback.empty()) head.add("Saga-Callback", request.callback);
  head.add("traceparent", TraceParent(call).text());
}

}  // namespace

Result<Done> write_request(Exchange& exchange, const Target& target, const engine::Secrets* secrets,
                           const std::string& version) {
  const engine::Call& call = exchange.call;
  const engine::RenderedRequest& request = call.request;
  const auto secret = secret_for(call, secrets);
  if (!secret) return secret.error();
  if (!secret->empty()) exchange.secrets.add(call.service->auth.type, *secret);
  auto authorization = proxy_authorization_of(exchange, secrets);
  if (!authorization) return authorization.error();
  RequestHead head(request.body.size() + request.target.size());
  const std::string origin = target.is_forwarded() ? "http://" + target.url.authority : "";
  head.add_line(request.method, origin + target.url.path, request.target);
  head.add("Host", target.url.authority);
  if (!states(request, "User-Agent")) head.add("User-Agent", "backstitch/" + version);
  if (!states(request, "Accept")) head.add("Accept", "application/json");
  head.add("Accept-Encoding", "identity");
  // A cached "not seen" would have a saga undo what was done.
  if (!request.probes.empty() && !states(request, "Cache-Control"))
    head.add("Cache-Control", "no-cache");
  if (!keeps_connections(*call.service)) head.add("Connection", "close");
  add_stated_headers(head, call);
  add_engine_headers(head, call);
  add_authentication(head, call.service->auth, *secret);
  if (target.is_forwarded() && !authorization->empty()) head.add(proxy_credentials, *authorization);
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD"))
    head.add("Content-Length", std::to_string(request.body.size()));
  if (!head.flaw().empty()) return not_sendable(head.flaw());
  exchange.request = std::move(head).end(request.body);
  if (target.is_tunnelled()) exchange.proxy_authorization = std::move(*authorization);
  return Done{};
}

std::string write_connect(const Url& target, const std::string& proxy_authorization) {
  const std::string place = authority_text(target.host, target.port);
  RequestHead head(0);
  head.add_line("CONNECT", {}, place);
  head.add("Host", place);
  if (!proxy_authorization.empty()) head.add(proxy_credentials, proxy_authorization);
  BACKSTITCH_INVARIANT(head.flaw().empty(), "hosts and base64 are visible ASCII");
  return std::move(head).end({});
}

bool keeps_connections(const dsl::Service& service) {
  return service.keep_alive && service.idempotency != dsl::Idempotency::none;
}

std::string framing_error(unsigned version, const Headers& headers) {
  const std::string* coding = nullptr;
  const std::string* length = nullptr;
  for (const auto& [name, value] : headers) {
    if (name == "transfer-encoding") {
      if (coding != nullptr || !boost::beast::iequals(value, "chunked"))
        return "the Transfer-Encoding of the answer is not exactly `chunked`";
      coding = &value;
    } else if (name == "content-length") {
      if (length != nullptr && *length != value)
        return "the answer has two Content-Length headers that differ";
      length = &value;
    }
  }
  if (coding != nullptr && length != nullptr)
    return "the answer has both Transfer-Encoding and Content-Length";
  if (coding != nullptr && version < 11) return "an answer of HTTP/1.0 has a Transfer-Encoding";
  return {};
}

engine::Response read_response(const engine::Call& call, int status, Headers headers,
                               const std::string& body) {
  return response_of(call, status, std::move(headers), [&](const Headers& known) {
    return engine::read_body(value_of(known, "content-type"), value_of(known, "content-encoding"),
                             body);
  });
}

engine::Response proxys_response(int status, Headers headers) {
  std::erase_if(headers, [](const auto& header) { return !is_text(header.second); });
  return {status,
          headers_of_intermediary(std::move(headers)),
          nullptr,
          {},
          "the proxy asks for credentials"};
}

engine::Response oversized_response(const engine::Call& call, int status, Headers headers) {
  return response_of(call, status, std::move(headers), [&](const Headers&) {
    return engine::oversized_body(call.service->response_bytes_max);
  });
}

}  // namespace backstitch::http
