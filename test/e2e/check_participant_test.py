"""`backstitch check-participant`: good participants pass, and each broken promise is found out, alone."""
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest
from urllib.parse import urlsplit

from support import harness

REFUSED = (409, {"error": "undone before"})


class Service(harness.HttpService):
    """A participant that keeps every promise but the one that `broken` names. Keys live in memory."""

    def __init__(self, broken=None):
        self.broken = broken
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.forget()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = service.answer(self.command, self.path, self.headers)
                text = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    self.close_connection = True  # it was cut off

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a peer that is gone

        self.serve(Handler, Server)

    def forget(self):
        self.done, self.closed, self.undone, self.calls, self.working = {}, set(), set(), {}, set()
        self.effects, self.numbers, self.subjects = 0, 0, []

    def answer(self, method, path, headers):
        key = headers["Idempotency-Key"]
        if method == "GET":
            return self.probed(urlsplit(path).path.rsplit("/by-key/", 1)[1])
        if headers["Saga-Phase"] == "compensate":
            return self.undo(headers["Saga-Compensates"])
        return self.act(key, path)

    def act(self, key, path):
        with self.changed:
            if self.broken == "in-time":
                self.changed.wait(1.0)
            if key in self.working:
                if self.broken == "cut-off":
                    return 409, {"error": "in progress"}
                self.changed.wait_for(lambda: key not in self.working, 5)
            self.calls[key] = self.calls.get(key, 0) + 1
            if key in self.closed and not (self.broken == "action-after-undo" and key in self.undone):
                return REFUSED
            if key in self.done and key not in self.undone:
                if self.broken == "repeat":
                    return 200, {"id": key, "again": True}
                return self.done[key]
            self.working.add(key)
            # While it works, another request with the key can come in.
            self.changed.wait(0.3 if self.broken == "cut-off" else 0.001)
            self.effects += 1
            self.numbers += 1
            self.subjects.append(path)
            self.done[key] = (200, {"id": f"{key}-{self.numbers}"})
            self.working.discard(key)
            self.changed.notify_all()
            return self.done[key]

    def undo(self, key):
        with self.lock:
            if key not in self.done:
                if self.broken == "undo-of-nothing":
                    return 404, {"error": "no such thing"}
                if self.broken != "late-action":
                    self.closed.add(key)
                return 200, {}
            if self.broken == "undo":
                return 409, {"error": "cannot"}
            if key in self.undone and self.broken == "undo-again":
                return 404, {"error": "undone already"}
            if key not in self.undone:
                self.effects -= 1
            self.undone.add(key)
            self.closed.add(key)
            return 200, {}

    def probed(self, key):
        with self.lock:
            if key in self.done and key not in self.undone and self.broken != "probe":
                return self.done[key]
            if self.broken != "seal":
                self.closed.add(key)
            return 404, {"error": "not seen"}


def pair(name, **action):
    return {"name": name, "action": {"service": "shop", "http": f"PUT /{name}/${{input.id}}"},
            "compensation": {"http": f"DELETE /{name}/${{input.id}}",
                             "retry": {"delay": "200ms", "maxDelay": "200ms", "maxAttempts": "unlimited"}}, **action}


PROBE = {"http": "GET /probes/by-key/${self.key}", "outcomes": [{"status": 404, "is": "failure", "code": "NOT_SEEN"}]}
DEFINITION = {
    "dsl": 1, "name": "check.pairs", "version": 1,
    "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
    "services": {"shop": {"use": "shop"}}, "defaults": {"attemptTimeout": "500ms"},
    "steps": [pair("plain"), pair("asked", probe=PROBE), pair("sealed", probe={**PROBE, "sealed": True}),
              {"name": "pay", "kind": "pivot", "action": {"service": "shop", "http": "PUT /pay/${input.id}"}}],
}
PLAIN = ["repeat", "cut-off", "undo", "undo-again", "action-after-undo"]
# What is broken, and at which step it shows.
BROKEN = [("repeat", "plain"), ("cut-off", "plain"), ("undo", "plain"), ("undo-again", "plain"),
          ("action-after-undo", "plain"), ("undo-of-nothing", "plain"), ("late-action", "plain"),
          ("in-time", "plain"), ("probe", "asked"), ("seal", "sealed")]


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
        return path

    def run_check(self, *arguments):
        return subprocess.run([harness.PROGRAM, "check-participant", *arguments], capture_output=True, text=True,
                              timeout=120)

    def check(self, *arguments, code=0):
        done = self.run_check(*arguments, "--json")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)


