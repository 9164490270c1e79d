#include "message.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include <backstitch/base/ascii.hpp>
#include <backstitch/base/json_text.hpp>

namespace backstitch::rest {

void PeerWatch::watch(std::function<void()> then) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) {
      then_ = std::move(then);
      return;
    }
  }
  then();
}

void PeerWatch::gone() {
  std::function<void()> then;
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    then = std::exchange(then_, nullptr);
  }
  if (then) then();
}
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool parse_query(std::string_view text, std::multimap<std::string, std::string>& out) {
  while (!text.empty()) {
    const auto end = text.find('&');
    const auto pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto name = percent_decode(pair.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                  : percent_decode(pair.substr(equals + 1), true);
    if (!name || !value) return false;
    out.emplace(std::move(*name), std::move(*value));
  }
  return true;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) {
      c = ' ';
    } else if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    out += c;
  }
  return out;
}

Error target_error() {
  return {ErrorCode::invalid, "target-invalid",
          "The request target is not a valid path and query; percent-encode what is not a letter, "
          "a digit or one of `-._~`."};
}

Result<Request> parse_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return target_error();
  Request request;
  const auto question = target.find('?');
  std::string_view path = target.substr(0, question);
  if (question != std::string_view::npos &&
      !parse_query(target.substr(question + 1), request.query)) {
    return target_error();
  }
  auto decoded = percent_decode(path, false);
  if (!decoded) return target_error();
  request.path = std::move(*decoded);
  path.remove_prefix(1);
  while (!path.empty()) {
    const auto slash = path.find('/');
    // Decoded one by one, so that an encoded slash stays inside its segment.
    request.segments.push_back(*percent_decode(path.substr(0, slash), false));
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  return request;
}

SplitTarget split_target(std::string_view target) {
  const auto starts_with = [&](std::string_view scheme) {
    return target.size() >= scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), target.begin(),
                      [](char expected, char c) { return expected == lower_case(c); });
  };
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    const auto end = target.find_first_of("/?");
    if (end == std::string_view::npos) return {target, "/"};
    return {target.substr(0, end), target.substr(end)};
  }
  return {std::nullopt, target};
}

std::optional<std::string> Request::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::nullopt : std::optional(found->second);
}

Reply replayed_if(bool repeated, Reply reply) {
  if (repeated) reply.headers.emplace_back("Idempotent-Replayed", "true");
  return reply;
}

Reply json_reply(int status, const Json& body) {
  Reply reply;
  reply.status = status;
  try {
    reply.body = json_text(body);
  } catch (const Json::exception&) {
    // Stored text is valid UTF-8; an answer stays possible should it ever not be.
    reply.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return reply;
}

}  // namespace backstitch::rest
