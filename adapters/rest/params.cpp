#include "params.hpp"

#include <charconv>

#include <backstitch/dsl/json_gate.hpp>

namespace backstitch::rest {
namespace {

template <class Number>
std::optional<Number> parse_number(const std::string& text) {
  Number value{};
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return value;
}

Error not_valid(const std::string& name, const std::string& found, const std::string& expected) {
  return invalid("query-invalid", "`" + found.substr(0, 100) + "` is not a valid `" + name +
                                      "`; give " + expected + ".");
}

}  // namespace

Error invalid(std::string reason, std::string message, std::string pointer) {
  Error error{ErrorCode::invalid, std::move(reason), std::move(message)};
  if (!pointer.empty()) error.details.push_back({std::move(pointer), error.reason, error.message});
  return error;
}

Result<std::optional<SagaId>> cursor_in(const Request& request) {
  const auto text = request.parameter("cursor");
  if (!text) return std::optional<SagaId>{};
  if (const auto id = SagaId::parse(*text)) return id;
  return cursor_error();
}

Error cursor_error() {
  return invalid(
      "cursor-invalid",
      "`cursor` is not one that this server gave out; take `cursor` of the page before.");
}

Result<ListPosition> position_in(const Request& request) {
  constexpr std::size_t items_max = 500;
  const auto limit = number_in(request, "limit", 1, items_max, items_max);
  if (!limit) return limit.error();
  return ListPosition{*limit, request.parameter("cursor").value_or("")};
}

Result<SagaId> saga_id_of(const std::string& text) {
  if (auto id = SagaId::parse(text)) return *id;
  return Error{ErrorCode::not_found, "saga-not-found",
               "There is no saga `" + text.substr(0, 64) + "`: a saga id is a UUID."};
}

Result<std::int64_t> version_of(const std::string& text) {
  const auto number = parse_number<std::int64_t>(text);
  if (number && *number >= 1) return *number;
  return Error{ErrorCode::not_found, "definition-not-found",
               "There is no version `" + text.substr(0, 64) + "`: versions are integers from 1."};
}

Result<std::size_t> number_in(const Request& request, const std::string& name, std::size_t least,
                              std::size_t most, std::size_t otherwise) {
  const auto text = request.parameter(name);
  if (!text) return otherwise;
  const auto number = parse_number<std::size_t>(*text);
  if (number && *number >= least && *number <= most) return *number;
  return not_valid(name, *text,
                   "a number from " + std::to_string(least) + " to " + std::to_string(most));
}

Result<std::optional<Duration>> duration_in(const Request& request, const std::string& name,
                                            Duration most) {
  const auto text = request.parameter(name);
  if (!text) return std::optional<Duration>{};
  const auto duration = parse_duration(*text);
  if (duration && *duration <= most) return duration;
  return not_valid(name, *text, "a duration like 10s, at most " + to_text(most));
}

Result<std::optional<TimePoint>> time_in(const Request& request, const std::string& name) {
  const auto text = request.parameter(name);
  if (!text) return std::optional<TimePoint>{};
  if (const auto time = parse_rfc3339(*text)) return time;
  return not_valid(name, *text, "an RFC 3339 time like 2026-03-01T12:00:00Z");
}

Result<bool> flag_in(const Request& request, const std::string& name) {
  const auto text = request.parameter(name);
  if (!text || *text == "false") return false;
  if (*text == "true" || text->empty()) return true;
  return not_valid(name, *text, "true or false");
}

Result<Done> only_keys(const Json& object, std::initializer_list<const char*> allowed) {
  for (const auto& [key, value] : object.items()) {
    bool known = false;
    std::string names;
    for (const char* name : allowed) {
      known = known || key == name;
      names += (names.empty() ? "`" : ", `") + std::string(name) + "`";
    }
    if (!known) {
      return invalid("body-invalid", "Unknown key `" + key + "`; known are " + names + ".",
                     "/" + key);
    }
  }
  return Done{};
}

Result<std::string> idempotency_key_of(const Request& request) {
  constexpr std::size_t bytes_max = 255;
  if (!request.has_idempotency_key) return std::string{};
  if (request.idempotency_key.empty() || request.idempotency_key.size() > bytes_max)
    return invalid("idempotency-key-invalid", "`Idempotency-Key` must have 1 to 255 bytes.");
  return request.idempotency_key;
}

Result<Json> object_body(const Request& request, std::initializer_list<const char*> allowed,
                         std::size_t bytes_max, bool may_be_empty) {
  if (request.body.empty() && may_be_empty) return Json::object();
  auto body = dsl::parse_json(request.body, dsl::GateLimits{bytes_max}.around(1));
  if (!body) return std::move(body).error();
  if (!body->is_object()) return invalid("body-invalid", "The body must be a JSON object.");
  if (auto known = only_keys(*body, allowed); !known) return std::move(known).error();
  return std::move(body).value();
}

Result<std::optional<std::string>> text_member(const Json& object, const char* name,
                                               std::size_t most) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::optional<std::string>{};
  const std::string pointer = "/" + std::string(name);
  if (!found->is_string()) {
    return invalid("body-invalid", "`" + std::string(name) + "` is a string.", pointer);
  }
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > most) {
    return invalid("body-invalid",
                   "`" + std::string(name) + "` has at most " + std::to_string(most) + " bytes.",
                   pointer);
  }
  return std::optional<std::string>{text};
}

}  // namespace backstitch::rest
