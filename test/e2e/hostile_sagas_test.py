"""Definitions and inputs that cost as much as they can: the node answers, keeps its leases and goes on with other sagas."""
import json
import tempfile
import threading
import time
import unittest

from support import UNSYNCED_ARGUMENTS, harness

LOOP = {"dsl": 1, "name": "t.loop", "version": 1,
        "input": {"type": "object", "required": ["few", "text", "list"],
                  "properties": {"text": {"type": "string"}, "few": {"type": "array", "items": {"type": "integer"}},
                                 "list": {"type": "array", "items": {"type": "integer"}}}},
        "steps": [{"name": "l", "forEach": {"in": "${input.list}", "as": "it", "maxItems": 10000, "steps": [
            {"name": "v", "value": "${ input.few.map(x, len(parseJson(input.text))).sum(q, q) }"}]}}]}
SECRETS = {"dsl": 1, "name": "t.secrets", "version": 1,
           "input": {"type": "object", "required": ["secrets", "text"],
                     "properties": {"secrets": {"type": "array", "x-sensitive": True, "items": {"type": "string"}},
                                    "text": {"type": "string"}}},
           "steps": [{"name": f"v{i}", "value": "${input.text}"} for i in range(20)] + [{"name": "z", "sleep": {"for": "1s"}}],
           "output": "${steps.v1.output}"}
ANSWER_MAX = 5  # seconds; on an idle machine it is a tenth of one


def object_text(members):
    return json.dumps({f"k{i:04}": 0 for i in range(members)})


def loop_input(items, times, members):
    return {"list": list(range(items)), "few": [1] * times, "text": object_text(members)}


class Probes:
    """Asks for /livez again and again; the longest it had to wait."""

    def __init__(self, server):
        self.server, self.longest, self.over = server, 0.0, threading.Event()

    def __enter__(self):
        self.threads = [threading.Thread(target=self.probe) for _ in range(4)]
        for thread in self.threads:
            thread.start()
        return self

    def probe(self):
        while not self.over.wait(0.1):
            began = time.monotonic()
            try:
                self.server.api("GET", "/livez", timeout=30)
            except OSError:
                pass  # it has waited for that long
            self.longest = max(self.longest, time.monotonic() - began)

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


class HostileSagas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.enterClassContext(cls.postgres)
        log = tempfile.NamedTemporaryFile(suffix=".log")
        cls.addClassCleanup(log.close)
        cls.server = harness.Server(cls.postgres.url, arguments=UNSYNCED_ARGUMENTS, log=log.name)
        cls.enterClassContext(cls.server)
        for definition in (LOOP, SECRETS):
            cls.server.register_text(json.dumps(definition))

    def metric(self, name):
        text = self.server.api("GET", "/metrics")[1]
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))

    def check_lease(self):
        with open(self.server.log, encoding="utf-8") as log:
            self.assertNotRegex(log.read(), "lease-not-renewed|reactor-stalled")

    def test_a_loop_of_costly_expressions_is_done_in_pieces(self):
        with Probes(self.server) as probes:
            status, body, _ = self.server.start_saga("t.loop", loop_input(300, 3, 3000), wait="60s")
        self.assertEqual((status, body["status"]), (201, "COMPLETED"), body.get("failure"))
        self.assertGreater(self.metric("backstitch_transitions_cut_total"), 3)
        self.assertLess(probes.longest, ANSWER_MAX)
        self.check_lease()

    def test_an_expression_that_costs_more_than_it_may_fails_its_step(self):
        with Probes(self.server) as probes:
            status, body, _ = self.server.start_saga("t.loop", loop_input(60, 100, 8000), wait="60s")
        self.assertEqual((status, body["status"]), (201, "FAILED"))
        self.assertEqual(body["failure"]["code"], "EXPRESSION_FAILED")
        self.assertIn("evaluation steps", body["failure"]["message"])
        self.assertLess(probes.longest, ANSWER_MAX)
        self.check_lease()

    def test_a_costly_loop_started_by_sql_keeps_no_node_from_its_work(self):
        saga_input = json.dumps(loop_input(300, 3, 3000))
        with Probes(self.server) as probes:
            saga = self.postgres.query(f"select backstitch.start_saga('t.loop', '{saga_input}'::jsonb)").strip()
            harness.wait_until(lambda: self.server.saga(saga)["status"] == "COMPLETED", 60, "the end of the saga")
        self.assertLess(probes.longest, ANSWER_MAX)
        self.check_lease()

    def test_many_sensitive_values_are_hidden_in_one_pass(self):
        secrets = [f"aaaa{i:05}" for i in range(15000)]
        with Probes(self.server) as probes:
            status, body, _ = self.server.start_saga("t.secrets", {"secrets": secrets, "text": "a" * 60000}, wait="60s")
            self.assertEqual((status, body["status"]), (201, "COMPLETED"))
            self.assertEqual(body["input"]["secrets"], "***")
            history = self.server.api("GET", f"/v1/sagas/{body['id']}/history")[1]
        self.assertNotIn("aaaa00001", json.dumps(history))
        self.assertLess(probes.longest, ANSWER_MAX)
        self.check_lease()


if __name__ == "__main__":
    unittest.main()
