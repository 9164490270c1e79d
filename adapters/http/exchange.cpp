#include "exchange.hpp"

#include <cstdint>

#include <nlohmann/json.hpp>

#include <backstitch/engine/machine/answer_body.hpp>

namespace backstitch::http {
namespace {

Error not_sendable(std::string message) {
  return {ErrorCode::invalid, "request-not-sendable", std::move(message)};
}

std::string base64(std::string_view text) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j > text.size() ? '=' : digits[group >> (18 - 6 * j) & 0x3FU];
    }
  }
  return out;
}

/// FNV-1a, 64 bits: spreads span ids; nothing depends on its secrecy.
std::uint64_t hash_of(std::string_view text, std::uint64_t hash = 14695981039346656037ULL) {
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return hash;
}

void append_hex(std::string& out, std::uint64_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
    out += "0123456789abcdef"[value >> shift & 0xFU];
}

/// A poll asks what became of a call, as a probe does.
std::string phase_header(engine::Phase phase) {
  return to_text(phase == engine::Phase::poll ? engine::Phase::probe : phase);
}

/// W3C trace context: the saga is the trace, the attempt the span.
void append_traceparent(std::string& out, const engine::Call& call) {
  out += "traceparent: 00-";
  for (const auto byte : call.saga.bytes()) append_hex(out, byte, 2);
  out += '-';
  const std::uint64_t span = hash_of(to_text(call.phase), hash_of(call.path)) + call.attempt;
  append_hex(out, span == 0 ? 1 : span, 16);
  out += "-01\r\n";
}

/// A line break would start a header of somebody else's.
bool append_header(std::string& out, std::string_view name, std::string_view value) {
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) return false;
  out.append(name).append(": ").append(value).append("\r\n");
  return true;
}

Result<Done> append_authentication(std::string& out, const dsl::Auth& auth,
                                   const engine::Secrets* secrets) {
  if (auth.type == dsl::AuthType::none) return Done{};
  const auto secret = secrets != nullptr ? secrets->find(auth.secret) : std::nullopt;
  if (!secret) return not_sendable("The secret `" + auth.secret + "` is not there; see --secrets.");
  bool written = false;
  switch (auth.type) {
    case dsl::AuthType::none:
      break;
    case dsl::AuthType::bearer:
      written = append_header(out, "Authorization", "Bearer " + *secret);
      break;
    case dsl::AuthType::basic:
      written = append_header(out, "Authorization", "Basic " + base64(*secret));
      break;
    case dsl::AuthType::api_key:
      written = append_header(out, auth.header.empty() ? "X-Api-Key" : auth.header, *secret);
      break;
    case dsl::AuthType::oauth2:
    case dsl::AuthType::hmac:
      return not_sendable("Authentication by oauth2 and hmac is not supported by this version.");
  }
  if (!written)
    return not_sendable("The secret `" + auth.secret + "` holds a line break or a NUL.");
  return Done{};
}

/// A header may hold any bytes; expressions and the journal hold text.
bool is_text(const std::string& value) {
  if (value.find('\0') != std::string::npos) return false;
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

engine::Response response_of(int status, Headers headers, engine::AnswerBody body) {
  std::erase_if(headers, [](const auto& header) { return !is_text(header.second); });
  return {status, std::move(headers), std::move(body.value), std::move(body.unreadable)};
}

}  // namespace

Result<std::string> write_request(const engine::Call& call, const Url& url,
                                  const engine::Secrets* secrets, const std::string& version) {
  const engine::RenderedRequest& request = call.request;
  std::string out;
  out.reserve(512 + request.body.size() + request.target.size());
  out.append(request.method)
      .append(" ")
      .append(url.path)
      .append(request.target)
      .append(" HTTP/1.1\r\n");
  bool clean = request.target.find_first_of(std::string_view(" \r\n\0", 4)) == std::string::npos &&
               append_header(out, "Host", url.authority) &&
               append_header(out, "User-Agent", "backstitch/" + version) &&
               append_header(out, "Accept", "application/json") &&
               append_header(out, "Accept-Encoding", "identity");
  if (call.service->idempotency == dsl::Idempotency::none)
    clean = clean && append_header(out, "Connection", "close");
  for (const auto& [name, value] : request.headers)
    clean = clean && append_header(out, name, value);
  if (!request.key.empty())
    clean = clean && append_header(out, call.service->idempotency_header, request.key);
  clean = clean && append_header(out, "Saga-Id", call.saga.text()) &&
          append_header(out, "Saga-Step", call.path) &&
          append_header(out, "Saga-Phase", phase_header(call.phase)) &&
          append_header(out, "Saga-Attempt", std::to_string(call.attempt));
  if (!request.compensates.empty())
    clean = clean && append_header(out, "Saga-Compensates", request.compensates);
  if (!request.probes.empty()) clean = clean && append_header(out, "Saga-Probes", request.probes);
  if (!request.callback.empty())
    clean = clean && append_header(out, "Saga-Callback", request.callback);
  if (!clean) return not_sendable("A header or the path of the request holds a line break.");
  append_traceparent(out, call);
  if (auto added = append_authentication(out, call.service->auth, secrets); !added)
    return added.error();
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    out.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  out.append("\r\n").append(request.body);
  return out;
}

engine::Response read_response(int status, Headers headers, const std::string& body) {
  auto read = engine::read_body(value_of(headers, "content-type"),
                                value_of(headers, "content-encoding"), body);
  return response_of(status, std::move(headers), std::move(read));
}

engine::Response oversized_response(int status, Headers headers, std::size_t bytes_max) {
  return response_of(status, std::move(headers), engine::oversized_body(bytes_max));
}

}  // namespace backstitch::http
