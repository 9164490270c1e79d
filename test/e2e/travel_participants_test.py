"""The participants of the travel saga, as the real program on free ports, without an engine."""
import pathlib
import shutil
import tempfile
import unittest

from participants import Listener, OneProgram, Participants, Promises


class KeysAndUndo(Promises, OneProgram):
    EXAMPLE = "travel"
    ENDPOINTS = [
        ("air-gds", "PUT /holds/s1-ada", "DELETE /holds/s1-ada"),
        ("cars-primary", "PUT /rentals/s1", "DELETE /rentals/s1"),
        ("cars-backup", "PUT /rentals/s1", "DELETE /rentals/s1"),
    ]
    FINAL = [("billing", "POST /charges")]
    CAPTURES = [("billing", "POST /charges")]

    def test_what_is_confirmed_or_ticketed_must_be_held(self):
        cases = [
            ("air-gds", "PUT /holds/a", "DELETE /holds/a", "PUT /tickets/a", "NO_HOLD"),
            ("cars-primary", "PUT /rentals/a", "DELETE /rentals/a", "PUT /rentals/a/confirmation", "NO_RENTAL"),
            ("cars-backup", "PUT /rentals/a", "DELETE /rentals/a", "PUT /rentals/a/confirmation", "NO_RENTAL"),
        ]
        for service, hold, release, confirm, code in cases:
            with self.subTest(service):
                self.forget()
                self.assertEqual(self.all.act(service, confirm, "early"), (409, {"error": code}))
                self.all.act(service, hold, "hold")
                self.assertEqual(self.all.act(service, confirm, "confirm")[0], 200)
                self.all.undo(service, release, "hold")
                self.assertEqual(self.all.act(service, confirm, "late"), (409, {"error": code}))

    def test_each_service_refuses_in_its_own_words(self):
        cases = [("air-gds", "PUT /holds/a", 409, "FLIGHT_FULL"), ("hotels", "POST /bookings", 409, "HOTEL_FULL"),
                 ("cars-primary", "PUT /rentals/a", 409, "NO_CAR"), ("cars-backup", "PUT /rentals/a", 409, "NO_CAR"),
                 ("billing", "POST /charges", 402, "CARD_DECLINED")]
        for service, action, status, code in cases:
            with self.subTest(service):
                self.all.fault(service=service, mode="refuse")
                self.assertEqual(self.all.act(service, action, service), (status, {"error": code}))

    def test_a_charge_is_found_by_its_key_and_a_key_that_is_not_found_is_closed(self):
        _, charged = self.all.act("billing", "POST /charges", "k")
        self.assertEqual(self.all.act("billing", "GET /charges/by-key/k", "p"), (200, charged))
        self.assertEqual(self.all.act("billing", "GET /charges/by-key/new", "p"), (404, {"error": "NOT_SEEN"}))
        self.assertEqual(self.all.act("billing", "POST /charges", "new")[0], 409)
        self.assertEqual(self.all.outcomes(), ["captured", "probed", "closed", "refused"])


