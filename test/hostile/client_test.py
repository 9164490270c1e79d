"""A hostile client against the listener: it harms no one but itself, and probes are answered the whole time."""
import json
import os
import re
import sys
import unittest
from concurrent.futures import ThreadPoolExecutor

import client

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import harness  # noqa: E402

harness.end_on_signals()

# Sanitizers and a machine that does other things make everything slower.
SLOWNESS = 10 if os.environ.get("BACKSTITCH_SANITIZED") else 1
# Sanitizers keep freed memory in quarantine.
JUDGES_MEMORY = not os.environ.get("BACKSTITCH_SANITIZED")
MEGABYTE = 1024 * 1024
CONNECTIONS_MAX = 200
OTHER = "127.0.0.2"
# Probes come from an address that has nothing to do with the flood.
MONITOR = "127.0.0.3"

SLEEPER = {"dsl": 1, "name": "hostile.sleeper", "version": 1, "steps": [{"name": "s", "sleep": {"for": "60s"}}]}
ANY = {"dsl": 1, "name": "hostile.any", "version": 1, "input": {"type": "object"}, "steps": [{"name": "v", "value": 1}]}
KEEPER = {"dsl": 1, "name": "hostile.keeper", "version": 1,
          "input": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
          "steps": [{"name": f"v{i}", "value": "${input.text}"} for i in range(30)]}


def bomb(names=3700):
    """A definition whose findings would quote each name of a long list, again and again."""
    return json.dumps({
        "dsl": 1, "name": "hostile.bomb", "version": 1,
        "input": {"type": "object", "properties": {f"p{i:04d}" + "x" * 50: True for i in range(names)}},
        "steps": [{"name": "v", "value": ["${input.q}"] * 500}]}).encode()


def resident_megabytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) // 1024


def enter(part):
    part.__enter__()
    unittest.addModuleCleanup(part.__exit__, None, None, None)
    return part


def setUpModule():
    """One server for all: what one test does to it must not harm the next."""
    client.allow_many_sockets()
    postgres = enter(harness.Postgres(harness.POSTGRES_UNSYNCED))
    server = enter(harness.Server(postgres.url, arguments=[
        "--allow-unsafe", "fsync", "--connections-max", str(CONNECTIONS_MAX)]))
    for definition in (SLEEPER, ANY, KEEPER):
        server.register_text(json.dumps(definition))
    HostileClient.server, HostileClient.port = server, server.port


class HostileClient(unittest.TestCase):
    def setUp(self):
        self.memory = resident_megabytes(self.server.process.pid)

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        self.assertEqual(client.get(self.port, "/livez")[0], 200)

    def metric(self, name):
        text = client.get(self.port, "/metrics", MONITOR)[1].decode()
        return float(re.search("^" + re.escape(name) + r" (\S+)$", text, re.M)[1])

    def grown(self):
        return resident_megabytes(self.server.process.pid) - self.memory if JUDGES_MEMORY else 0

    def assert_undisturbed(self, monitor, seconds):
        self.assertEqual(monitor.failures, [])
        self.assertGreater(monitor.asked, 0)
        self.assertLess(monitor.worst, seconds * SLOWNESS * max(1, harness.machine_load()))

    def start(self, definition, **body):
        status, saga, _ = self.server.api("POST", "/v1/sagas", {"definition": definition, "input": {}, **body})
        self.assertEqual(status, 201, saga)
        return saga["id"]


