#include "admission.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/dsl/json_gate.hpp>

#include "../machine/limits.hpp"
#include "saga_actor.hpp"

namespace backstitch::engine {
namespace {

/// Sizes of inputs and payloads have limits of their own.
constexpr dsl::GateLimits any_size{.bytes_max = SIZE_MAX};
const dsl::GateLimits any_item = any_size.around(1);

/// Texts become rows and log data: UTF-8 without U+0000, of some bytes at most.
std::optional<Error> flaw(const char* reason, const std::string& text, std::size_t most,
                          const char* what, const std::string& pointer) {
  if (text.size() > most) {
    return flawed(reason, at_most_bytes(what, most), pointer);
  }
  const bool is_plain =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (is_plain) return std::nullopt;
  const auto taken = dsl::admit(Json(text), any_size);
  if (taken) return std::nullopt;
  return flawed(reason, std::string(what) + ": " + taken.error().details.at(0).message + ".",
                pointer);
}

/// Texts that the database cannot store; their sizes are judged where the saga begins, with those
/// of the definition.
std::optional<Error> labels_text_flaw(const StartRequest& request) {
  for (const auto& [name, value] : request.labels) {
    for (const auto* text : {&name, &value}) {
      if (auto error = flaw("start-invalid", *text, SIZE_MAX, "A label", "/labels")) return error;
    }
  }
  return std::nullopt;
}

/// The pointer of an error of a value is that of the request.
Error inside(Error error, const std::string& member) {
  for (auto& detail : error.details) detail.pointer = member + detail.pointer;
  return error;
}

std::optional<Error> admit_value(Json& value, const std::string& member) {
  auto taken = dsl::admit(std::move(value), any_size);
  if (!taken) return inside(std::move(taken).error(), member);
  value = std::move(*taken);
  return std::nullopt;
}

std::optional<Error> command_flaw(Signal& signal) {
  constexpr const char* reason = "command-invalid";
  if (signal.name.empty()) return flawed(reason, "A signal has a name.", "/name");
  if (auto error =
          flaw(reason, signal.name, signal_name_bytes_max, "The name of a signal", "/name"))
    return error;
  return admit_value(signal.payload, "");
}
std::optional<Error> command_flaw(Resolve& resolve) {
  if (resolve.output) {
    if (auto error = admit_value(*resolve.output, "/output")) return error;
  }
  return resolve.captured ? admit_value(*resolve.captured, "/captured") : std::nullopt;
}
std::optional<Error> command_flaw(Callback& callback) {
  return admit_value(callback.response.body, "");
}
template <class Other>
std::optional<Error> command_flaw(Other&) {
  return std::nullopt;
}

WrittenStart start_from(const InboxItem& item, const Json& json) {
  WrittenStart start = named_start(item);
  StartRequest& request = start.request;
  if (!json.at("stated").is_null()) request.version = start.version;
  request.input = json.at("input");
  if (!json.at("businessKey").is_null())
    request.business_key = json.at("businessKey").get<std::string>();
  if (json.contains("idempotencyKey") && !json.at("idempotencyKey").is_null())
    request.idempotency_key = json.at("idempotencyKey").get<std::string>();
  request.labels = json.at("labels").get<std::map<std::string, std::string>>();
  return start;
}

template <class Read>
auto read_item(const Read& read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return Error{ErrorCode::invalid, "inbox-corrupt", error.what()};
  }
}

}  // namespace

WrittenStart named_start(const InboxItem& item) {
  WrittenStart start;
  start.request.definition = item.definition;
  start.version = item.version;
  return start;
}

std::optional<Error> admit_start(StartRequest& request) {
  constexpr const char* reason = "start-invalid";
  if (auto error = flaw(reason, request.definition, definition_name_bytes_max,
                        "The name of a definition", "/definition"))
    return error;
  if (request.business_key) {
    if (auto error =
            flaw(reason, *request.business_key, SIZE_MAX, "A business key", "/businessKey"))
      return error;
  }
  if (request.idempotency_key) {
    if (request.idempotency_key->empty())
      return flawed(reason, "An idempotency key has 1 to 255 bytes.", "/idempotencyKey");
    if (auto error = flaw(reason, *request.idempotency_key, start_key_bytes_max,
                          "An idempotency key", "/idempotencyKey"))
      return error;
  }
  if (auto error = labels_text_flaw(request)) return error;
  if (!request.input.is_object())
    return flawed(reason, "The input of a saga is a JSON object.", "/input");
  return admit_value(request.input, "/input");
}

Result<StimulusBody> admit_command(StimulusBody command) {
  auto error = std::visit([](auto& one) { return command_flaw(one); }, command);
  if (error) return std::move(*error);
  return command;
}

std::optional<Error> key_flaw(const std::string& idempotency_key) {
  return flaw("command-invalid", idempotency_key, start_key_bytes_max, "An idempotency key",
              "/idempotencyKey");
}

Result<WrittenStart> read_start(const InboxItem& item) {
  auto json = dsl::parse_json(item.data, any_item);
  if (!json) return std::move(json).error();
  auto start = read_item([&] { return start_from(item, *json); });
  if (!start) return start;
  if (auto error = admit_start(start->request)) return std::move(*error);
  return start;
}

Result<WrittenStart> read_promised_start(const InboxItem& item) {
  return read_item([&] { return start_from(item, dsl::stored_json(item.data)); });
}

Result<ReadCommand> read_command(const InboxItem& item) {
  // Nodes write down what has passed the gate.
  const bool by_node = !item.node.empty();
  auto json = by_node ? read_item([&] { return dsl::stored_json(item.data); })
                      : dsl::parse_json(item.data, any_item);
  if (!json) return std::move(json).error();
  auto command = read_command(item.kind, *json);
  if (command && !by_node) command = admit_command(std::move(*command));
  if (!command) return std::move(command).error();
  const auto key = json->find("key");
  const bool has_key = key != json->end() && key->is_string();
  return ReadCommand{std::move(*command), has_key ? key->get<std::string>() : std::string{}};
}

Failure failure_of_unreadable_start(const InboxItem& item, const Error& why) {
  Failure failure = failure_of_start(
      {ErrorCode::invalid, "INPUT_INVALID",
       "The start cannot be read; its " + std::to_string(item.bytes) + " bytes were left out."});
  failure.details["bytes"] = item.bytes;
  failure.details["reason"] = why.message;
  return failure;
}

Failure failure_of_start(const Error& error) {
  Json errors = Json::array();
  for (const auto& one : error.details) {
    const bool is_pointer = one.pointer.starts_with("/");
    errors.push_back({{"pointer", is_pointer ? one.pointer : std::string{}},
                      {"code", one.code},
                      {"message", one.message}});
  }
  if (errors.empty())
    errors.push_back({{"pointer", ""}, {"code", error.reason}, {"message", error.message}});
  const bool of_engine = error.reason.find('-') == std::string::npos;
  const bool is_limit = error.reason == "start-invalid" || error.reason == "input-too-large";
  return {of_engine  ? error.reason
          : is_limit ? "LIMIT_EXCEEDED"
                     : "INPUT_INVALID",
          "failure",
          error.message,
          "",
          {{"errors", std::move(errors)}}};
}

}  // namespace backstitch::engine