class Bookings(OneProgram):
    EXAMPLE = "travel"
    ARGUMENTS = ("--decide-after", "50")

    def setUp(self):
        super().setUp()
        self.listener = Listener()
        self.addCleanup(self.listener.stop)

    def book(self, key="k", **more):
        return self.all.act("hotels", "POST /bookings", key, body={"nights": 2}, callback=self.listener.url + "/c1", **more)

    def poll(self, key="k"):
        return self.all.act("hotels", f"GET /bookings/by-key/{key}", "poll", phase="probe")

    def notified(self):
        return "notified" in self.all.outcomes()

    def test_a_booking_is_accepted_then_decided_and_told(self):
        status, accepted = self.book()
        self.assertEqual((status, accepted["state"]), (202, "PENDING"))
        self.wait_until(self.notified)
        self.assertEqual(self.listener.received, [("/c1", {"id": accepted["id"], "priceCents": 18000, "state": "HELD"})])
        self.assertEqual(self.all.outcomes(), ["accepted", "done", "notified"])

    def test_the_decision_is_the_answer_to_whoever_asks_afterwards(self):
        self.book()
        self.wait_until(self.notified)
        held = self.listener.bodies()[0]
        self.assertEqual(self.poll(), (200, held))
        self.assertEqual(self.book(attempt=2), (200, held))
        self.assertEqual(self.all.outcomes(), ["accepted", "done", "notified", "probed", "replayed"])

    def test_a_decision_is_told_until_somebody_listens(self):
        self.listener.statuses += [503, 404]
        self.book()
        self.wait_until(self.notified)
        self.assertEqual([body["state"] for body in self.listener.bodies()], ["HELD"] * 3)
        self.assertEqual(self.all.outcomes(), ["accepted", "done", "notified"])

    def test_a_hotel_may_refuse_later(self):
        self.all.fault(service="hotels", phase="callback", mode="refuse")
        self.book()
        self.wait_until(self.notified)
        self.assertEqual(self.listener.bodies(), [{"state": "REFUSED"}])
        self.assertEqual(self.poll(), (200, {"state": "REFUSED"}))
        self.assertEqual(self.book(), (200, {"state": "REFUSED"}))
        self.assertEqual(self.all.outcomes()[:3], ["accepted", "refused", "notified"])

    def test_the_url_in_the_body_is_told_when_there_is_no_header(self):
        self.all.act("hotels", "POST /bookings", "k", body={"notify": self.listener.url + "/c2"})
        self.wait_until(self.notified)
        self.assertEqual([path for path, _ in self.listener.received], ["/c2"])

    def test_a_decision_that_nobody_is_told_is_found_by_polling(self):
        self.all.fault(service="hotels", phase="callback", mode="drop-after")
        self.book()
        self.wait_until(lambda: self.poll()[1]["state"] == "HELD")
        self.assertEqual(self.listener.received, [])

    def test_an_undo_before_the_decision_leaves_nothing(self):
        self.all.fault(service="hotels", phase="callback", mode="delay", delayMs=1000, times=2)
        self.book()
        self.assertEqual(self.all.undo("hotels", "DELETE /bookings/by-key/k", "k")[0], 200)
        self.book("after")
        self.wait_until(lambda: len(self.all.ledger()) == 5)
        self.assertEqual(self.all.outcomes(), ["accepted", "noop-undo", "accepted", "done", "notified"])
        self.assertEqual(self.book()[0], 409)

    def test_a_held_room_can_be_given_back_and_not_be_confirmed_then(self):
        booking = self.book()[1]["id"]
        confirm = f"PUT /bookings/{booking}/confirmation"
        self.wait_until(self.notified)
        self.assertEqual(self.all.act("hotels", confirm, "c1")[0], 200)
        self.all.undo("hotels", "DELETE /bookings/by-key/k", "k")
        self.assertEqual(self.all.act("hotels", confirm, "c2"), (409, {"error": "NO_BOOKING"}))

    def test_an_unknown_key_is_not_seen_and_stays_open(self):
        self.assertEqual(self.poll("new")[0], 404)
        self.assertEqual(self.book("new")[0], 202)
        self.assertEqual(self.all.outcomes()[:2], ["unseen", "accepted"])


class PendingBookings(OneProgram):
    EXAMPLE = "travel"
    ARGUMENTS = ("--decide-after", "60000")

    def test_a_pending_booking_is_pending_to_whoever_asks(self):
        first = self.all.act("hotels", "POST /bookings", "k")
        self.assertEqual(self.all.act("hotels", "POST /bookings", "k", attempt=2), first)
        poll = self.all.act("hotels", "GET /bookings/by-key/k", "p", phase="probe")
        self.assertEqual((first[0], poll), (202, (200, first[1])))
        self.assertEqual(self.all.outcomes(), ["accepted", "replayed", "replayed"])

    def test_a_pending_booking_cannot_be_confirmed(self):
        _, booking = self.all.act("hotels", "POST /bookings", "k")
        confirm = f"PUT /bookings/{booking['id']}/confirmation"
        self.assertEqual(self.all.act("hotels", confirm, "c"), (409, {"error": "NO_BOOKING"}))


