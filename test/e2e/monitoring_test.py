"""What a node says about its database from outside: the log, /readyz and /metrics."""
import json
import os
import re
import tempfile
import threading
import unittest

from support import World, harness, order


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="backstitch-monitoring-"))
        cls.log = os.path.join(cls.folder, "log")
        cls.world = World(serve_arguments=["--reactors", "2", "--log-format", "json"], log=cls.log).open()
        cls.addClassCleanup(cls.world.close)

    def metrics(self):
        """{name with labels: value}, each documented by a line of HELP and one of TYPE."""
        status, text, _ = self.world.server.api("GET", "/metrics")
        self.assertEqual(status, 200)
        return {name: float(value) for name, value in re.findall(r"(?m)^(backstitch_\S+) (\S+)$", text)}

    def await_metric(self, name, condition, seconds=40):
        harness.wait_until(lambda: name in (now := self.metrics()) and condition(now[name]), seconds, f"{name}")

    def notes(self, event):
        with open(self.log, encoding="utf-8") as log:
            return [note for note in (json.loads(line) for line in log if line.startswith("{")) if note["event"] == event]

    def reason(self):
        status, body, _ = self.world.server.api("GET", "/readyz")
        return body["detail"] if status == 503 else ""

    def test_the_metrics_tell_of_appends_the_lease_and_the_whole_database(self):
        saga = self.world.start("metrics")
        self.assertEqual(self.world.server.ended(saga)["status"], "COMPLETED")
        now = self.metrics()
        for name in ("append_duration_seconds", "append_batch_size"):
            buckets = [value for key, value in now.items() if key.startswith(f"backstitch_{name}_bucket")]
            self.assertEqual(buckets, sorted(buckets))
            self.assertEqual(buckets[-1], now[f"backstitch_{name}_count"])
            self.assertGreater(now[f"backstitch_{name}_count"], 3)
        self.assertGreater(now["backstitch_append_duration_seconds_sum"], 0)
        self.assertEqual(now["backstitch_append_batch_size_sum"], now["backstitch_appends_total"])
        self.assertEqual({k for k in now if k.startswith("backstitch_appends_waiting")},
                         {f'backstitch_appends_waiting{{lane="{lane}"}}'
                          for lane in ("reactor-0", "reactor-1", "keys-0", "keys-1", "blocked-keys")})
        self.assertLess(now["backstitch_lease_age_seconds"], 10)
        for name in ('reads_waiting{lane="reader"}', "database_reconnects_total", "append_read_backs_total"):
            self.assertIn(f"backstitch_{name}", now)
        for name in ('sagas{status="RUNNING"}', 'sagas{status="SUSPENDED"}', 'inbox_depth{kind="start"}', 'inbox_depth{kind="set-aside"}',
                     'inbox_oldest_seconds{kind="command"}', "suspended_oldest_seconds", "without_progress_oldest_seconds",
                     "retention_overdue", "retention_overdue_oldest_seconds"):
            self.await_metric(f"backstitch_{name}", lambda value: value >= 0)

    def test_every_metric_of_a_server_is_in_the_manual(self):
        _, text, _ = self.world.server.api("GET", "/metrics")
        names = set(re.findall(r"(?m)^# TYPE (backstitch_\S+) ", text))
        with open(os.path.join(harness.ROOT, "docs", "operating.md"), encoding="utf-8") as page:
            self.assertEqual(names - set(re.findall(r"`(backstitch_[a-z_]+)", page.read())), set())

    def test_a_missing_privilege_is_named_by_the_log_by_readyz_and_by_a_metric(self):
        self.world.postgres.query("revoke insert on backstitch.saga_log from backstitch")
        try:
            answer = threading.Thread(target=self.world.start, args=("privilege",))
            answer.start()
            harness.wait_until(lambda: "lacks a privilege in the database (SQLSTATE 42501)" in self.reason(), 20, "the reason")
            self.await_metric('backstitch_database_errors_total{class="42"}', lambda value: value >= 1)
            note = next(n for n in self.notes("database-error") if n["sqlstate"] == "42501")
            self.assertIn(note["lane"], ("reactor-0", "reactor-1", "keys-0", "keys-1"))
            self.assertRegex(note["statement"], "append")
            self.assertIn("saga_log", note["what"])
        finally:
            self.world.postgres.query("grant insert on backstitch.saga_log to backstitch")
        self.world.server.ready()
        answer.join()

    def test_while_the_database_is_away_its_figures_are_absent_and_the_reason_is_true(self):
        self.await_metric("backstitch_retention_overdue", lambda value: value >= 0)
        reconnects = self.metrics()["backstitch_database_reconnects_total"]
        self.world.postgres.kill()
        try:
            harness.wait_until(lambda: "cannot be reached" in self.reason(), 20, "the reason")
            harness.wait_until(lambda: "backstitch_retention_overdue" not in self.metrics(), 5, "the figures to go")
            now = self.metrics()
            self.assertIn("backstitch_lease_age_seconds", now)
            self.assertGreater(now['backstitch_database_errors_total{class="none"}'], 0)
        finally:
            self.world.postgres.start()
        self.world.server.ready(60)
        self.await_metric("backstitch_retention_overdue", lambda value: value >= 0)
        self.assertGreater(self.metrics()["backstitch_database_reconnects_total"], reconnects)
        self.assertTrue(any(n["statement"] == "connect" for n in self.notes("database-error")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