class Connections(HostileClient):
    def test_silent_connections_shut_no_one_out(self):
        closed = self.metric('backstitch_http_connections_closed_total{reason="idle"}')
        with client.Monitor(self.port, MONITOR) as monitor, client.connections(self.port, 1000):
            for source in (client.HOST, OTHER):
                for path in ("/livez", "/readyz", "/v1/sagas"):
                    self.assertEqual(client.get(self.port, path, source)[0], 200)
            self.start("hostile.any")
        self.assert_undisturbed(monitor, 2)
        self.assertGreater(self.metric('backstitch_http_connections_closed_total{reason="idle"}'), closed + 800)

    def test_a_head_or_a_body_that_does_not_end_keeps_no_place(self):
        for data in (b"GET /v1/sagas HTT", client.head("POST", "/v1/sagas", length=100) + b"{"):
            with client.Monitor(self.port, MONITOR) as monitor, client.connections(self.port, 300, data):
                self.assertEqual(client.get(self.port, "/v1/sagas")[0], 200)
            self.assert_undisturbed(monitor, 2)

    def test_callers_that_wait_keep_their_connections_in_a_flood(self):
        with client.connections(self.port, 10, self.waiting(5, "caller")) as callers:
            harness.wait_until(lambda: self.sleepers("caller") == 10, 20, "the callers to wait")
            with client.connections(self.port, 300):
                for caller in callers:
                    self.assertTrue(caller.recv(100).startswith(b"HTTP/1.1 201"))

    def waiting(self, seconds, label):
        """A request whose caller waits for a saga that sleeps."""
        body = json.dumps({"definition": "hostile.sleeper", "input": {}, "labels": {"of": label}}).encode()
        return client.head("POST", f"/v1/sagas?wait={seconds}s", length=len(body)) + body

    def sleepers(self, label):
        return len(json.loads(client.get(self.port, f"/v1/sagas?label.of={label}&limit=500", MONITOR)[1])["sagas"])

    def test_an_address_whose_connections_are_all_busy_is_refused_and_others_and_probes_are_not(self):
        refused = 'backstitch_http_refusals_total{code="peer-connections-full"}'
        # More than it may have: those that come before an earlier one is busy take its place.
        half = CONNECTIONS_MAX // 2
        with client.connections(self.port, CONNECTIONS_MAX, self.waiting(60, "crowd")):
            harness.wait_until(lambda: self.sleepers("crowd") >= half, 20, "its callers to wait")
            status, answer = client.get(self.port, "/v1/sagas")
            self.assertEqual((status, json.loads(answer)["code"]), (503, "peer-connections-full"))
            for path in ("/livez", "/readyz"):
                self.assertEqual(client.get(self.port, path)[0], 200)
            with client.Monitor(self.port, MONITOR) as monitor, client.connections(self.port, 100):
                self.assertEqual(client.get(self.port, "/v1/sagas", OTHER)[0], 200)
            self.assert_undisturbed(monitor, 2)
        self.assertGreater(self.metric(refused), 0)
        harness.wait_until(lambda: client.get(self.port, "/v1/sagas")[0] == 200, 20, "the address to be served again")


class Work(HostileClient):
    def test_definitions_with_enormous_findings_stall_no_probe_and_fill_no_memory(self):
        text = bomb()
        request = client.head("POST", "/v1/definitions/validate", length=len(text)) + text
        with client.Monitor(self.port, MONITOR) as monitor:
            with client.connections(self.port, 24, request, receive_buffer=4096):
                answer = client.exchange(self.port, request.replace(b"Host:", b"Connection: close\r\nHost:", 1), OTHER, 60)
        self.assertLess(len(answer), 300_000)
        self.assertGreater(json.loads(answer.partition(b"\r\n\r\n")[2]).get("findingsMissing", 0), 0)
        self.assert_undisturbed(monitor, 1)
        self.assertLess(self.grown(), 300)

    def test_more_definitions_than_the_queue_takes_are_refused_at_once(self):
        text = bomb(names=200)
        request = client.head("POST", "/v1/definitions/validate", length=len(text)) + text
        with client.Monitor(self.port, MONITOR) as monitor:
            with client.connections(self.port, 75, request[:-1]) as some, \
                    client.connections(self.port, 75, request[:-1], source=OTHER) as others:
                for one in (*some, *others):
                    one.sendall(request[-1:])
                answers = [one.recv(12)[9:] for one in (*some, *others)]
        self.assertEqual(set(answers), {b"200", b"503"})
        self.assertGreaterEqual(self.metric('backstitch_http_refusals_total{code="work-queue-full"}'), answers.count(b"503"))
        self.assert_undisturbed(monitor, 1)

    def test_a_batch_is_refused_at_the_first_start_too_many(self):
        text = b'{"sagas":[' + b"{}," * (5 * MEGABYTE) + b"{}]}"
        request = client.head("POST", "/v1/sagas/batch", "Connection: close", length=len(text)) + text
        with client.Monitor(self.port, MONITOR) as monitor, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda i: client.exchange(self.port, request, f"127.0.0.{i}", 60), range(10, 14)))
        for answer in answers:
            self.assertIn(b'"code":"batch-size-invalid"', answer)
        self.assert_undisturbed(monitor, 1)
        self.assertLess(self.grown(), 300)

    def test_bodies_that_do_not_end_share_a_bound_of_memory(self):
        part = client.head("POST", "/v1/sagas/batch", length=15 * MEGABYTE) + b" " * (14 * MEGABYTE)
        with client.Monitor(self.port, MONITOR) as monitor:
            with client.connections(self.port, 15, part), client.connections(self.port, 15, part, source=OTHER):
                self.start("hostile.any")
                self.assertLess(self.grown(), 250)
        self.assert_undisturbed(monitor, 2)
        self.assertGreater(self.metric('backstitch_http_connections_closed_total{reason="slow"}'), 0)


