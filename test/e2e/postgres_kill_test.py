"""PostgreSQL is killed under load: no answered start is lost, and the server comes back by itself."""
import threading
import unittest

from support import World, harness, order


class PostgresKill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(durable=True).open()
        cls.addClassCleanup(cls.world.close)

    def load(self, answered, stopping, worker):
        """Starts sagas until told to stop; a start without an answer is repeated under its key."""
        number = 0
        while not stopping.is_set():
            number += 1
            name = f"{self._testMethodName}-{worker}-{number}"
            while not stopping.is_set():
                try:
                    status, body, _ = self.world.server.start_saga("orders.place", order(name[-30:]), key=name)
                except OSError:
                    continue
                if status in (200, 201):
                    answered.append(body["id"])
                    break
                if status != 503:
                    self.fail(f"a start was answered {status}: {body}")
                stopping.wait(0.05)

    def test_no_answered_start_is_lost_when_postgres_is_killed(self):
        for _ in range(2):
            answered, stopping = [], threading.Event()
            workers = [threading.Thread(target=self.load, args=(answered, stopping, f"{id(answered)}-{w}"))
                       for w in range(6)]
            for worker in workers:
                worker.start()
            try:
                harness.wait_until(lambda: len(answered) > 30, 30, "some load")
                self.world.postgres.kill()
                harness.wait_until(lambda: self.world.server.api("GET", "/readyz")[0] == 503, 20, "the server not ready")
                self.world.postgres.start()
                self.world.server.ready(60)
                before = len(answered)
                harness.wait_until(lambda: len(answered) > before + 30, 30, "load to go on")
            finally:
                stopping.set()
                for worker in workers:
                    worker.join()
            self.assertEqual(len(answered), len(set(answered)))
            for saga in answered:
                self.assertEqual(self.world.server.ended(saga, 60)["status"], "COMPLETED")
            self.assertEqual(self.world.participants.violations(), [])
            self.assertEqual(self.world.postgres.query(
                "select count(*) from (select saga_id, count(*) n, max(sequence) m from backstitch.saga_log "
                "group by saga_id) l where n <> m"), "0")

    def test_while_postgres_is_away_starts_are_503_with_retry_after(self):
        self.world.postgres.kill()
        try:
            harness.wait_until(lambda: self.world.server.api("GET", "/readyz")[0] == 503, 20, "the server not ready")
            status, body, headers = self.world.server.start_saga("orders.place", order("away"))
            self.assertEqual(status, 503, body)
            self.assertIn("Retry-After", headers)
            self.assertEqual(self.world.server.api("GET", "/livez")[0], 200)
        finally:
            self.world.postgres.start()
        self.world.server.ready(60)
        status, body, _ = self.world.server.start_saga("orders.place", order("back"), wait="30s")
        self.assertEqual((status, body["status"]), (201, "COMPLETED"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
