#include <array>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace backstitch::examples {

namespace {

using nlohmann::json;

/// What every account may spend at once.
constexpr std::int64_t limit_cents = 500'000'000;

/// Who is on the list, and who needs a second look, can be seen by their names.
Answer screen(const Call& call) {
  const std::string payer = query_value(call.request.query(), "payer");
  const std::string payee = query_value(call.request.query(), "payee");
  const auto any = [&](std::string_view prefix) {
    return payer.starts_with(prefix) || payee.starts_with(prefix);
  };
  const bool hit = any("sanctioned");
  return ok({{"hit", hit}, {"risk", hit || any("risky") ? "high" : "low"}});
}

Answer open_task(const Call& call) {
  return ok({{"taskId", call.part(0)}, {"state", "OPEN"}});
}

Answer report_incident(const Call& call) {
  return ok({{"incidentId", call.part(0)}});
}

Answer queue_message(const Call& call) {
  const json body{{"id", call.request.idempotency_key}, {"state", "QUEUED"}};
  return {202, body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Answer pass_message(const Call& call) {
  const std::string& key = call.request.idempotency_key;
  return ok({{"id", key}, {"state", "ACCEPTED"}, {"ref", number("NET", key)}});
}

Answer hold_funds(const Call& call) {
  const json body = body_of(call.request);
  const auto amount = body.is_object() ? body.find("amountCents") : body.end();
  if (amount == body.end() || !amount->is_number_integer()) {
    return {400, R"({"error":"AMOUNT_MISSING"})"};
  }
  if (amount->get<std::int64_t>() > limit_cents) return {409, R"({"error":"INSUFFICIENT_FUNDS"})"};
  return ok({{"holdId", call.part(0)}});
}

std::string now_text() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 24> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

Answer book_entry(const Call& call) {
  const json body = body_of(call.request);
  const auto hold = body.is_object() ? body.find("hold") : body.end();
  const bool is_named = hold != body.end() && hold->is_string();
  if (!is_named || call.find("holds/" + hold->get<std::string>()) != Found::stands) {
    return {409, R"({"error":"NO_HOLD"})"};
  }
  return ok({{"entryId", number("E", call.request.idempotency_key)}, {"bookedAt", now_text()}});
}

Answer settle(const Call& call) {
  return ok({{"settled", call.part(0)}});
}

Answer send_message(const Call& call) {
  return ok({{"messageId", number("M", call.request.idempotency_key)}});
}

constexpr std::array services{
    ServiceInfo{"compliance", {200, R"({"hit":true,"risk":"high"})"}},
    ServiceInfo{"task-inbox", {}},
    ServiceInfo{"payment-network", {422, R"({"state":"REJECTED"})"}},
    ServiceInfo{"ledger", {409, R"({"error":"INSUFFICIENT_FUNDS"})"}},
    ServiceInfo{"mail", {}},
};

using enum RouteKind;
constexpr std::array routes{
    Route{"compliance", Verb::get, "/screening", query, screen},
    Route{"task-inbox", Verb::put, "/tasks/*", action, open_task, Effect::done, true},
    Route{"task-inbox", Verb::del, "/tasks/*", undo},
    Route{"task-inbox", Verb::put, "/incidents/*", action, report_incident},
    Route{"payment-network",
          Verb::post,
          "/messages",
          action,
          pass_message,
          Effect::captured,
          false,
          nullptr,
          queue_message,
          {422, R"({"state":"REJECTED"})"}},
    // Not sealed: a message that has not been seen may still be on its way.
    Route{.service = "payment-network",
          .verb = Verb::get,
          .pattern = "/messages/*",
          .kind = probe,
          .not_seen = R"({"error":"NEVER_ARRIVED"})"},
    Route{"ledger", Verb::put, "/holds/*", action, hold_funds, Effect::done, true},
    Route{"ledger", Verb::del, "/holds/*", undo},
    Route{"ledger", Verb::put, "/entries/*", action, book_entry, Effect::done, true},
    Route{"ledger", Verb::put, "/entries/*/reversal", undo},
    Route{"ledger", Verb::put, "/settlements/*", action, settle},
    Route{"mail", Verb::post, "/messages", action, send_message},
};

const Business transfer{"transfer-participants", "transfer", services, routes, 7520, {}};

}  // namespace

}  // namespace backstitch::examples

int main(int count, char** arguments) {
  return backstitch::examples::run_program(count, arguments, backstitch::examples::transfer);
}