class Pages(HostileClient):
    def walk(self, path, items, cursor):
        """All items of a list, page by page."""
        seen, position = [], None
        while True:
            suffix = "" if position is None else f"&{'after' if cursor == 'next' else cursor}={position}"
            status, text = client.get(self.port, path + suffix)
            self.assertEqual(status, 200, text[:300])
            self.assertLess(len(text), MEGABYTE + 512 * 1024)
            page = json.loads(text)
            self.assertGreater(len(page[items]), 0)
            seen += page[items]
            position = page[cursor]
            if position is None:
                return seen

    def test_a_long_history_comes_in_pages_of_bounded_size_that_miss_nothing(self):
        saga = self.start("hostile.keeper", input={"text": "x" * 200_000})
        ended = self.server.ended(saga)
        events = self.walk(f"/v1/sagas/{saga}/history?limit=1000", "events", "next")
        self.assertEqual([e["sequence"] for e in events], list(range(1, len(events) + 1)))
        self.assertEqual((ended["status"], events[-1]["type"]), ("COMPLETED", "SagaEnded"))

    def test_a_list_of_sagas_with_large_labels_is_cut_and_misses_none(self):
        labels = {f"label-{i}": "x" * 1024 for i in range(16)}
        ids = [self.start("hostile.any", labels=labels) for _ in range(150)]
        seen = self.walk("/v1/sagas?definition=hostile.any&limit=500", "sagas", "cursor")
        self.assertEqual(sorted(set(ids) & {s["id"] for s in seen}), sorted(ids))
        self.assertEqual(len({s["id"] for s in seen}), len(seen))

    def test_slow_readers_hold_a_bounded_amount_of_memory(self):
        saga = self.start("hostile.keeper", input={"text": "x" * 200_000})
        self.server.ended(saga)
        request = client.head("GET", f"/v1/sagas/{saga}/history?limit=1000") * 4
        with client.Monitor(self.port, MONITOR) as monitor:
            with client.connections(self.port, 25, request, receive_buffer=4096), \
                    client.connections(self.port, 25, request, source=OTHER, receive_buffer=4096):
                self.assertEqual(client.get(self.port, "/v1/sagas?limit=1")[0], 200)
                self.assertLess(self.grown(), 250)
        self.assert_undisturbed(monitor, 2)


class Framing(HostileClient):
    def test_no_body_is_taken_for_a_second_request(self):
        hidden = b"GET /v1/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
        for name, fields, body, statuses in (
                ("identity", ["Transfer-Encoding: identity"], hidden, [501]),
                ("an unknown encoding", ["Transfer-Encoding: xchunked"], hidden, [501]),
                ("chunked that is not alone", ["Transfer-Encoding: gzip, chunked"], chunked, [501]),
                ("chunked twice", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], chunked, [400, 501]),
                ("chunked with a parameter", ["Transfer-Encoding: chunked;q=1"], chunked, [400, 501]),
                ("chunked and a length", ["Transfer-Encoding: chunked", "Content-Length: 3"], chunked, [400]),
                ("a length and chunked", ["Content-Length: 3", "Transfer-Encoding: chunked"], chunked, [400]),
                ("two lengths", ["Content-Length: 3", f"Content-Length: {len(hidden)}"], hidden, [400]),
                ("two lengths in one", [f"Content-Length: 3, {len(hidden)}"], hidden, [400]),
                ("a negative length", ["Content-Length: -1"], hidden, [400]),
                ("a signed length", [f"Content-Length: +{len(hidden)}"], hidden, [400]),
                ("a space before the colon", [f"Content-Length : {len(hidden)}"], hidden, [400]),
                ("a control character", ["Transfer-Encoding: \x0bchunked"], chunked, [400, 501])):
            for method in ("POST", "GET"):
                with self.subTest(name, method=method):
                    request = client.head(method, "/v1/sagas/batch", "Content-Type: application/json", *fields) + body
                    answer = client.exchange(self.port, request)
                    self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
                    self.assertIn(int(answer[9:12]), statuses, answer)
                    self.assertNotIn(b"hidden", answer)

    def test_one_host_and_one_idempotency_key_are_taken(self):
        for lines, status, code in (
                (["Host: localhost", "Host: localhost"], 400, b"host-invalid"),
                ([], 400, b"host-invalid"),
                (["Host: evil.test"], 421, b"host-refused"),
                (["Host: localhost", "Idempotency-Key: a", "Idempotency-Key: a"], 400, b"idempotency-key-invalid")):
            request = "\r\n".join(["GET /v1/sagas HTTP/1.1", "Connection: close", *lines, "", ""]).encode()
            answer = client.exchange(self.port, request)
            self.assertEqual(int(answer[9:12]), status, answer)
            self.assertIn(b'"code":"' + code + b'"', answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
