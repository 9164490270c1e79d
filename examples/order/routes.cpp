#include "routes.hpp"

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace backstitch::examples {

namespace {

using nlohmann::json;

constexpr int discount_cents = 500;

Answer ok(const json& body) {
  return {200, body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

/// Numbers are derived from the key, so that a restarted participant gives them again.
std::string number(const char* prefix, std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%s-%016llx", prefix,
                static_cast<unsigned long long>(hash));
  return text.data();
}

Answer create_order(const Call& call) {
  return ok({{"orderId", percent_decoded(call.parts[0])}, {"state", "PENDING"}});
}

Answer set_order_state(const Call& call) {
  return ok({{"orderId", percent_decoded(call.parts[0])}, {"ok", true}});
}

Answer redeem_coupon(const Call&) {
  return ok({{"discountCents", discount_cents}});
}

Answer reserve_stock(const Call& call) {
  return ok({{"reservationId", percent_decoded(call.parts[0])}});
}

Answer authorise(const Call& call) {
  const std::string& key = call.request.idempotency_key;
  const std::string id = authorisation_id(key);
  call.authorisations.insert_or_assign(id, key);
  return ok({{"id", id}});
}

Answer capture(const Call& call) {
  const auto found = call.authorisations.find(percent_decoded(call.parts[0]));
  if (found == call.authorisations.end()) return {404, R"({"error":"NO_SUCH_AUTHORISATION"})"};
  if (call.guard.look_up(found->second).standing != KeyGuard::Standing::done) {
    return {410, R"({"error":"AUTHORISATION_EXPIRED"})"};
  }
  return ok({{"receiptNo", number("R", call.request.idempotency_key)}});
}

Answer ship(const Call& call) {
  return ok({{"trackingNo", number("T", call.request.idempotency_key)}});
}

Answer send_message(const Call& call) {
  return ok({{"messageId", number("M", call.request.idempotency_key)}});
}

using enum RouteKind;
constexpr std::array routes{
    Route{"orders", Verb::put, "/orders/*", action, Effect::done, true, create_order},
    Route{"orders", Verb::post, "/orders/*/reject", undo},
    Route{"orders", Verb::put, "/orders/*/state", action, Effect::done, false, set_order_state},
    Route{"orders", Verb::put, "/coupons/*/redemptions/*", action, Effect::done, true,
          redeem_coupon},
    Route{"orders", Verb::del, "/coupons/*/redemptions/*", undo},
    Route{"inventory", Verb::put, "/reservations/*", action, Effect::done, true, reserve_stock},
    Route{"inventory", Verb::del, "/reservations/*", undo},
    Route{"payments", Verb::post, "/authorisations", action, Effect::done, true, authorise},
    Route{"payments", Verb::get, "/authorisations/by-key/*", probe},
    Route{"payments", Verb::post, "/authorisations/*/void", undo},
    Route{"payments", Verb::post, "/authorisations/*/capture", action, Effect::captured, false,
          capture},
    Route{"shipping", Verb::put, "/shipments/*", action, Effect::done, false, ship},
    Route{"mail", Verb::post, "/messages", action, Effect::done, false, send_message},
};

/// Takes the first segment, with its slash, off `path`; empty at the end.
std::string_view next_segment(std::string_view& path) {
  const std::string_view segment = path.substr(0, path.find('/', 1));
  path.remove_prefix(segment.size());
  return segment;
}

bool fits(std::string_view pattern, std::string_view path, PathParts& parts) {
  std::size_t open = 0;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = next_segment(pattern);
    const std::string_view given = next_segment(path);
    if (wanted == "/*" && given.size() > 1) {
      parts.at(open++) = given.substr(1);
    } else if (wanted != given) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

const Route* find_route(std::string_view service, const Request& request, PathParts& parts) {
  for (const Route& route : routes) {
    if (route.service == service && route.verb == request.verb &&
        fits(route.pattern, request.path(), parts)) {
      return &route;
    }
  }
  return nullptr;
}

const Answer& refusal_of(std::string_view service) {
  static const Answer no_stock{409, R"({"error":"OUT_OF_STOCK"})"};
  static const Answer declined{402, R"({"error":"CARD_DECLINED"})"};
  static const Answer refused{409, R"({"error":"refused"})"};
  if (service == "inventory") return no_stock;
  return service == "payments" ? declined : refused;
}

std::string authorisation_id(std::string_view key) {
  return number("au", key);
}

}  // namespace backstitch::examples
