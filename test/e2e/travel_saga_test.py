"""The travel saga through success, every refusal, and a lost answer at every call."""
import unittest

from example_sagas import Call, ExampleSagas, definition, effects, label, steps_of, undo_keys
from support import step

SEATS = Call("holdSeat", "air-gds", "/holds/", "/holds/")
ROOM = Call("holdRoom", "hotels", "/bookings", "/bookings/")
CAR_A = Call("carFromA", "cars-primary", "/rentals/", "/rentals/")
CAR_B = Call("carFromB", "cars-backup", "/rentals/", "/rentals/")
CHARGE = Call("charge", "billing", "/charges")
TICKET = Call("issueTicket", "air-gds", "/tickets/")
CONFIRMATIONS = [TICKET, Call("confirmRoom", "hotels", "/bookings/bk-"),
                 Call("confirmCarA", "cars-primary", "/rentals/")]

HELD = ["air-gds holds", "air-gds holds", "hotels bookings"]
TICKETED = ["billing charges", "air-gds tickets", "air-gds tickets", "hotels bookings confirmation"]
WITH_CAR_A = HELD + TICKETED + ["cars-primary rentals", "cars-primary rentals confirmation"]
WITH_CAR_B = HELD + TICKETED + ["cars-backup rentals", "cars-backup rentals confirmation"]
LOSSES = ("drop-before", "drop-after")
ATTEMPTS = 3  # of the policy `quick`


