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

namespace {

/// The path with the key of each iteration instead of its index.
std::string path_by_keys(const SagaState& state, const Located& at) {
  std::string path;
  std::string_view rest = at.path;
  for (const auto& frame : at.frames) {
    if (!std::holds_alternative<dsl::ForEach>(frame.block->body)) continue;
    const auto block = state.blocks.find(frame.path);
    if (block == state.blocks.end() || block->second.keys.empty()) continue;
    const std::size_t end = frame.path.size() - (at.path.size() - rest.size());
    path += rest.substr(0, end);
    path += "[" + percent_encoded(block->second.keys[frame.index]) + "]";
    rest = rest.substr(rest.find(']', end) + 1);
  }
  return path += rest;
}

}  // namespace

std::string key_of(const SagaState& state, const Located& at, Phase phase) {
  const std::string end = phase == Phase::compensate ? "/c" : "/f";
  const std::string path = path_by_keys(state, at);
  std::string key = state.id.text() + "/" + path + end;
  if (key.size() > key_chars_max) key = state.id.text() + "/" + sha256_hex(path) + end;
  return key;
}

std::string callback_url(const Program& program, const std::string& token) {
  if (token.empty()) return {};
  return (program.callback_base ? *program.callback_base : "") + "/v1/callbacks/" + token;
}

std::optional<Failure> failure_seen(const SagaState& state, const Located& at, Phase phase) {
  if (at.area == Area::on_suspended && !state.suspensions.empty()) {
    const auto noticed = std::find_if(state.suspensions.begin(), state.suspensions.end(),
                                      [](const Suspension& one) { return !one.by_operator; });
    const Suspension& why =
        noticed == state.suspensions.end() ? state.suspensions.front() : *noticed;
    return Failure{why.reason, "suspended", why.message, why.step, nullptr};
  }
  if (phase == Phase::compensate && state.failure) return state.failure;
  for (auto frame = at.frames.rbegin(); frame != at.frames.rend(); ++frame) {
    if (!std::holds_alternative<dsl::Try>(frame->block->body)) continue;
    const auto block = state.blocks.find(frame->path);
    // In a catch, and in the undo of a body.
    const bool sees = block != state.blocks.end() && block->second.caught &&
                      (frame->index > 0 || phase == Phase::compensate);
    if (sees) return block->second.caught;
  }
  return state.failure;
}

std::optional<Failure> failure_of_undo(const dsl::Definition& definition, const SagaState& state,
                                       const StepPath& path) {
  const auto at = locate(definition, path);
  return at ? failure_seen(state, *at, Phase::compensate) : state.failure;
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
  out.key = key_of(state, target.at, target.phase);
  if (target.phase == Phase::compensate) out.compensates = key_of(state, target.at, Phase::forward);
  return out;
}

}  // namespace backstitch::engine
