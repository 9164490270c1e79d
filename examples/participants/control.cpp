#include "control.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "ledger_check.hpp"
#include "participants.hpp"
#include "service.hpp"

namespace backstitch::examples {

namespace {

using nlohmann::json;

void give(Reply& reply, unsigned status, const json& body) {
  reply.set(status, body.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::vector<Entry> entries_of(const Participants& participants, const Request& request) {
  auto entries = participants.entries();
  if (const auto saga = query_value(request.query(), "saga"); !saga.empty()) {
    std::erase_if(entries, [&](const Entry& entry) { return entry.saga != saga; });
  }
  return entries;
}

void give_ledger(const Participants& participants, const Request& request, Reply& reply) {
  json all = json::array();
  for (const Entry& entry : entries_of(participants, request)) all.push_back(to_json(entry));
  give(reply, 200, all);
}

void give_check(const Participants& participants, const Request& request, Reply& reply) {
  json violations = json::array();
  for (Violation& violation :
       check(entries_of(participants, request), participants.business().check)) {
    violations.push_back({{"promise", std::move(violation.promise)},
                          {"code", std::move(violation.code)},
                          {"saga", std::move(violation.saga)},
                          {"message", std::move(violation.message)},
                          {"entries", std::move(violation.entries)}});
  }
  const bool ok = violations.empty();
  give(reply, 200, {{"ok", ok}, {"violations", std::move(violations)}});
}

void give_stats(const Participants& participants, Reply& reply) {
  json all = json::object();
  const auto services = participants.business().services;
  for (std::size_t i = 0; i < services.size(); ++i) {
    const Counters& counters = participants.counters(i);
    all[std::string(services[i].name)] = {{"requests", counters.requests.load()},
                                          {"bench", counters.bench.load()},
                                          {"disturbed", counters.disturbed.load()}};
  }
  give(reply, 200, all);
}

void add_fault(Participants& participants, const Request& request, Reply& reply) {
  ParsedFault parsed = parse_fault(request.body, participants.business().services);
  if (!parsed.wrong.empty()) return give(reply, 400, {{"error", parsed.wrong}});
  give(reply, 201, {{"id", participants.faults().add(std::move(parsed.rule))}});
}

}  // namespace

bool is_control(const Request& request) {
  const std::string_view path = request.path();
  return path == "/faults" || path == "/ledger" || path == "/ledger/check" || path == "/stats";
}

void answer_control(Participants& participants, const Request& request, Reply& reply) {
  const std::string_view path = request.path();
  if (path == "/faults" && request.verb == Verb::post) {
    return add_fault(participants, request, reply);
  }
  if (path == "/faults" && request.verb == Verb::get) {
    return give(reply, 200, participants.faults().list());
  }
  if (path == "/faults" && request.verb == Verb::del) {
    participants.faults().clear();
    return give(reply, 200, {{"ok", true}});
  }
  if (path == "/ledger" && request.verb == Verb::del) {
    participants.clear();
    return give(reply, 200, {{"ok", true}});
  }
  if (request.verb != Verb::get) return give(reply, 405, {{"error", "method-not-allowed"}});
  if (path == "/ledger") return give_ledger(participants, request, reply);
  if (path == "/ledger/check") return give_check(participants, request, reply);
  return give_stats(participants, reply);
}

}  // namespace backstitch::examples
