/// How commands and their answers are written down for other nodes.
#include <utility>

#include <nlohmann/json.hpp>

#include <backstitch/base/match.hpp>
#include <backstitch/dsl/json_gate.hpp>

#include "saga_actor.hpp"

namespace backstitch::engine {
namespace {

constexpr std::pair<ErrorCode, const char*> codes[] = {
    {ErrorCode::invalid, "invalid"},       {ErrorCode::not_found, "not_found"},
    {ErrorCode::conflict, "conflict"},     {ErrorCode::forbidden, "forbidden"},
    {ErrorCode::overloaded, "overloaded"}, {ErrorCode::unavailable, "unavailable"},
    {ErrorCode::internal, "internal"},     {ErrorCode::outcome_unknown, "outcome_unknown"},
};

std::optional<WrittenCommand> written(const char* kind, Json data) {
  return WrittenCommand{kind, data.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

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

std::optional<WrittenCommand> written_command(const StimulusBody& body) {
  using Written = std::optional<WrittenCommand>;
  return std::visit(
      Match{[](const Cancel& c) {
              return written("cancel", {{"by", c.by}, {"reason", c.reason}});
            },
            [](const Retry& c) {
              return written("retry", {{"by", c.by}, {"reason", c.reason}});
            },
            [](const Suspend& c) {
              return written("suspend", {{"step", c.step}, {"by", c.by}, {"reason", c.reason}});
            },
            [](const Skip& c) {
              return written("skip", {{"step", c.step}, {"by", c.by}, {"reason", c.reason}});
            },
            [](const Resolve& c) { return written("resolve", resolve_json(c)); },
            [](const Signal& s) {
              return written(
                  "signal",
                  {{"name", s.name}, {"payload", s.payload}, {"by", s.by}, {"roles", s.roles}});
            },
            [](const Callback& c) {
              return written("callback", {{"token", c.token},
                                          {"status", c.response.status},
                                          {"body", c.response.body},
                                          {"unreadable", c.response.unreadable}});
            },
            [](const Start&) { return Written{}; }, [](const CallEnded&) { return Written{}; },
            [](const Tick&) { return Written{}; }, [](const TakenOver&) { return Written{}; },
            [](const ChildChanged&) { return Written{}; },
            [](const UndoneByParent&) { return Written{}; }},
      body);
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

Error read_error(const std::string& text) {
  const auto json = dsl::parse_json(text);
  Error error{ErrorCode::internal, "internal", "the answer of the other node cannot be read"};
  if (!json || !json->is_object()) return error;
  for (const auto& [code, spelled] : codes) {
    if (json->value("code", "") == spelled) error.code = code;
  }
  error.reason = json->value("reason", error.reason);
  error.message = json->value("message", error.message);
  return error;
}

}  // namespace backstitch::engine
