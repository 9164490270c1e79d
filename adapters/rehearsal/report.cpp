#include <backstitch/rehearsal/report.hpp>

#include <algorithm>

#include "faults.hpp"

namespace backstitch::rehearsal {
namespace {

Json json_of(const std::optional<Duration>& time) {
  return time ? Json(backstitch::to_text(*time)) : Json();
}

Json json_of(const Moment& moment) {
  return {{"at", to_rfc3339(moment.at)}, {"offset", backstitch::to_text(moment.offset)},
          {"saga", moment.saga.text()},  {"definition", moment.definition},
          {"type", moment.type},         {"path", moment.path},
          {"depth", moment.depth},       {"text", to_text(moment)},
          {"data", moment.data}};
}

Json json_of(const LedgerEntry& entry) {
  return {{"service", entry.service},
          {"definition", entry.definition},
          {"path", entry.path},
          {"request", entry.request},
          {"key", entry.key},
          {"effect", to_text(entry.standing)},
          {"doneAt", json_of(entry.done)},
          {"undoneAt", json_of(entry.undone)},
          {"calls", entry.calls}};
}

}  // namespace

const char* to_text(Standing standing) {
  switch (standing) {
    case Standing::accepted:
      return "accepted";
    case Standing::exists:
      return "exists";
    case Standing::undone:
      return "undone";
    case Standing::closed:
      return "closed";
  }
  return "";
}

std::string Report::effect_of(std::string_view step) const {
  std::string effect = "none";
  for (const auto& entry : ledger) {
    if (!names_path(std::string(step), entry.path)) continue;
    const std::string one = to_text(entry.standing);
    if (effect != "none" && effect != one) return "mixed";
    effect = one;
  }
  return effect;
}

Json to_json(const Report& report) {
  Json json{{"definition", report.definition}, {"version", report.version},
            {"saga", report.saga.text()},      {"status", report.status},
            {"failure", report.failure},       {"suspension", report.suspension},
            {"output", report.output},         {"took", backstitch::to_text(report.took)},
            {"timeline", Json::array()},       {"ledger", Json::array()}};
  for (const auto& moment : report.timeline) json["timeline"].push_back(json_of(moment));
  for (const auto& entry : report.ledger) json["ledger"].push_back(json_of(entry));
  return json;
}

}  // namespace backstitch::rehearsal
