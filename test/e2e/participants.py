"""The participants of an example as a process of a test's own, and what tests ask of them."""
import http.client
import json
import os
import pathlib
import subprocess
import time
import unittest
from urllib.parse import quote, urlsplit

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

    def act(self, service, request, key, saga="s1", step=None, phase="forward", attempt=1, **more):
        headers = {"Idempotency-Key": key, "Saga-Id": saga, "Saga-Step": step or key,
                   "Saga-Phase": phase, "Saga-Attempt": str(attempt)}
        return self.call(service, request, headers, **more)

    def undo(self, service, request, key, saga="s1", step=None, **more):
        headers = {"Idempotency-Key": key + "/undo", "Saga-Compensates": key, "Saga-Id": saga,
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
        self.all.call(self.all.any, "DELETE /ledger")
        self.all.call(self.all.any, "DELETE /faults")

    def wait_until(self, holds):
        end = time.monotonic() + DEADLINE_SECONDS
        while not holds():
            self.assertLess(time.monotonic(), end, "it did not come to pass in time")
