"""No saga gets the answer of another one from a participant that sends more than it was asked for, and what the
engine lacks itself is no attempt."""
import http.client
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from support import World, harness, step  # noqa: E402

PROGRAM = os.environ.get("BACKSTITCH_HOSTILE_PARTICIPANT",
                         os.path.join(harness.BUILD, "test", "hostile", "hostile_participant"))


WAYS = ("twice", "stray-after-ticket", "stray-split")


def ask(connection, method, path, body=None):
    connection.request(method, path, json.dumps(body) if body is not None else None,
                       {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())


class HostileParticipant:
    """The hostile participant on two free ports; ends with its standard input."""

    def __init__(self, folder):
        self.plain, self.tls = harness.free_port(), harness.free_port()
        self.certificate = os.path.join(folder, "ca")
        self.process = subprocess.Popen([PROGRAM, str(self.plain), str(self.tls), self.certificate],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "listening\n"

    def url(self, wire):
        return f"https://127.0.0.1:{self.tls}" if wire == "tls" else f"http://127.0.0.1:{self.plain}"

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class AnswersOfOthers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.participant = HostileParticipant(folder.name)
        cls.addClassCleanup(cls.participant.close)
        os.chmod(cls.participant.certificate, 0o600)
        with open(cls.participant.certificate + ".services", "w", encoding="utf-8") as file:
            file.write("".join(f"tls-{way}\n" for way in WAYS))
        os.chmod(file.name, 0o600)
        cls.world = World(serve_arguments=("--reactors", "1", "--secrets", folder.name)).open()
        cls.addClassCleanup(cls.world.close)
        for wire, way in itertools.product(("plain", "tls"), WAYS):
            # A place of its own: what was distrusted once has no kept connections.
            service = {"baseUrl": f"{cls.participant.url(wire)}/for-{way}"}
            if wire == "tls":
                service["tls"] = {"ca": "ca"}
            status, body, _ = cls.world.server.api("PUT", f"/v1/services/{wire}-{way}", service)
            assert status in (200, 201), body

    def define(self, name, service, way):
        definition = {"dsl": 1, "name": name, "version": 1, "services": {"p": {"use": service}},
                      "steps": [{"name": "charge", "kind": "pivot",
                                 "action": {"service": "p", "http": f"PUT /{way}"}}],
                      "output": "${steps.charge.output}"}
        status, body, _ = self.world.server.api("POST", "/v1/definitions?activate=true", definition)
        self.assertIn(status, (200, 201), body)

    def run_saga(self, name):
        status, body, _ = self.world.server.start_saga(name, {})
        self.assertEqual(status, 201, body)
        return self.world.server.ended(body["id"])

    def test_a_declined_charge_is_never_completed_by_the_second_answer_of_the_saga_before(self):
        for wire, way in itertools.product(("plain", "tls"), WAYS):
            with self.subTest(wire=wire, way=way):
                name = f"hostile.{wire}.{way}"
                self.define(f"{name}.charge", f"{wire}-{way}", way)
                self.define(f"{name}.refused", f"{wire}-{way}", "refused")
                for _ in range(3):
                    first = self.run_saga(f"{name}.charge")
                    self.assertEqual(first["status"], "COMPLETED", first)
                    self.assertNotIn("stray", first["output"])
                    second = self.run_saga(f"{name}.refused")
                    self.assertEqual((second["status"], (second["failure"] or {}).get("code")), ("FAILED", "HTTP_409"),
                                     second)

    def test_unrequested_bytes_are_logged_and_counted(self):
        self.define("hostile.counted", "plain-twice", "twice")
        self.run_saga("hostile.counted")
        _, metrics, _ = self.world.server.api("GET", "/metrics")
        counted = [line for line in str(metrics).split("\n") if line.startswith("backstitch_unrequested_bytes_total ")]
        self.assertEqual(len(counted), 1)
        self.assertGreater(int(counted[0].split()[1]), 0)


class OwnLacks(unittest.TestCase):
    def test_calls_wait_while_the_engine_has_no_file_descriptor_left(self):
        with tempfile.TemporaryDirectory() as folder:
            participant = HostileParticipant(folder)
            self.addCleanup(participant.close)
            world = World(serve_arguments=("--reactors", "1")).open()
            self.addCleanup(world.close)
            server = world.server
            definition = {"dsl": 1, "name": "hostile.fd", "version": 1,
                          "services": {"p": {"baseUrl": participant.url("plain"), "idempotency": "none"}},
                          "steps": [{"name": "call", "action": {"service": "p", "http": "PUT /honest"},
                                     "retry": {"maxAttempts": 1}, "compensation": "none"}]}
            status, body, _ = server.api("POST", "/v1/definitions?activate=true", definition)
            self.assertIn(status, (200, 201), body)
            pid = server.process.pid
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            self.addCleanup(connection.close)
            ask(connection, "GET", "/livez")
            used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            lowest_free = next(n for n in itertools.count() if n not in used)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
            saga = ask(connection, "POST", "/v1/sagas", {"definition": "hostile.fd", "input": {}})["id"]

            def held_up():
                view = ask(connection, "GET", f"/v1/sagas/{saga}")
                return view if view["status"] != "RUNNING" or view["why"]["code"] == "call-not-sent" else None
            seen = harness.wait_until(held_up, what="the call that cannot be sent")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            self.assertEqual((seen["status"], step(seen, "call")["attempts"]), ("RUNNING", 0), seen)
            ended = server.ended(saga)
            self.assertEqual(ended["status"], "COMPLETED", ended)
            self.assertEqual(step(ended, "call")["attempts"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
