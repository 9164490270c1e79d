"""The order saga through success, every refusal, and a lost answer at every call."""
import unittest

from support import World, harness, step

# step, the service it calls, how its refusal is spelled, and what is undone then, last first
REFUSALS = [
    ("createOrder", "orders", 409, "HTTP_409", []),
    ("reserveStock", "inventory", 409, "OUT_OF_STOCK", ["createOrder"]),
    ("redeemCoupon", "orders", 404, "COUPON_INVALID", ["reserveStock", "createOrder"]),
    ("authorise", "payments", 402, "CARD_DECLINED", ["redeemCoupon", "reserveStock", "createOrder"]),
    ("capture", "payments", 410, "AUTHORISATION_EXPIRED", ["authorise", "redeemCoupon", "reserveStock", "createOrder"]),
]
CALLS = ["createOrder", "reserveStock", "redeemCoupon", "authorise", "capture", "confirmOrder", "ship"]


class OrderSaga(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.world.participants.clear()

    def tearDown(self):
        self.assertEqual(self.world.participants.violations(), [])

    def test_an_order_completes_with_the_output_the_definition_describes(self):
        saga = self.world.server.ended(self.world.start("ok"))
        self.assertEqual(saga["status"], "COMPLETED")
        self.assertEqual(saga["output"]["orderId"], "o-ok")
        self.assertTrue(saga["pivotPassed"])
        self.assertEqual([s["status"] for s in saga["steps"] if s["name"] in CALLS], ["succeeded"] * len(CALLS))

    def test_a_step_whose_condition_is_false_is_skipped(self):
        changes = {"coupon": None}
        saga_input = {k: v for k, v in {**__import__("support").order("skip"), **changes}.items() if v is not None}
        status, body, _ = self.world.server.start_saga("orders.place", saga_input)
        self.assertEqual(status, 201, body)
        saga = self.world.server.ended(body["id"])
        self.assertEqual(saga["status"], "COMPLETED")
        self.assertEqual(step(saga, "redeemCoupon")["status"], "skipped")

    def test_a_refusal_at_each_step_undoes_what_was_done_before_in_mirror_order(self):
        for name, service, status, code, undone in REFUSALS:
            with self.subTest(step=name):
                self.world.fault(service=service, step=name, phase="forward", mode="refuse", status=status, times=1)
                saga = self.world.server.ended(self.world.start(f"refuse-{name}"))
                self.assertEqual(saga["status"], "FAILED")
                self.assertEqual(saga["failure"]["code"], code)
                self.assertEqual(saga["failure"]["step"], name)
                self.assertEqual(step(saga, name)["status"], "failed")
                self.assertEqual(self.world.effects(saga["id"])[1], undone)

    def test_the_customer_is_told_when_an_order_fails(self):
        self.world.fault(service="payments", step="authorise", phase="forward", mode="refuse", status=402, times=1)
        saga = self.world.server.ended(self.world.start("told"))
        mails = [e for e in self.world.participants.ledger(saga["id"]) if e["service"] == "mail"]
        self.assertEqual(len(mails), 1, mails)

    def test_one_lost_answer_at_each_call_is_found_again_with_the_same_key(self):
        for mode in ("drop-after", "error-after"):
            sagas = []
            for name in CALLS:
                saga = self.world.start(f"{mode}-{name}")
                sagas.append((name, saga))
            self.world.participants.clear()
            for name in CALLS:
                with self.subTest(mode=mode, step=name):
                    self.world.fault(step=name, service=self.service_of(name), phase="forward", mode=mode, times=1)
                    saga = self.world.server.ended(self.world.start(f"lost-{mode}-{name}"))
                    self.assertEqual(saga["status"], "COMPLETED")
                    self.assertEqual(step(saga, name)["attempts"], 2)
                    done, _ = self.world.effects(saga["id"])
                    self.assertEqual(done.count(name), 1)
            for _, saga in sagas:
                self.assertEqual(self.world.server.ended(saga)["status"], "COMPLETED")

    def test_a_complete_answer_is_done_although_nobody_can_read_its_body(self):
        for name in CALLS:
            with self.subTest(step=name):
                self.world.fault(step=name, service=self.service_of(name), phase="forward", mode="garbage", times=1)
                saga = self.world.server.ended(self.world.start(f"garbage-{name}"))
                self.assertEqual(saga["status"], "COMPLETED")
                # Its rule takes no answer for a success that lacks the id.
                self.assertEqual(step(saga, name)["attempts"], 2 if name == "authorise" else 1)
                self.assertEqual(self.world.effects(saga["id"])[0].count(name), 1)

    @staticmethod
    def service_of(name):
        return {"reserveStock": "inventory", "authorise": "payments", "capture": "payments", "ship": "shipping"}.get(
            name, "orders")

    def test_a_payment_that_stays_unknown_is_settled_by_the_probe(self):
        self.world.fault(service="payments", step="authorise", phase="forward", mode="drop-after", times=5)
        saga = self.world.server.ended(self.world.start("probed"))
        self.assertEqual(saga["status"], "COMPLETED")
        self.assertEqual(step(saga, "authorise")["attempts"], 5)
        self.assertTrue(any(e["effect"] == "probed" for e in self.world.participants.ledger(saga["id"])))

    def test_a_payment_that_never_arrived_is_known_not_done_after_the_sealed_probe(self):
        self.world.fault(service="payments", step="authorise", phase="forward", mode="refuse", status=500, times=5,
                         remember=False)
        saga = self.world.server.ended(self.world.start("sealed"))
        self.assertEqual(saga["status"], "FAILED")
        self.assertEqual(step(saga, "authorise")["status"], "failed")
        self.assertEqual(self.world.effects(saga["id"])[1], ["redeemCoupon", "reserveStock", "createOrder"])

    def test_an_unknown_step_without_a_probe_is_undone_by_its_key(self):
        self.world.fault(service="inventory", step="reserveStock", phase="forward", mode="drop-after", times=4)
        saga = self.world.server.ended(self.world.start("by-key"))
        self.assertEqual(saga["status"], "FAILED")
        self.assertEqual(self.world.effects(saga["id"])[1], ["reserveStock", "createOrder"])

    def test_a_failing_undo_is_tried_again_until_it_works(self):
        self.world.fault(service="payments", step="authorise", phase="forward", mode="refuse", status=402, times=1)
        self.world.fault(service="inventory", step="reserveStock", phase="compensate", mode="error-before", times=2)
        saga = self.world.server.ended(self.world.start("undo-flaky"))
        self.assertEqual(saga["status"], "FAILED")
        self.assertEqual(step(saga, "reserveStock")["compensation"]["attempts"], 3)

    def test_a_cancelled_order_is_undone(self):
        self.world.fault(service="payments", step="authorise", phase="forward", mode="delay", delayMs=1500, times=1)
        saga = self.world.start("cancel")
        harness.wait_until(lambda: step(self.world.server.saga(saga), "authorise")["status"] == "running", 20, "authorise")
        status, body, _ = self.world.server.api("POST", f"/v1/sagas/{saga}/cancel", {"reason": "changed their mind"})
        self.assertEqual(status, 200, body)
        ended = self.world.server.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"]), ("FAILED", "CANCELLED"))
        self.assertEqual(self.world.effects(saga)[1], ["authorise", "redeemCoupon", "reserveStock", "createOrder"])

    def test_an_order_past_its_pivot_cannot_be_cancelled(self):
        self.world.fault(service="shipping", step="ship", phase="forward", mode="delay", delayMs=1500, times=1)
        saga = self.world.start("too-late")
        harness.wait_until(lambda: step(self.world.server.saga(saga), "ship")["status"] == "running", 20, "ship")
        status, body, _ = self.world.server.api("POST", f"/v1/sagas/{saga}/cancel", {})
        self.assertEqual((status, body["code"]), (409, "pivot-passed"))
        self.assertEqual(self.world.server.ended(saga)["status"], "COMPLETED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
