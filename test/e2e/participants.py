"""The participants of an example as a process of a test's own, and what tests ask of them."""
import http.client
import http.server
import json
import os
import pathlib
import subprocess
import unittest
from urllib.parse import quote, urlsplit

from support import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BACKSTITCH_BUILD", ROOT / "build"))
DEADLINE_SECONDS = 10


def program_of(example):
    return (BUILD if BUILD.is_absolute() else ROOT / BUILD) / f"examples/{example}/{example}-participants"


class Participants:
    """One run of the program. Use as a context; the process ends with it, whatever happens."""

    def __init__(self, *arguments, example="order"):
        command = [program_of(example), "--port-base", "0", "--print-ports", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"{command[0]} did not start")
        self.urls = json.loads(line)
        self.any = next(iter(self.urls))

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def address(self, service):
        url = urlsplit(self.urls[service])
        return url.hostname, url.port

    def call(self, service, request, headers=None, body=None, timeout=DEADLINE_SECONDS):
        """(status, JSON body) of "METHOD /path"."""
        method, path = request.split(" ")
        connection = http.client.HTTPConnection(*self.address(service), timeout=timeout)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def act(self, service, request, key, saga="s1", step=None, phase="forward", attempt=1, callback=None, **more):
        # A probe has no key of its own: it names the action's.
        headers = {"Saga-Probes" if phase == "probe" else "Idempotency-Key": key, "Saga-Id": saga, "Saga-Step": step or key,
                   "Saga-Phase": phase, "Saga-Attempt": str(attempt)}
        if callback:
            headers["Saga-Callback"] = callback
        return self.call(service, request, headers, **more)

    def undo(self, service, request, key, saga="s1", step=None, **more):
        headers = {"Idempotency-Key": key + "-undo", "Saga-Compensates": key, "Saga-Id": saga,
                   "Saga-Step": step or key, "Saga-Phase": "compensate", "Saga-Attempt": "1"}
        return self.call(service, request, headers, **more)

    def ledger(self, saga=None):
        return self.call(self.any, "GET /ledger" + (f"?saga={saga}" if saga else ""))[1]

    def effects(self):
        return [(entry["service"], entry["effect"]) for entry in self.ledger()]

    def check(self):
        return self.call(self.any, "GET /ledger/check")[1]

    def codes(self):
        return sorted({violation["code"] for violation in self.check()["violations"]})

    def outcomes(self):
        return [entry["effect"] for entry in self.ledger()]

    def fault(self, **rule):
        status, body = self.call(self.any, "POST /faults", body=rule)
        assert status == 201, body


class Listener(harness.HttpService):
    """Takes callbacks. Answers `statuses` in turn, then 200; `received` holds (path, JSON body)."""

    def __init__(self, *statuses):
        self.received, self.statuses = [], list(statuses)
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = listener.statuses.pop(0) if listener.statuses else 200
                listener.received.append((self.path, json.loads(body)))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.serve(Handler)

    def bodies(self):
        return [body for _, body in self.received]


def run(*arguments, example="order"):
    """The program where it is expected to end by itself."""
    return subprocess.run([program_of(example), *arguments], stderr=subprocess.PIPE, check=False,
                          timeout=DEADLINE_SECONDS)


class OneProgram(unittest.TestCase):
    """One process for the class; every test begins with an empty ledger and without faults."""

    EXAMPLE = "order"
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.all = Participants(*cls.ARGUMENTS, example=cls.EXAMPLE)
        cls.addClassCleanup(cls.all.stop)

    def setUp(self):
        self.forget()
        self.all.call(self.all.any, "DELETE /faults")

    def forget(self):
        self.all.call(self.all.any, "DELETE /ledger")

    def wait_until(self, holds):
        harness.wait_until(holds, DEADLINE_SECONDS)


class Promises:
    """The promises of every participant, held by the endpoints of one example; beside OneProgram."""
    ENDPOINTS = []  # service, action, undo; each action works without another before it
    FINAL = []      # service, action without undo
    CAPTURES = []   # those of them that are the point of no return
    BODIES = {}     # by action, where one is needed

    def do(self, service, action, **more):
        return self.all.act(service, action, "k", body=self.BODIES.get(action), **more)

    def test_the_same_key_has_one_effect_and_one_answer(self):
        for service, action in [(s, a) for s, a, _ in self.ENDPOINTS] + self.FINAL:
            with self.subTest(action):
                self.forget()
                first = self.do(service, action)
                self.assertEqual(first[0], 200)
                self.assertEqual(self.do(service, action, attempt=2), first)
                effect = "captured" if (service, action) in self.CAPTURES else "done"
                self.assertEqual(self.all.effects(), [(service, effect), (service, "replayed")])

    def test_an_undo_takes_the_effect_back_once_and_closes_the_key(self):
        for service, action, undo in self.ENDPOINTS:
            with self.subTest(action):
                self.forget()
                self.do(service, action)
                self.assertEqual(self.all.undo(service, undo, "k")[0], 200)
                self.assertEqual(self.all.undo(service, undo, "k")[0], 200)
                self.assertEqual(self.do(service, action), (409, {"error": "refused"}))
                self.assertEqual(
                    self.all.outcomes(), ["done", "undone", "replayed", "refused"])
                self.assertEqual(self.all.check(), {"ok": True, "violations": []})

    def test_an_undo_before_its_action_is_remembered(self):
        for service, action, undo in self.ENDPOINTS:
            with self.subTest(action):
                self.forget()
                self.assertEqual(self.all.undo(service, undo, "k")[0], 200)
                self.assertEqual(self.do(service, action), (409, {"error": "refused"}))
                self.assertEqual(self.all.outcomes(), ["noop-undo", "refused"])
                self.assertEqual(self.all.codes(), [])