class Restart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.file = pathlib.Path(folder, "ledger")
        self.listener = Listener()
        self.addCleanup(self.listener.stop)

    def run_program(self, delay):
        return Participants("--ledger", self.file, "--decide-after", str(delay), example="travel")

    def wait_for(self, participants, effect):
        OneProgram.wait_until(self, lambda: effect in participants.outcomes())

    def test_what_was_accepted_is_decided_after_a_restart(self):
        with self.run_program(60_000) as before:
            before.act("hotels", "POST /bookings", "k", callback=self.listener.url)
        with self.run_program(0) as after:
            self.wait_for(after, "notified")
            self.assertEqual(after.outcomes(), ["accepted", "done", "notified"])
        self.assertEqual([body["state"] for body in self.listener.bodies()], ["HELD"])

    def test_what_was_decided_and_not_told_is_told_after_a_restart(self):
        with self.run_program(0) as before:
            before.fault(service="hotels", phase="callback", mode="drop-after")
            before.act("hotels", "POST /bookings", "k", callback=self.listener.url)
            self.wait_for(before, "done")
        with self.run_program(60_000) as after:
            self.wait_for(after, "notified")
            self.assertEqual(after.outcomes(), ["accepted", "done", "notified"])

    def test_what_was_undone_before_its_decision_stays_undone_after_a_restart(self):
        with self.run_program(60_000) as before:
            before.act("hotels", "POST /bookings", "k", callback=self.listener.url)
            before.undo("hotels", "DELETE /bookings/by-key/k", "k")
        with self.run_program(0) as after:
            after.act("hotels", "POST /bookings", "k2", callback=self.listener.url)
            self.wait_for(after, "notified")
            self.assertEqual(after.outcomes(), ["accepted", "noop-undo", "accepted", "done", "notified"])

    def test_tickets_are_issued_for_what_was_held_before_a_restart(self):
        with self.run_program(0) as before:
            before.act("air-gds", "PUT /holds/a", "k")
        with self.run_program(0) as after:
            self.assertEqual(after.act("air-gds", "PUT /tickets/a", "t")[0], 200)


class Check(OneProgram):
    EXAMPLE = "travel"

    def hold(self, traveller):
        self.all.act("air-gds", f"PUT /holds/s1-{traveller}", traveller, step="holdSeat")

    def release(self, traveller):
        self.all.undo("air-gds", f"DELETE /holds/s1-{traveller}", traveller, step="holdSeat")

    def test_the_rounds_of_a_loop_are_one_step_with_an_effect_each(self):
        self.hold("ada")
        self.hold("charles")
        self.assertEqual(self.all.codes(), [])

    def test_what_was_held_at_once_may_be_given_back_in_any_order_but_all_of_it(self):
        self.hold("ada")
        self.hold("charles")
        self.release("ada")
        self.assertEqual(self.all.codes(), ["partly-undone"])
        self.release("charles")
        self.assertEqual(self.all.codes(), [])

    def test_the_first_car_may_be_given_back_alone_and_before_the_charge(self):
        self.hold("ada")
        self.all.act("cars-primary", "PUT /rentals/s1", "car")
        self.all.undo("cars-primary", "DELETE /rentals/s1", "car")
        self.all.act("billing", "POST /charges", "charge")
        self.assertEqual(self.all.codes(), [])

    def test_the_first_car_must_be_given_back_with_the_rest_and_never_after_the_charge(self):
        self.all.act("cars-primary", "PUT /rentals/s1", "car")
        self.hold("ada")
        self.release("ada")
        self.assertEqual(self.all.codes(), ["partly-undone"])
        self.forget()
        self.all.act("cars-primary", "PUT /rentals/s1", "car")
        self.all.act("billing", "POST /charges", "charge")
        self.all.undo("cars-primary", "DELETE /rentals/s1", "car")
        self.assertEqual(self.all.codes(), ["undone-after-capture"])


if __name__ == "__main__":
    unittest.main()
