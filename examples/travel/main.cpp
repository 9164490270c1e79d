#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace backstitch::examples {

namespace {

using nlohmann::json;

constexpr int seat_cents = 18'900;
constexpr int night_cents = 9'000;
constexpr std::int64_t nights_max = 365;
constexpr int car_primary_cents = 4'500;
constexpr int car_backup_cents = 5'200;

Answer hold_seat(const Call& call) {
  return ok({{"holdId", call.part(0)}, {"priceCents", seat_cents}});
}

Answer issue_ticket(const Call& call) {
  if (call.find("holds/" + call.part(0)) != Found::stands) return {409, R"({"error":"NO_HOLD"})"};
  return ok({{"ticketNo", number("TK", call.request.idempotency_key)}});
}

std::string booking_id(std::string_view key) {
  return number("bk", key);
}

Answer ask_for_room(const Call& call) {
  const json body{{"id", booking_id(call.request.idempotency_key)}, {"state", "PENDING"}};
  return {202, body.dump()};
}

Answer hold_room(const Call& call) {
  const json body = body_of(call.request);
  const auto found = body.is_object() ? body.find("nights") : body.end();
  const bool is_given = found != body.end() && found->is_number_integer();
  const auto nights =
      std::clamp<std::int64_t>(is_given ? found->get<std::int64_t>() : 1, 1, nights_max);
  return ok({{"id", booking_id(call.request.idempotency_key)},
             {"state", "HELD"},
             {"priceCents", nights * night_cents}});
}

Answer confirm_room(const Call& call) {
  if (call.find("bookings/" + call.part(0)) != Found::stands) {
    return {409, R"({"error":"NO_BOOKING"})"};
  }
  return ok({{"id", call.part(0)}, {"state", "CONFIRMED"}});
}

Answer rent_from_primary(const Call& call) {
  return ok({{"rentalId", call.part(0)}, {"priceCents", car_primary_cents}});
}

Answer rent_from_backup(const Call& call) {
  return ok({{"rentalId", call.part(0)}, {"priceCents", car_backup_cents}});
}

Answer confirm_rental(const Call& call) {
  if (call.find("rentals/" + call.part(0)) != Found::stands) {
    return {409, R"({"error":"NO_RENTAL"})"};
  }
  return ok({{"rentalId", call.part(0)}, {"state", "CONFIRMED"}});
}

std::string charge_id(std::string_view key) {
  return number("ch", key);
}

Answer charge(const Call& call) {
  return ok({{"id", charge_id(call.request.idempotency_key)}});
}

constexpr std::array services{
    ServiceInfo{"air-gds", {409, R"({"error":"FLIGHT_FULL"})"}},
    ServiceInfo{"hotels", {409, R"({"error":"HOTEL_FULL"})"}},
    ServiceInfo{"cars-primary", {409, R"({"error":"NO_CAR"})"}},
    ServiceInfo{"cars-backup", {409, R"({"error":"NO_CAR"})"}},
    ServiceInfo{"billing", {402, R"({"error":"CARD_DECLINED"})"}},
};

using enum RouteKind;
constexpr std::array routes{
    Route{"air-gds", Verb::put, "/holds/*", action, hold_seat, Effect::done, true},
    Route{"air-gds", Verb::del, "/holds/*", undo},
    Route{"air-gds", Verb::put, "/tickets/*", action, issue_ticket},
    // A hotel says no in the same words as it says yes: whoever polls asks how the booking stands.
    Route{"hotels",
          Verb::post,
          "/bookings",
          action,
          hold_room,
          Effect::done,
          true,
          booking_id,
          ask_for_room,
          {200, R"({"state":"REFUSED"})"}},
    Route{"hotels", Verb::get, "/bookings/by-key/*", probe},
    Route{"hotels", Verb::del, "/bookings/by-key/*", undo},
    Route{"hotels", Verb::put, "/bookings/*/confirmation", action, confirm_room},
    Route{"cars-primary", Verb::put, "/rentals/*", action, rent_from_primary, Effect::done, true},
    Route{"cars-primary", Verb::del, "/rentals/*", undo},
    Route{"cars-primary", Verb::put, "/rentals/*/confirmation", action, confirm_rental},
    Route{"cars-backup", Verb::put, "/rentals/*", action, rent_from_backup, Effect::done, true},
    Route{"cars-backup", Verb::del, "/rentals/*", undo},
    Route{"cars-backup", Verb::put, "/rentals/*/confirmation", action, confirm_rental},
    Route{"billing", Verb::post, "/charges", action, charge, Effect::captured, false, charge_id},
    Route{.service = "billing",
          .verb = Verb::get,
          .pattern = "/charges/by-key/*",
          .kind = probe,
          .sealed = true},
};

// Seats, room and car are held at once and given up at once; a first car may be given back alone.
constexpr std::array<std::string_view, 1> save_point{"cars-primary"};
const Business travel{"travel-participants",
                      "travel",
                      services,
                      routes,
                      7510,
                      {.mirror_order = false, .save_point = save_point}};

}  // namespace

}  // namespace backstitch::examples

int main(int count, char** arguments) {
  return backstitch::examples::run_program(count, arguments, backstitch::examples::travel);
}
