"""The engine is killed with SIGKILL inside branches, loops, waits, sub-sagas and their undo; every promise holds."""
import copy
import json
import unittest

from example_sagas import definition, steps_of
from support import World, harness, step

SHORT = {"maxAttempts": "unlimited", "delay": "200ms", "factor": 2, "maxDelay": "1s", "maxElapsed": "24h"}


class KillBlocks(unittest.TestCase):
    EXAMPLE = None

    @classmethod
    def setUpClass(cls):
        cls.world = World(durable=True, example=cls.EXAMPLE, definitions=[json.dumps(d) for d in cls.definitions()]).open()
        cls.addClassCleanup(cls.world.close)
        cls.number = 0

    def setUp(self):
        self.fresh()

    def fresh(self):
        self.world.participants.clear()
        self.world.participants.forget()

    def start(self, name, saga_input):
        status, body, _ = self.world.server.start_saga(name, saga_input)
        self.assertEqual(status, 201, body)
        return body["id"]

    def kill_when(self, saga, name, status):
        """Every fault is gone when the next engine begins."""
        harness.wait_until(lambda: any(s["name"] == name and s["status"] == status
                                       for s in self.world.server.saga(saga)["steps"]), 20, f"{name} to be {status}")
        self.world.server.kill()
        self.world.participants.clear()
        self.world.server.start()

    def holds(self, saga, status):
        ended = self.world.server.ended(saga, 60)
        self.assertEqual(ended["status"], status, ended["failure"])
        self.assertEqual(self.world.participants.violations(), [])
        return ended


class Travel(KillBlocks):
    EXAMPLE = "travel"

    @classmethod
    def definitions(cls):
        book = definition("travel", "travel.book")
        book["defaults"]["compensation"]["retry"] = SHORT
        steps_of(book)["holdRoom"]["completion"]["poll"]["every"] = "500ms"
        return [book]

    def trip(self):
        type(self).number += 1
        return self.start("travel.book", {
            "tripId": f"k-{self.number}", "travellers": [{"id": "ada", "name": "Ada"}, {"id": "bob", "name": "Bob"}],
            "flight": {"offerId": "LH-400"}, "hotel": {"hotelId": "seaview", "nights": 2}, "car": {"class": "compact"},
            "card": "tok-visa-4242"})

    def test_killed_inside_a_branch_a_loop_or_a_wait_the_trip_is_booked_once(self):
        for fault, name, status in (
                ({"service": "air-gds", "path": "/holds/"}, "holdSeat", "running"),
                ({"service": "cars-primary", "path": "/rentals/"}, "carFromA", "running"),
                ({"service": "hotels", "phase": "callback"}, "holdRoom", "waiting"),
                ({"service": "billing", "path": "/charges"}, "charge", "running"),
                ({"service": "air-gds", "path": "/tickets/"}, "issueTicket", "running")):
            with self.subTest(step=name):
                self.fresh()
                self.world.fault(**{"phase": "forward", "mode": "delay", "delayMs": 2500, "times": 1, **fault})
                saga = self.trip()
                self.kill_when(saga, name, status)
                self.holds(saga, "COMPLETED")

    def test_killed_while_branches_are_undone_everything_is_undone_once(self):
        for fault, name in (({"service": "air-gds", "path": "/holds/"}, "holdSeat"),
                            ({"service": "hotels", "path": "/bookings/"}, "holdRoom"),
                            ({"service": "cars-primary", "path": "/rentals/"}, "carFromA")):
            with self.subTest(undo=name):
                self.fresh()
                self.world.fault(service="billing", path="/charges", phase="forward", mode="refuse", times=1)
                self.world.fault(**{"phase": "compensate", "mode": "delay", "delayMs": 2500, "times": 1, **fault})
                saga = self.trip()
                self.kill_when(saga, name, "compensating")
                self.holds(saga, "FAILED")


class Transfer(KillBlocks):
    EXAMPLE = "transfer"

    @classmethod
    def definitions(cls):
        parent = definition("transfer", "transfers.cross-border")
        parent["defaults"] = {"compensation": {"retry": SHORT}}
        steps_of(parent)["decision"]["wait"].pop("allow")
        child = {**definition("transfer", "accounts.debit"), "defaults": copy.deepcopy(parent["defaults"])}
        return [child, parent]

    def transfer(self, amount=5000):
        type(self).number += 1
        return self.start("transfers.cross-border", {
            "transferId": f"k-{self.number}", "payer": "acme", "payee": "globex", "amountCents": amount,
            "valueDate": "2026-01-01T00:00:00Z"})

    def test_killed_while_its_child_runs_the_transfer_goes_through_once(self):
        for path in ("/holds/", "/entries/"):
            with self.subTest(path):
                self.fresh()
                self.world.fault(service="ledger", path=path, phase="forward", mode="delay", delayMs=2500, times=1)
                saga = self.transfer()
                self.kill_when(saga, "debit", "waiting")
                self.holds(saga, "COMPLETED")

    def test_killed_while_it_waits_for_a_decision_the_decision_still_counts(self):
        saga = self.transfer(amount=1_250_000)
        self.kill_when(saga, "decision", "waiting")
        status, body, _ = self.world.server.api("POST", f"/v1/sagas/{saga}/signals/decision", {"approved": True})
        self.assertEqual(status, 202, body)
        self.holds(saga, "COMPLETED")

    def test_killed_while_its_child_is_undone_everything_is_undone_once(self):
        for path in ("/holds/", "/entries/"):
            with self.subTest(path):
                self.fresh()
                self.world.fault(service="payment-network", path="/messages", phase="forward", mode="refuse", times=1)
                self.world.fault(service="ledger", path=path, phase="compensate", mode="delay", delayMs=2500, times=1)
                saga = self.transfer()
                self.kill_when(saga, "debit", "compensating")
                ended = self.holds(saga, "FAILED")
                self.assertEqual(step(ended, "debit")["status"], "compensated")

    def test_killed_while_it_waits_for_the_network_the_message_goes_out_once(self):
        self.world.fault(service="payment-network", phase="callback", mode="delay", delayMs=2500, times=1)
        saga = self.transfer()
        self.kill_when(saga, "submit", "waiting")
        self.holds(saga, "COMPLETED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
