/// How commands and their answers are written down for other nodes.
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/json_gate.hpp>
#include <backstitch/engine/runtime/engine.hpp>

#include "saga_actor.hpp"

namespace backstitch::engine {
namespace {

constexpr std::pair<ErrorCode, const char*> codes[] = {
    {ErrorCode::invalid, "invalid"},       {ErrorCode::not_found, "not_found"},
    {ErrorCode::conflict, "conflict"},     {ErrorCode::forbidden, "forbidden"},
    {ErrorCode::overloaded, "overloaded"}, {ErrorCode::unavailable, "unavailable"},
    {ErrorCode::internal, "internal"},     {ErrorCode::outcome_unknown, "outcome_unknown"},
};

struct Named {
  const char* kind = nullptr;  ///< null: no inbox carries it
  Json data;
};

Json resolve_json(const Resolve& resolve) {
  Json json{{"step", resolve.step},
            {"as", to_text(resolve.as)},
            {"by", resolve.by},
            {"reason", resolve.reason}};
  if (resolve.output) json["output"] = *resolve.output;
  if (resolve.captured) json["captured"] = *resolve.captured;
  return json;
}

Result<StimulusBody> resolve_from(const Json& json) {
  const auto text = [&](const char* name) { return json.at(name).get<std::string>(); };
  const auto as = parse_resolution(text("as"));
  if (!as) return Error{ErrorCode::invalid, "inbox-corrupt", "a resolve as " + text("as")};
  Resolve resolve{text("step"), *as, {}, {}, text("by"), text("reason")};
  if (json.contains("output")) resolve.output = json.at("output");
  if (json.contains("captured")) resolve.captured = json.at("captured");
  return StimulusBody(std::move(resolve));
}

}  // namespace

namespace {

Named named(const StimulusBody& body) {
  return std::visit(
      Match{[](const Cancel& c) {
              return Named{"cancel", {{"by", c.by}, {"reason", c.reason}}};
            },
            [](const Retry& c) {
              return Named{"retry", {{"by", c.by}, {"reason", c.reason}}};
            },
            [](const Suspend& c) {
              return Named{"suspend", {{"step", c.step}, {"by", c.by}, {"reason", c.reason}}};
            },
            [](const Skip& c) {
              return Named{"skip", {{"step", c.step}, {"by", c.by}, {"reason", c.reason}}};
            },
            [](const Resolve& c) {
              return Named{"resolve", resolve_json(c)};
            },
            [](const Signal& s) {
              return Named{
                  "signal",
                  {{"name", s.name}, {"payload", s.payload}, {"by", s.by}, {"roles", s.roles}}};
            },
            [](const Callback& c) {
              return Named{"callback",
                           {{"token", c.token},
                            {"status", c.response.status},
                            {"body", c.response.body},
                            {"unreadable", c.response.unreadable}}};
            },
            [](const Start&) { return Named{}; }, [](const CallEnded&) { return Named{}; },
            [](const Tick&) { return Named{}; }, [](const TakenOver&) { return Named{}; },
            [](const ChildChanged&) { return Named{}; },
            [](const UndoneByParent&) { return Named{}; },
            [](const ContentRefused&) { return Named{}; },
            [](const Quarantine&) { return Named{}; }},
      body);
}

}  // namespace

bool is_command(const StimulusBody& body) {
  return std::visit([]<class T>(const T&) { return std::is_constructible_v<Command, T>; }, body);
}

std::optional<WrittenCommand> written_command(const StimulusBody& body,
                                              const std::string& idempotency_key) {
  Named command = named(body);
  if (command.kind == nullptr) return std::nullopt;
  if (!idempotency_key.empty()) command.data["key"] = idempotency_key;
  return WrittenCommand{command.kind,
                        command.data.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Result<StimulusBody> read_command(const std::string& kind, const Json& json) {
  try {
    const auto text = [&](const char* name) { return json.at(name).get<std::string>(); };
    if (kind == "cancel") return StimulusBody(Cancel{text("by"), text("reason")});
    if (kind == "retry") return StimulusBody(Retry{text("by"), text("reason")});
    if (kind == "suspend") return StimulusBody(Suspend{text("step"), text("by"), text("reason")});
    if (kind == "skip") return StimulusBody(Skip{text("step"), text("by"), text("reason")});
    if (kind == "resolve") return resolve_from(json);
    if (kind == "signal") {
      return StimulusBody(Signal{text("name"), json.at("payload"), text("by"),
                                 json.at("roles").get<std::vector<std::string>>()});
    }
    if (kind == "callback") {
      return StimulusBody(
          Callback{text("token"), Response{json.at("status").get<int>(),
                                           {},
                                           json.at("body"),
                                           json.value("unreadable", std::string{})}});
    }
  } catch (const Json::exception& error) {
    return Error{ErrorCode::invalid, "inbox-corrupt", error.what()};
  }
  return Error{ErrorCode::invalid, "inbox-corrupt", "there is no command `" + kind + "`"};
}

std::string written_error(const Error& error) {
  const char* name = "internal";
  for (const auto& [code, spelled] : codes) {
    if (code == error.code) name = spelled;
  }
  const Json json{{"code", name}, {"reason", error.reason}, {"message", error.message}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string written_answer(const Result<Done>& answer) {
  if (!answer) return written_error(answer.error());
  return answer->repeated ? Json{{"repeated", true}}.dump() : "";
}

Result<Done> read_answer(const std::string& text) {
  if (text.empty()) return Done{};
  const auto json = dsl::parse_json(text);
  Error error{ErrorCode::internal, "internal", "the answer of the other node cannot be read"};
  if (!json || !json->is_object()) return error;
  if (json->contains("repeated")) return Done{.repeated = true};
  for (const auto& [code, spelled] : codes) {
    if (json->value("code", "") == spelled) error.code = code;
  }
  error.reason = json->value("reason", error.reason);
  error.message = json->value("message", error.message);
  return error;
}

}  // namespace backstitch::engine