class TravelSaga(ExampleSagas):
    EXAMPLE, NAME = "travel", "travel.book"

    @classmethod
    def definitions(cls):
        book = definition("travel", "travel.book")
        book["retryPolicies"]["quick"].update(delay="20ms", maxDelay="100ms")
        book["defaults"]["compensation"]["retry"].update(delay="200ms", maxDelay="500ms")
        steps_of(book)["holdRoom"]["completion"]["poll"]["every"] = "1s"
        return [book]

    def saga_input(self, number, **changes):
        trip = {"tripId": f"t-{number}", "travellers": [{"id": "ada", "name": "Ada"}, {"id": "bob", "name": "Bob"}],
                "flight": {"offerId": "LH-400"}, "hotel": {"hotelId": "seaview", "nights": 2},
                "car": {"class": "compact"}, "card": "tok-visa-4242", **changes}
        return {name: value for name, value in trip.items() if value is not None}

    def lose_confirmation(self, call, mode):
        self.fresh()
        # Holding and confirming a car begin with the same path.
        more = {} if call is TICKET else {"match": "/confirmation"}
        self.fault(call, mode, **more)

    # Success

    def test_a_trip_is_held_charged_and_ticketed(self):
        saga = self.run_saga()
        self.assert_completed(saga, WITH_CAR_A)
        self.assertEqual(saga["output"]["paidCents"], 2 * 18900 + 2 * 9000 + 4500)
        self.assertEqual(len(saga["output"]["tickets"]), 2)
        order = [label(e) for e in effects(self.ledger())]
        charge = order.index("billing charges")
        self.assertEqual(sorted(order[:charge]), sorted(HELD + ["cars-primary rentals"]))

    def test_a_trip_without_a_car_calls_no_car_supplier(self):
        saga = self.run_saga(car=None)
        self.assert_completed(saga, HELD + TICKETED)
        self.assertEqual(step(saga, "holdCar")["status"], "skipped")

    def test_a_booking_that_is_decided_without_telling_is_found_by_polling(self):
        self.world.fault(service="hotels", phase="callback", mode="drop-after")
        self.assert_completed(self.run_saga(), WITH_CAR_A)
        self.assert_fault_met()

    def test_a_booking_that_takes_its_time_is_waited_for(self):
        self.world.fault(service="hotels", phase="callback", mode="delay", delayMs=2500)
        self.assert_completed(self.run_saga(), WITH_CAR_A)
        self.assert_fault_met()

    # Refusals

    def test_a_full_flight_undoes_what_was_held(self):
        self.fault(SEATS, "refuse", match="-bob")
        self.assert_failed(self.run_saga(), "FLIGHT_FULL")
        self.assert_fault_met()

    def test_a_full_hotel_undoes_what_was_held_whether_it_says_so_at_once_or_later(self):
        for phase in ("forward", "callback"):
            with self.subTest(phase):
                self.fresh()
                self.world.fault(service="hotels", path="/bookings", phase=phase, mode="refuse")
                self.assert_failed(self.run_saga(), "HOTEL_FULL")
                self.assert_fault_met()

    def test_a_full_hotel_found_by_polling_undoes_what_was_held(self):
        self.world.fault(service="hotels", path="/bookings", phase="callback", mode="refuse", delayMs=500)
        self.assert_failed(self.run_saga(), "HOTEL_FULL")

    def test_the_second_supplier_is_taken_when_the_first_has_no_car(self):
        self.fault(CAR_A, "refuse")
        saga = self.run_saga()
        self.assert_completed(saga, WITH_CAR_B)
        self.assertEqual(saga["output"]["paidCents"], 2 * 18900 + 2 * 9000 + 5200)

    def test_no_car_at_either_supplier_undoes_what_was_held(self):
        self.fault(CAR_A, "refuse")
        self.fault(CAR_B, "refuse")
        self.assert_failed(self.run_saga())
        self.assert_fault_met()

    def test_a_declined_card_gives_everything_back(self):
        for refused, held in [((), "cars-primary rentals"), ((CAR_A,), "cars-backup rentals")]:
            with self.subTest(held):
                self.fresh()
                self.fault(CHARGE, "refuse")
                for call in refused:
                    self.fault(call, "refuse")
                saga = self.run_saga()
                self.assert_failed(saga, "CARD_DECLINED")
                self.assertEqual(sorted(label(e) for e in effects(self.ledger())), sorted(HELD + [held]))

    # Lost answers

    def test_one_lost_answer_before_the_charge_is_found_again_with_the_same_key(self):
        for call in (SEATS, ROOM, CAR_A, CHARGE):
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose(call, mode)
                    self.assert_completed(self.run_saga(), WITH_CAR_A)
                    self.assert_fault_met()

    def test_one_lost_answer_after_the_charge_is_found_again_with_the_same_key(self):
        for call in CONFIRMATIONS:
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose_confirmation(call, mode)
                    self.assert_completed(self.run_saga(), WITH_CAR_A)
                    self.assert_fault_met()

    def test_one_lost_answer_of_the_second_supplier_is_found_again_with_the_same_key(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(CAR_B, mode)
                self.fault(CAR_A, "refuse")
                self.assert_completed(self.run_saga(), WITH_CAR_B)
                self.assert_fault_met()

    def test_a_seat_or_a_room_that_stays_unknown_is_undone_by_its_key(self):
        for call in (SEATS, ROOM):
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose(call, mode, times=0 if call is SEATS else ATTEMPTS)
                    saga = self.run_saga()
                    if call is ROOM and saga["status"] == "COMPLETED":
                        # The hotel's own call may come before the attempts are used up: known then.
                        self.assertEqual(mode, "drop-after")
                        self.assert_completed(saga, WITH_CAR_A)
                    else:
                        self.assert_failed(saga)
                    self.assert_fault_met()

    def test_a_first_car_that_stays_unknown_is_undone_before_the_second_is_asked_for(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(CAR_A, mode, times=ATTEMPTS)
                self.assert_completed(self.run_saga(), WITH_CAR_B)
                entries = self.ledger()
                given_back = next(e["seq"] for e in entries
                                  if e["service"] == "cars-primary" and e["effect"] in ("undone", "noop-undo"))
                taken = next(e["seq"] for e in entries if label(e) == "cars-backup rentals" and e["effect"] == "done")
                self.assertLess(given_back, taken)

    def test_a_second_car_that_stays_unknown_is_undone_with_the_rest(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(CAR_B, mode, times=ATTEMPTS)
                self.fault(CAR_A, "refuse")
                self.assert_failed(self.run_saga())
                self.assert_fault_met()

    def test_a_charge_that_stays_unknown_is_settled_by_the_sealed_probe(self):
        self.lose(CHARGE, "drop-after", times=0)
        self.assert_completed(self.run_saga(), WITH_CAR_A)
        self.assertIn("probed", [e["effect"] for e in self.ledger()])
        self.lose(CHARGE, "drop-before", times=0)
        self.assert_failed(self.run_saga(), "NOT_CHARGED")
        self.assertIn("closed", [e["effect"] for e in self.ledger()])

    def test_a_lost_probe_asks_again(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(CHARGE, "drop-after", times=0)
                self.fault(CHARGE, mode, phase="probe")
                self.assert_completed(self.run_saga(), WITH_CAR_A)
                self.assert_fault_met()

    def test_a_lost_answer_to_an_undo_is_asked_for_again_and_undone_once(self):
        for call in (SEATS, ROOM, CAR_A):
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose(call, mode, phase="compensate")
                    self.fault(CHARGE, "refuse")
                    self.assert_failed(self.run_saga(), "CARD_DECLINED")
                    self.assertEqual(len(undo_keys(self.ledger())), 4)
                    self.assert_fault_met()

    def test_an_undo_of_the_second_supplier_survives_a_lost_answer(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(CAR_B, mode, phase="compensate")
                self.fault(CAR_A, "refuse")
                self.fault(CHARGE, "refuse")
                self.assert_failed(self.run_saga(), "CARD_DECLINED")
                self.assert_fault_met()


if __name__ == "__main__":
    unittest.main(verbosity=2)