class OwnService(Check):
    def setUp(self):
        super().setUp()
        self.definition = self.file("pairs.json", DEFINITION)

    def service(self, broken=None):
        service = Service(broken)
        self.addCleanup(service.stop)
        return service

    def results(self, report, result):
        return {(f["step"], f["promise"]) for f in report["findings"] if f["result"] == result}

    def test_a_participant_that_keeps_every_promise_is_told_so_and_left_as_it_was(self):
        service = self.service()
        report = self.check(self.definition, "--base-url", f"shop={service.url}", "--pairs-only")
        self.assertEqual((report["kept"], report["left"]), (True, []))
        self.assertEqual(self.results(report, "broken"), set())
        unsealed = [*PLAIN, "undo-of-nothing", "late-action", "in-time"]
        self.assertEqual(self.results(report, "holds"),
                         {("plain", p) for p in unsealed} | {("asked", p) for p in [*unsealed, "probe"]}
                         | {("sealed", p) for p in [*PLAIN, "probe", "seal", "in-time"]})
        self.assertEqual(self.results(report, "not-checkable"), {("sealed", "undo-of-nothing"), ("sealed", "late-action")})
        self.assertEqual(service.effects, 0)
        self.assertFalse([subject for subject in service.subjects if subject.startswith("/pay")])

    def test_steps_without_an_undo_are_examined_in_sagas_that_complete(self):
        service = self.service()
        report = self.check(self.definition, "--base-url", f"shop={service.url}", "--step", "pay")
        self.assertEqual(self.results(report, "holds"), {("pay", "repeat"), ("pay", "cut-off"), ("pay", "in-time")})
        self.assertEqual(len([s for s in service.subjects if s.startswith("/pay")]), 2)

    def test_each_broken_promise_is_found_and_no_other(self):
        for broken, step in BROKEN:
            with self.subTest(broken):
                service = self.service(broken)
                report = self.check(self.definition, "--base-url", f"shop={service.url}", "--step", step,
                                    "--pairs-only", "--patience", "4s", code=1)
                self.assertEqual(self.results(report, "broken"), {(step, broken)}, report)
                finding = next(f for f in report["findings"] if f["result"] == "broken")
                self.assertTrue(finding["expected"] and finding["came"] and finding["advice"], finding)

    def test_an_undo_that_fails_is_told_as_left_behind(self):
        service = self.service("undo")
        report = self.check(self.definition, "--base-url", f"shop={service.url}", "--step", "plain", "--pairs-only",
                            "--patience", "2s", code=1)
        self.assertTrue(any("the undo of plain was not done" in what for what in report["left"]), report["left"])

    def test_every_saga_has_new_texts_where_the_input_says_run_or_is_made_from_the_schema(self):
        service = self.service()
        given = self.file("input.json", {"id": "mine-${run}"})
        for arguments, begins in (((), "/plain/id-"), (("--input", given), "/plain/mine-")):
            service.forget()
            self.check(self.definition, "--base-url", f"shop={service.url}", "--step", "plain", "--pairs-only", *arguments)
            self.assertTrue(all(s.startswith(begins) for s in service.subjects), service.subjects)
            self.assertEqual(len(service.subjects), len(set(service.subjects)))

    def test_it_warns_before_it_calls_and_says_what_to_do(self):
        service = self.service("undo-of-nothing")
        done = self.run_check(self.definition, "--base-url", f"shop={service.url}", "--step", "plain")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("REAL CALLS", done.stderr)
        self.assertIn(service.url, done.stderr)
        self.assertIn("an undo of nothing succeeds", done.stdout)
        self.assertIn("came      404", done.stdout)
        self.assertIn("1 broken", done.stdout)

    def test_what_cannot_be_checked_is_an_error_and_not_a_pass(self):
        service = self.service()
        url = f"shop={service.url}"
        for arguments, code, says in (
                ((), 2, "--base-url shop=URL"),
                (("--base-url", "shop"), 2, "NAME=VALUE"),
                (("--base-url", url, "--step", "nowhere"), 2, "nowhere"),
                (("--base-url", url, "--patience", "soon"), 2, "--patience"),
                (("--base-url", url, "--input", self.file("bad.json", {"id": 7})), 1, "INPUT_INVALID"),
                (("--base-url", f"shop=http://127.0.0.1:{harness.free_port()}", "--step", "plain"), 1,
                 "nothing could be checked")):
            with self.subTest(says):
                done = self.run_check(self.definition, *arguments)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(says, done.stdout + done.stderr)


class Examples(Check):
    """The participants of the examples keep all promises, asynchronous ones and sub-sagas included."""

    def examined(self, example, name, *more, saga_input=None):
        with harness.Participants(harness.participants_program(example)) as participants:
            folder = os.path.join(harness.ROOT, "examples", example)
            urls = [a for service, url in participants.urls.items() for a in ("--base-url", f"{service}={url}")]
            given = self.file("input.json", saga_input) if saga_input else os.path.join(folder, "input.json")
            report = self.check(os.path.join(folder, f"{name}.json"), *[os.path.join(folder, m) for m in more],
                                *urls, "--input", given)
            self.assertEqual(report["left"], [])
            undone = {e["compensates"] for e in participants.ledger() if e["effect"] == "undone"}
            done = [e for e in participants.ledger() if e["effect"] == "done"]
            return report, done, undone

    def holds(self, report):
        found = {}
        for finding in report["findings"]:
            if finding["result"] == "holds":
                found.setdefault(finding["step"], set()).add(finding["promise"])
        return found

    def test_those_of_the_order(self):
        report, _, _ = self.examined("order", "orders.place")
        found = self.holds(report)
        for step in ("createOrder", "reserveStock", "redeemCoupon"):
            self.assertEqual(found[step], {*PLAIN, "undo-of-nothing", "late-action", "in-time"})
        self.assertEqual(found["authorise"], {*PLAIN, "probe", "seal", "in-time"})
        for step in ("capture", "confirmOrder", "ship"):
            self.assertEqual(found[step], {"repeat", "cut-off", "in-time"})

    def test_those_of_the_journey(self):
        report, _, _ = self.examined("travel", "travel.book")
        found = self.holds(report)
        for step in ("holdSeat", "holdRoom", "carFromA"):
            self.assertLessEqual({*PLAIN, "undo-of-nothing", "late-action", "in-time"}, found[step], step)
        self.assertEqual(found["charge"], {"repeat", "cut-off", "in-time"})

    def test_those_of_the_transfer_and_its_sub_saga(self):
        report, _, _ = self.examined("transfer", "transfers.cross-border", "accounts.debit.json",
                                     saga_input={"transferId": "x-${run}", "payer": "acme", "payee": "globex",
                                                 "amountCents": 5000, "valueDate": "2026-01-01T00:00:00Z"})
        self.assertEqual(self.holds(report)["settle"], {"repeat", "cut-off", "in-time"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
