#include "render.hpp"

#include <algorithm>

#include <backstitch/base/digest.hpp>

#include "backoff.hpp"

namespace backstitch::engine {
namespace {

constexpr std::size_t key_chars_max = 200;
constexpr Duration attempt_timeout_default{10'000};
constexpr Duration attempt_timeout_max{300'000};

Error failed(const std::string& message) {
  return {ErrorCode::invalid, "EXPRESSION_FAILED", message};
}

/// RFC 3986: everything but unreserved characters, `/` included, so that a value cannot leave its
/// segment.
std::string percent_encoded(std::string_view text) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 0x0FU];
    }
  }
  return out;
}

/// `.` and `..` would be resolved on the way and lead somewhere else; an encoded dot is a dot
/// there.
bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto slash = path.find('/');
    std::string segment(path.substr(0, slash));
    for (std::size_t at = segment.find("%2"); at != std::string::npos;
         at = segment.find("%2", at + 1)) {
      if (at + 2 < segment.size() && (segment[at + 2] == 'e' || segment[at + 2] == 'E'))
        segment.replace(at, 3, ".");
    }
    if (segment == "." || segment == "..") return true;
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash);
  }
  return false;
}

Result<std::string> text_of(const Json& value, const std::string& what) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  return failed(what + " gives " + value.type_name() + ", not a text");
}

Result<std::string> render_target(const dsl::Request& request, const SagaScope& scope,
                                  dsl::Budget& budget) {
  if (!request.path) return request.operation;
  auto path = request.path->render_text(scope, budget, percent_encoded);
  if (!path) return path;
  const auto question = path->find('?');
  if (has_dot_segment(std::string_view(*path).substr(0, question))) {
    return failed("the path " + *path + " has a `.` or `..` segment");
  }
  char separator = question == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : request.query) {
    const auto rendered = value.render(scope, budget);
    if (!rendered) return rendered.error();
    if (rendered->is_null()) continue;
    auto text = text_of(*rendered, "the query parameter " + name);
    if (!text) return text;
    *path += separator + percent_encoded(name) + '=' + percent_encoded(*text);
    separator = '&';
  }
  return path;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return lower(x) == lower(y);
  });
}

Result<Done> render_headers(const dsl::Request& request, const dsl::Service* service,
                            const SagaScope& scope, dsl::Budget& budget, RenderedRequest& out) {
  if (service != nullptr) out.headers = service->headers;
  for (const auto& [name, value] : request.headers) {
    const auto rendered = value.render(scope, budget);
    if (!rendered) return rendered.error();
    if (rendered->is_null()) continue;
    auto text = text_of(*rendered, "the header " + name);
    if (!text) return text.error();
    if (text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return failed("the header " + name + " holds a line break");
    }
    // Named, because clang 14 does not let a lambda capture the binding.
    const std::string& replaced = name;
    std::erase_if(out.headers,
                  [&](const auto& header) { return same_name(header.first, replaced); });
    out.headers.emplace_back(name, std::move(*text));
  }
  const bool typed = std::any_of(out.headers.begin(), out.headers.end(), [](const auto& header) {
    return same_name(header.first, "Content-Type");
  });
  if (!out.body.empty() && !typed) out.headers.emplace_back("Content-Type", "application/json");
  return Done{};
}

Result<Duration> attempt_timeout_of(const Program& program, const dsl::Service* service,
                                    const RenderTarget& target, const SagaScope& scope) {
  if (target.attempt_timeout != nullptr) return duration_of(*target.attempt_timeout, scope);
  if (service != nullptr && service->attempt_timeout) return *service->attempt_timeout;
  if (program.definition->default_attempt_timeout)
    return duration_of(*program.definition->default_attempt_timeout, scope);
  return attempt_timeout_default;
}

}  // namespace

std::string key_of(const SagaId& saga, const StepPath& path, Phase phase) {
  const std::string end = phase == Phase::compensate ? "/c" : "/f";
  std::string key = saga.text() + "/" + path + end;
  if (key.size() > key_chars_max) key = saga.text() + "/" + sha256_hex(path) + end;
  return key;
}

Result<RenderedRequest> render(const Program& program, const SagaState& state,
                               const RenderTarget& target, const SagaScope& scope) {
  RenderedRequest out;
  dsl::Budget budget;
  const dsl::Request& request = target.request;
  out.service = request.service.empty() ? target.service : request.service;
  const dsl::Service* service = program.service(out.service);
  if (request.path) out.method = dsl::to_text(request.method);
  auto where = render_target(request, scope, budget);
  if (!where) return std::move(where).error();
  out.target = std::move(*where);
  if (request.body) {
    const auto body = request.body->render(scope, budget);
    if (!body) return body.error();
    out.body = body->dump();
  }
  if (auto done = render_headers(request, service, scope, budget, out); !done)
    return std::move(done).error();
  const auto timeout = attempt_timeout_of(program, service, target, scope);
  if (!timeout) return timeout.error();
  out.attempt_timeout = std::clamp(*timeout, Duration{1}, attempt_timeout_max);
  out.key = key_of(state.id, target.path, target.phase);
  if (target.phase == Phase::compensate)
    out.compensates = key_of(state.id, target.path, Phase::forward);
  return out;
}

}  // namespace backstitch::engine
