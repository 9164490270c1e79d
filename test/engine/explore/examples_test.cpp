// Proofs, not unit tests: every way that the sagas of the examples can go.
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "explored.hpp"

namespace backstitch::test {
namespace {

namespace explore = engine::explore;

engine::Program example(const std::string& name) {
  std::ifstream file(std::string(BACKSTITCH_EXAMPLES) + "/" + name);
  return program_of({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
}

TEST_CASE("every way of the order saga keeps every promise") {
  const auto found = explore::explore(example("order/orders.place.json"));
  CHECK(found.complete);
  CHECK(found.violations.empty());
  CHECK(found.notes.empty());
  const auto endings = endings_of(found);
  for (const char* expected :
       {"COMPLETED", "FAILED OUT_OF_STOCK at reserveStock", "FAILED CARD_DECLINED at authorise",
        "FAILED NOT_AUTHORISED at authorise", "FAILED CANCELLED", "FAILED SAGA_TIMEOUT",
        "FAILED COUPON_INVALID at redeemCoupon", "FAILED AUTHORISATION_EXPIRED at capture",
        "SUSPENDED COMPENSATION_FAILED at the undo of createOrder",
        "SUSPENDED OUTCOME_UNKNOWN at capture", "SUSPENDED OUTCOME_UNKNOWN at authorise"})
    CHECK_MESSAGE(endings.count(expected) == 1, expected);
}

TEST_CASE("every way of the transfer saga and of its child keeps every promise") {
  const auto child = explore::explore(example("transfer/accounts.debit.json"));
  CHECK(child.complete);
  CHECK(child.violations.empty());
  const auto found = explore::explore(example("transfer/transfers.cross-border.json"));
  CHECK(found.complete);
  CHECK(found.violations.empty());
  const auto endings = endings_of(found);
  for (const char* expected :
       {"COMPLETED", "FAILED SANCTIONS_HIT at stopOnHit", "FAILED NOT_APPROVED at approval/refused",
        "FAILED WAIT_TIMEOUT at approval/decision", "FAILED NETWORK_REJECTED at submit",
        "SUSPENDED CHILD_SUSPENDED at debit", "SUSPENDED COMPENSATION_FAILED at the undo of debit",
        "SUSPENDED OUTCOME_UNKNOWN at submit"})
    CHECK_MESSAGE(endings.count(expected) == 1, expected);
}

TEST_CASE("every way of the travel saga keeps every promise") {
  const auto found = explore::explore(example("travel/travel.book.json"));
  CHECK(found.assumptions.empty());
  for (const auto& ending : found.endings)
    CHECK_MESSAGE(ending.why.find("LIMIT_EXCEEDED") == std::string::npos, ending.why);
  CHECK(found.complete);
  CHECK(found.violations.empty());
  const auto endings = endings_of(found);
  for (const char* expected :
       {"COMPLETED", "FAILED CANCELLED or SAGA_TIMEOUT", "FAILED CARD_DECLINED at charge",
        "FAILED FLIGHT_FULL at reserve/flight/holdSeats[*]/holdSeat",
        "FAILED HOTEL_FULL at reserve/hotel/holdRoom",
        "FAILED HTTP_422 at reserve/car/holdCar/carFromB", "SUSPENDED OUTCOME_UNKNOWN at charge",
        "SUSPENDED COMPENSATION_FAILED at the undo of reserve/car/holdCar/carFromA"})
    CHECK_MESSAGE(endings.count(expected) == 1, expected);
}

}  // namespace
}  // namespace backstitch::test
