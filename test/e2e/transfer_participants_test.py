"""The participants of the transfer saga, as the real program on free ports, without an engine."""
import unittest

from participants import Listener, OneProgram, Promises

HOLD, ENTRY = "PUT /holds/s1", "PUT /entries/s1"


class KeysAndUndo(Promises, OneProgram):
    EXAMPLE = "transfer"
    ENDPOINTS = [
        ("task-inbox", "PUT /tasks/s1", "DELETE /tasks/s1"),
        ("ledger", HOLD, "DELETE /holds/s1"),
    ]
    FINAL = [("task-inbox", "PUT /incidents/s1"), ("ledger", "PUT /settlements/x-1"), ("mail", "POST /messages")]
    BODIES = {HOLD: {"account": "acme", "amountCents": 100}}

    def test_screening_goes_by_the_names_and_leaves_no_record(self):
        cases = [("acme", "globex", False, "low"), ("acme", "sanctioned-bank", True, "high"),
                 ("sanctioned%20me", "globex", True, "high"), ("acme", "risky-bank", False, "high")]
        for payer, payee, hit, risk in cases:
            with self.subTest(payer=payer, payee=payee):
                answer = self.all.call("compliance", f"GET /screening?payer={payer}&payee={payee}")
                self.assertEqual(answer, (200, {"hit": hit, "risk": risk}))
        self.assertEqual(self.all.ledger(), [])

    def test_funds_that_are_not_there_are_not_held(self):
        for body, answer in [({"amountCents": 500_000_001}, (409, {"error": "INSUFFICIENT_FUNDS"})),
                             ({"amountCents": "1"}, (400, {"error": "AMOUNT_MISSING"})),
                             (None, (400, {"error": "AMOUNT_MISSING"}))]:
            with self.subTest(body):
                self.forget()
                self.assertEqual(self.all.act("ledger", HOLD, "k", body=body), answer)
                self.assertEqual(self.all.outcomes(), ["refused"])

    def test_an_entry_needs_a_hold_that_stands(self):
        body = {"hold": "s1", "text": "x-1"}
        self.assertEqual(self.all.act("ledger", ENTRY, "e1", body=body), (409, {"error": "NO_HOLD"}))
        self.all.act("ledger", HOLD, "h", body=self.BODIES[HOLD])
        booked = self.all.act("ledger", ENTRY, "e2", body=body)
        self.assertEqual((booked[0], sorted(booked[1])), (200, ["bookedAt", "entryId"]))
        self.assertEqual(self.all.act("ledger", ENTRY, "e2", body=body), booked)
        self.all.undo("ledger", "DELETE /holds/s1", "h")
        self.assertEqual(self.all.act("ledger", ENTRY, "e3", body=body)[0], 409)

    def test_an_entry_and_its_hold_are_undone_last_first(self):
        def debit():
            self.forget()
            self.all.act("ledger", HOLD, "h", body=self.BODIES[HOLD])
            self.all.act("ledger", ENTRY, "e", body={"hold": "s1"})
        undos = [("PUT /entries/s1/reversal", "e"), ("DELETE /holds/s1", "h")]
        for order, codes in [(undos, []), (undos[::-1], ["undone-out-of-order"])]:
            debit()
            for request, key in order:
                self.assertEqual(self.all.undo("ledger", request, key)[0], 200)
            self.assertEqual(self.all.codes(), codes)

    def test_each_service_refuses_in_its_own_words(self):
        cases = [("ledger", HOLD, (409, {"error": "INSUFFICIENT_FUNDS"})),
                 ("payment-network", "POST /messages", (422, {"state": "REJECTED"})),
                 ("compliance", "GET /screening", (200, {"hit": True, "risk": "high"}))]
        for service, action, answer in cases:
            with self.subTest(service):
                self.all.fault(service=service, mode="refuse")
                self.assertEqual(self.all.act(service, action, service), answer)


class Network(OneProgram):
    EXAMPLE = "transfer"
    ARGUMENTS = ("--decide-after", "50")

    def setUp(self):
        super().setUp()
        self.listener = Listener()
        self.addCleanup(self.listener.stop)

    def submit(self, key="k"):
        return self.all.act("payment-network", "POST /messages", key, body={"id": key}, callback=self.listener.url)

    def probe(self, key="k"):
        return self.all.act("payment-network", f"GET /messages/{key}", "p", phase="probe")

    def told(self):
        self.wait_until(lambda: "notified" in self.all.outcomes())
        return self.listener.bodies()

    def test_a_message_is_queued_then_acknowledged(self):
        self.assertEqual(self.submit(), (202, {"id": "k", "state": "QUEUED"}))
        accepted, = self.told()
        self.assertEqual((accepted["state"], sorted(accepted)), ("ACCEPTED", ["id", "ref", "state"]))
        self.assertEqual(self.probe(), (200, accepted))
        self.assertEqual(self.submit(), (200, accepted))
        self.assertEqual(self.all.outcomes(),
                         ["accepted", "captured", "notified", "probed", "replayed"])

    def test_a_message_may_be_rejected_later(self):
        self.all.fault(service="payment-network", phase="callback", mode="refuse")
        self.submit()
        self.assertEqual(self.told(), [{"state": "REJECTED"}])
        self.assertEqual(self.probe(), (422, {"state": "REJECTED"}))
        self.assertEqual(self.submit(), (422, {"state": "REJECTED"}))

    def test_a_message_that_was_not_seen_may_still_arrive(self):
        self.assertEqual(self.probe(), (404, {"error": "NEVER_ARRIVED"}))
        self.assertEqual(self.submit()[0], 202)
        self.assertEqual(self.told()[0]["state"], "ACCEPTED")
        self.assertEqual(self.all.outcomes(), ["unseen", "accepted", "captured", "notified"])


class QueuedMessages(OneProgram):
    EXAMPLE = "transfer"
    ARGUMENTS = ("--decide-after", "60000")

    def test_a_queued_message_is_queued_to_whoever_asks(self):
        queued = {"id": "k", "state": "QUEUED"}
        for request, status in [("POST /messages", 202), ("POST /messages", 202), ("GET /messages/k", 200)]:
            self.assertEqual(self.all.act("payment-network", request, "k"), (status, queued))
        self.assertEqual(self.all.outcomes(), ["accepted", "replayed", "replayed"])


if __name__ == "__main__":
    unittest.main()
