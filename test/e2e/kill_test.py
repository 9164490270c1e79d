"""The engine is killed with SIGKILL at ten points of the order saga; afterwards every promise holds."""
import unittest

from support import World, harness, in_flight, step

# (name, fault that holds the saga at the point, step, status at the point, how it ends)
FORWARD = [(name, {"service": service, "match": match, "phase": "forward"}, name)
           for name, service, match in (
               ("createOrder", "orders", "/orders/"), ("reserveStock", "inventory", "/reservations/"),
               ("redeemCoupon", "orders", "/coupons/"), ("authorise", "payments", "/authorisations"),
               ("capture", "payments", "/capture"), ("confirmOrder", "orders", "/state"),
               ("ship", "shipping", "/shipments/"))]
BACKWARD = [("redeemCoupon", {"service": "orders", "match": "/coupons/", "phase": "compensate"}),
            ("reserveStock", {"service": "inventory", "match": "/reservations/", "phase": "compensate"}),
            ("createOrder", {"service": "orders", "match": "/reject", "phase": "compensate"})]


class Kill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(durable=True).open()
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.world.participants.clear()

    def kill_and_restart(self):
        self.world.server.kill()
        self.world.participants.clear()
        self.world.server.start()

    def holds(self, saga, status):
        ended = self.world.server.ended(saga, 60)
        self.assertEqual(ended["status"], status, ended)
        self.assertEqual(self.world.participants.violations(), [])
        return ended

    def test_killed_while_a_forward_call_is_in_flight_the_saga_completes_with_one_effect_a_step(self):
        for number, (name, fault, step_name) in enumerate(FORWARD):
            with self.subTest(step=name):
                self.world.fault(mode="delay", delayMs=3000, times=1, step=step_name, **fault)
                saga = self.world.start(f"kf{number}")
                harness.wait_until(lambda: in_flight(self.world, saga, name), 20, f"{name} to be in flight")
                self.kill_and_restart()
                ended = self.holds(saga, "COMPLETED")
                self.assertGreaterEqual(step(ended, name)["attempts"], 2)
                done, undone = self.world.effects(saga)
                self.assertEqual(len(done), len(set(done)), done)
                self.assertEqual(undone, [])

    def test_killed_while_an_undo_is_in_flight_everything_is_undone_once_in_mirror_order(self):
        for number, (name, fault) in enumerate(BACKWARD):
            with self.subTest(step=name):
                self.world.fault(service="payments", path="/authorisations", phase="forward", mode="refuse", status=402,
                                 step="authorise", times=1)
                self.world.fault(mode="delay", delayMs=3000, times=1, **fault)
                saga = self.world.start(f"kb{number}")
                harness.wait_until(lambda: in_flight(self.world, saga, name, "compensating"), 20,
                                   f"the undo of {name} to be in flight")
                self.kill_and_restart()
                self.holds(saga, "FAILED")
                done, undone = self.world.effects(saga)
                self.assertEqual(undone, ["redeemCoupon", "reserveStock", "createOrder"])

    def test_killed_with_many_sagas_at_every_stage_none_is_lost(self):
        sagas = [self.world.start(f"km{number}") for number in range(40)]
        self.kill_and_restart()
        for saga in sagas:
            self.assertEqual(self.world.server.ended(saga, 60)["status"], "COMPLETED")
        self.assertEqual(self.world.participants.violations(), [])

    def test_told_to_stop_the_server_drains_and_the_next_one_goes_on(self):
        self.world.fault(service="payments", step="authorise", mode="delay", delayMs=2000, times=1)
        saga = self.world.start("drain")
        harness.wait_until(lambda: in_flight(self.world, saga, "authorise"), 20, "authorise to be in flight")
        self.world.server.process.terminate()
        self.assertEqual(self.world.server.process.wait(30), 0)
        self.world.server.start()
        self.holds(saga, "COMPLETED")


if __name__ == "__main__":
    unittest.main(verbosity=2)
