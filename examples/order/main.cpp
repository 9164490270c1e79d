#include <array>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace backstitch::examples {

namespace {

constexpr int discount_cents = 500;

std::string authorisation_id(std::string_view key) {
  return number("au", key);
}

Answer create_order(const Call& call) {
  return ok({{"orderId", call.part(0)}, {"state", "PENDING"}});
}

Answer set_order_state(const Call& call) {
  return ok({{"orderId", call.part(0)}, {"ok", true}});
}

Answer redeem_coupon(const Call&) {
  return ok({{"discountCents", discount_cents}});
}

Answer reserve_stock(const Call& call) {
  return ok({{"reservationId", call.part(0)}});
}

Answer authorise(const Call& call) {
  return ok({{"id", authorisation_id(call.request.idempotency_key)}});
}

Answer capture(const Call& call) {
  const Found found = call.find("authorisations/" + call.part(0));
  if (found == Found::never) return {404, R"({"error":"NO_SUCH_AUTHORISATION"})"};
  if (found == Found::gone) return {410, R"({"error":"AUTHORISATION_EXPIRED"})"};
  return ok({{"receiptNo", number("R", call.request.idempotency_key)}});
}

Answer ship(const Call& call) {
  return ok({{"trackingNo", number("T", call.request.idempotency_key)}});
}

Answer send_message(const Call& call) {
  return ok({{"messageId", number("M", call.request.idempotency_key)}});
}

constexpr std::array services{
    ServiceInfo{"orders", {}},
    ServiceInfo{"inventory", {409, R"({"error":"OUT_OF_STOCK"})"}},
    ServiceInfo{"payments", {402, R"({"error":"CARD_DECLINED"})"}},
    ServiceInfo{"shipping", {}},
    ServiceInfo{"mail", {}},
};

using enum RouteKind;
constexpr std::array routes{
    Route{"orders", Verb::put, "/orders/*", action, create_order, Effect::done, true},
    Route{"orders", Verb::post, "/orders/*/reject", undo},
    Route{"orders", Verb::put, "/orders/*/state", action, set_order_state},
    Route{"orders", Verb::put, "/coupons/*/redemptions/*", action, redeem_coupon, Effect::done,
          true},
    Route{"orders", Verb::del, "/coupons/*/redemptions/*", undo},
    Route{"inventory", Verb::put, "/reservations/*", action, reserve_stock, Effect::done, true},
    Route{"inventory", Verb::del, "/reservations/*", undo},
    Route{"payments", Verb::post, "/authorisations", action, authorise, Effect::done, true,
          authorisation_id},
    Route{.service = "payments",
          .verb = Verb::get,
          .pattern = "/authorisations/by-key/*",
          .kind = probe,
          .sealed = true},
    Route{"payments", Verb::post, "/authorisations/*/void", undo},
    Route{"payments", Verb::post, "/authorisations/*/capture", action, capture, Effect::captured},
    Route{"shipping", Verb::put, "/shipments/*", action, ship},
    Route{"mail", Verb::post, "/messages", action, send_message},
};

const Business order{"order-participants", "order", services, routes, 7500, {}};

}  // namespace

}  // namespace backstitch::examples

int main(int count, char** arguments) {
  return backstitch::examples::run_program(count, arguments, backstitch::examples::order);
}
