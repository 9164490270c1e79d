"""Signals, callbacks, sub-sagas and versions through the REST API, and blocks whose engine is killed."""
import http.server
import json
import tempfile
import threading
import unittest

from support import World, harness, step

SERVICES = {"s": {"use": "orders"}, "later": {"use": "later"}}


def bench(name, **more):
    return {"name": name, "action": {"service": "s", "http": f"PUT /bench/{name}"},
            "compensation": {"http": f"DELETE /bench/{name}"}, **more}


def definition(name, steps, version=1, **more):
    return {"dsl": 1, "name": name, "version": version, "services": SERVICES, "steps": steps, **more}


PENDING = bench("asked", outcomes=[{"when": "${response.status == 200 && response.body?.decided == null}", "is": "pending"},
                                   {"when": "${response.body.decided == 'no'}", "is": "failure", "code": "SAID_NO"}],
                completion={"callback": True, "timeout": "1h"})
PENDING["action"]["service"] = "later"
WAIT = {"name": "decision", "wait": {"signal": "decision", "timeout": "1h", "accept": "${signal.payload.amount < 100}",
                                     "schema": {"type": "object", "required": ["amount"],
                                                "properties": {"amount": {"type": "integer"}}}}}


class Later:
    """A participant that will answer later: it keeps where, which nobody else is told."""

    def __init__(self):
        callbacks = self.callbacks = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if "Saga-Callback" in self.headers:
                    callbacks[self.headers["Saga-Id"]] = self.headers["Saga-Callback"]
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_DELETE = do_PUT

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Blocks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.later = cls.enterClassContext(Later())
        status, body, _ = cls.world.server.api("PUT", "/v1/services/later", {"baseUrl": cls.later.url})
        assert status == 201, body

    def api(self, method, path, body=None):
        return self.world.server.api(method, path, body)

    def register(self, *definitions):
        for one in definitions:
            self.world.server.register_text(json.dumps(one))

    def start(self, name, saga_input=None):
        status, body, _ = self.world.server.start_saga(name, saga_input if saga_input is not None else {})
        self.assertEqual(status, 201, body)
        return body["id"]

    def until(self, saga, name, status):
        return harness.wait_until(
            lambda: any(s["name"] == name and s["status"] == status for s in self.world.server.saga(saga)["steps"]),
            20, f"{name} to be {status}")

    def refused(self, answer, status, code):
        self.assertEqual((answer[0], answer[1].get("code")), (status, code), answer[1])

    def callback_of(self, saga):
        url = self.later.callbacks[saga]
        self.assertTrue(url.startswith(self.world.server.url + "/v1/callbacks/"), url)
        return url[len(self.world.server.url):]

    def events(self, saga):
        return self.api("GET", f"/v1/sagas/{saga}/history?limit=500")[1]["events"]


class Callbacks(Blocks):
    def pending(self, name, *behind):
        self.register(definition(name, [PENDING, *behind]))
        saga = self.start(name)
        self.until(saga, "asked", "waiting")
        return saga, self.callback_of(saga)

    def test_the_answer_of_a_callback_is_the_answer_of_the_step(self):
        saga, callback = self.pending("t.callback")
        self.assertEqual(self.api("POST", callback, {"decided": "yes"})[0], 200)
        ended = self.world.server.ended(saga)
        self.assertEqual(ended["status"], "COMPLETED")
        self.assertEqual(step(ended, "asked")["output"], {"decided": "yes"})

    def test_who_reads_the_history_cannot_answer_for_the_participant(self):
        saga, callback = self.pending("t.callback-read")
        history = json.dumps(self.events(saga)) + json.dumps(self.world.server.saga(saga))
        self.assertNotIn(callback, history)
        shown = next(e for e in self.events(saga) if e["type"] == "StepScheduled")["data"]["request"]["callback"]
        self.refused(self.api("POST", shown[len(self.world.server.url):], {"decided": "yes"}), 404, "callback-unknown")
        # What repeats the token on its way back is stored without its secret end.
        self.assertEqual(self.api("POST", callback, {"decided": "yes", "echo": callback})[0], 200)
        self.world.server.ended(saga)
        self.assertNotIn(callback, json.dumps(self.events(saga)))

    def test_a_callback_that_says_no_fails_the_step(self):
        saga, callback = self.pending("t.callback-no")
        self.assertEqual(self.api("POST", callback, {"decided": "no"})[0], 200)
        ended = self.world.server.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"]), ("FAILED", "SAID_NO"))

    def test_a_callback_works_once(self):
        saga, callback = self.pending("t.callback-twice", WAIT)
        self.assertEqual(self.api("POST", callback, {"decided": "yes"})[0], 200)
        self.until(saga, "decision", "waiting")
        repeated = (200, {"repeated": True})
        self.assertEqual(self.api("POST", callback, {"decided": "yes"})[:2], repeated)
        self.refused(self.api("POST", callback, {"decided": "no"}), 409, "callback-used")
        self.api("POST", f"/v1/sagas/{saga}/signals/decision", {"amount": 1})
        self.world.server.ended(saga)
        self.assertEqual(self.api("POST", callback, {"decided": "yes"})[:2], repeated)
        self.refused(self.api("POST", callback, {"decided": "no"}), 409, "callback-used")

    def test_a_signal_or_command_that_is_sent_again_under_its_key_works_once(self):
        waits = [{"name": name, "wait": {"signal": "approve", "timeout": "1h"}} for name in ("first", "second")]
        self.register(definition("t.two-approvals", waits))
        saga = self.start("t.two-approvals")
        self.until(saga, "first", "waiting")
        def approve(key, payload=None):
            status, body, headers = self.world.server.api("POST", f"/v1/sagas/{saga}/signals/approve", payload or {"by": "ann"},
                                                          {"Idempotency-Key": key})
            return status, body.get("code"), headers.get("Idempotent-Replayed")
        self.assertEqual(approve("k-1"), (202, None, None))
        for _ in range(3):
            self.assertEqual(approve("k-1"), (202, None, "true"))
        self.assertEqual(step(self.world.server.saga(saga), "second")["status"], "waiting")
        self.assertEqual(approve("k-1", {"by": "bob"})[:2], (409, "idempotency-key-reused"))
        cancel = [self.world.server.api("POST", f"/v1/sagas/{saga}/cancel", {}, {"Idempotency-Key": "k-2"}) for _ in range(2)]
        self.assertEqual([(status, headers.get("Idempotent-Replayed")) for status, _, headers in cancel],
                         [(200, None), (200, "true")])
        self.world.server.ended(saga)
        self.assertEqual(approve("k-1"), (202, None, "true"))

    def test_a_callback_after_the_end_comes_too_late(self):
        saga, callback = self.pending("t.callback-late")
        self.api("POST", f"/v1/sagas/{saga}/cancel", {"reason": "test"})  # the answer is not waited for
        self.assertEqual(self.world.server.ended(saga)["failure"]["code"], "CANCELLED")
        for _ in range(2):
            self.refused(self.api("POST", callback, {"decided": "yes"}), 410, "callback-too-late")
        self.assertEqual([e["type"] for e in self.events(saga)].count("CallbackRefused"), 1)
        short = {**PENDING, "completion": {"callback": True, "timeout": "300ms"}}
        self.register(definition("t.callback-timeout", [short]))
        saga = self.start("t.callback-timeout")
        ended = self.world.server.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"]), ("FAILED", "OUTCOME_UNKNOWN"))
        self.refused(self.api("POST", self.callback_of(saga), {"decided": "yes"}), 410, "callback-too-late")

    def test_a_callback_nobody_waits_for_is_not_found(self):
        _, callback = self.pending("t.callback-unknown")
        for wrong in ("/v1/callbacks/x", callback[:-1] + ("0" if callback[-1] != "0" else "1"),
                      "/v1/callbacks/" + 36 * "0" + "-00"):
            with self.subTest(wrong):
                self.refused(self.api("POST", wrong, {}), 404, "callback-unknown")
        self.assertEqual(self.api("POST", callback, "{not json")[0], 400)


class Signals(Blocks):
    def test_a_signal_is_kept_until_its_wait_begins_and_taken_once(self):
        self.register(definition("t.early", [PENDING, WAIT, {**WAIT, "name": "second"}]))
        saga = self.start("t.early")
        self.until(saga, "asked", "waiting")
        self.assertEqual(self.api("POST", f"/v1/sagas/{saga}/signals/decision", {"amount": 5})[0], 202)
        self.api("POST", self.callback_of(saga), {"decided": "yes"})
        self.until(saga, "second", "waiting")
        self.assertEqual(step(self.world.server.saga(saga), "decision")["output"]["payload"], {"amount": 5})
        with tempfile.NamedTemporaryFile("w", suffix=".json") as payload:
            payload.write('{"amount": 6}')
            payload.flush()
            sent = self.world.server.cli("signal", saga, "decision", "--payload", payload.name)
        self.assertEqual((sent.returncode, sent.stderr), (0, ""))
        self.assertEqual(self.world.server.ended(saga)["status"], "COMPLETED")

    def test_what_a_wait_does_not_take_is_refused_with_its_reason(self):
        self.register(definition("t.refused", [WAIT]))
        saga = self.start("t.refused")
        self.until(saga, "decision", "waiting")
        path = f"/v1/sagas/{saga}/signals/"
        self.refused(self.api("POST", path + "other", {"amount": 1}), 404, "signal-unknown")
        self.refused(self.api("POST", path + "decision", {"amount": "1"}), 422, "signal-refused")
        self.refused(self.api("POST", path + "decision", {"amount": 100}), 422, "signal-refused")
        self.refused(self.api("POST", path + "decision", {"amount": 1, "x": "y" * 70_000}), 400, "signal-too-large")
        self.assertEqual(self.api("POST", path + "decision", {"amount": 1})[0], 202)
        self.world.server.ended(saga)
        self.refused(self.api("POST", path + "decision", {"amount": 1}), 409, "saga-ended")

    def test_a_saga_that_waits_can_be_cancelled(self):
        self.register(definition("t.cancelled", [bench("before"), WAIT]))
        saga = self.start("t.cancelled")
        self.until(saga, "decision", "waiting")
        self.api("POST", f"/v1/sagas/{saga}/cancel", {"reason": "enough"})
        ended = self.world.server.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"]), ("FAILED", "CANCELLED"))
        self.assertEqual(step(ended, "before")["status"], "compensated")


class Children(Blocks):
    def test_a_child_is_a_saga_of_its_own_with_a_link_to_its_parent(self):
        self.register(definition("t.child", [bench("inner")], output={"from": "child"}),
                      definition("t.parent", [{"name": "sub", "saga": {"name": "t.child", "input": {}}}],
                                 output="${steps.sub.output}"))
        parent = self.world.server.ended(self.start("t.parent"))
        self.assertEqual((parent["status"], parent["output"]), ("COMPLETED", {"from": "child"}))
        child = self.world.server.saga(step(parent, "sub")["child"])
        self.assertEqual(child["parent"], {"saga": parent["id"], "step": "sub"})

    def test_a_parent_keeps_the_version_of_its_child_that_was_active_when_it_was_registered(self):
        self.register(definition("t.versions", [bench("one")], output=1),
                      definition("t.keeps", [{"name": "sub", "saga": {"name": "t.versions", "input": {}}}],
                                 output="${steps.sub.output}"),
                      definition("t.versions", [bench("two")], version=2, output=2))
        self.assertEqual(self.world.server.ended(self.start("t.keeps"))["output"], 1)

    def test_a_child_that_is_suspended_suspends_its_parent_until_it_goes_on(self):
        stuck = bench("stuck", kind="pivot", outcomes=[{"status": 200, "is": "unknown"}],
                      retry={"maxAttempts": 2, "delay": "1ms"})
        stuck.pop("compensation")
        self.register(definition("t.stuck", [stuck]),
                      definition("t.above", [{"name": "sub", "saga": {"name": "t.stuck", "input": {}}}]))
        saga = self.start("t.above")
        parent = self.world.server.ended(saga)
        self.assertEqual((parent["status"], parent["suspension"]["reason"]), ("SUSPENDED", "CHILD_SUSPENDED"))
        child = step(parent, "sub")["child"]
        status, _, _ = self.api("POST", f"/v1/sagas/{child}/steps/stuck/resolve", {"as": "done", "output": {}, "reason": "seen"})
        self.assertEqual(status, 200)
        harness.wait_until(lambda: self.world.server.saga(saga)["status"] == "COMPLETED", 20, "the parent to complete")


class Operators(Blocks):
    def pivot_unknown(self, name, **more):
        """A saga whose pivot was tried once, and nobody knows whether it was done."""
        stuck = bench("stuck", kind="pivot", outcomes=[{"status": 200, "is": "unknown"}], **more)
        stuck.pop("compensation")
        self.register(definition(name, [bench("before"), stuck]))
        saga = self.start(name)
        harness.wait_until(lambda: any(e["type"] == "AttemptFailed" for e in self.events(saga)), 20, "the first attempt to end")
        return saga

    def test_a_saga_that_retries_for_long_can_be_hurried_and_suspended(self):
        saga = self.pivot_unknown("t.long", retry={"delay": "1h", "maxDelay": "1h", "jitter": "none"})
        status, view, _ = self.api("POST", f"/v1/sagas/{saga}/retry", {"reason": "now"})
        self.assertEqual(status, 200, view)
        harness.wait_until(lambda: step(self.world.server.saga(saga), "stuck")["attempts"] == 2, 20, "a second attempt")
        harness.wait_until(lambda: self.events(saga)[-1]["type"] == "AttemptFailed", 20, "the second attempt to end")
        self.refused(self.api("POST", f"/v1/sagas/{saga}/suspend", {"step": "before"}), 409, "nothing-waiting")
        status, view, _ = self.api("POST", f"/v1/sagas/{saga}/suspend", {"reason": "look"})
        self.assertEqual((status, view["status"], view["suspension"]["reason"]), (200, "SUSPENDED", "OPERATOR"))

    def test_show_says_why_a_saga_waits_and_prints_commands_that_the_server_accepts(self):
        saga = self.pivot_unknown("t.shown", retry={"maxAttempts": 1})
        self.assertEqual(self.world.server.ended(saga)["status"], "SUSPENDED")
        view = self.world.server.saga(saga)
        self.assertEqual((view["why"]["code"], view["why"]["reason"]), ("suspended", "OUTCOME_UNKNOWN"))
        self.assertTrue(view["why"]["possiblyDone"])
        self.assertEqual(step(view, "stuck")["suspended"], "forward")
        asked = view["why"]["participant"]
        self.assertEqual(asked["url"], self.world.participants.urls["orders"] + "/bench/stuck")
        shown = self.world.server.cli("show", saga).stdout
        self.assertRegex(shown, r"! stuck \(pivot\) +suspended")
        self.assertIn(f"{asked['url']} about key {asked['key']}", shown)
        self.assertIn("the request with this key may have taken effect", shown)
        commands = [line.split("backstitch ")[1].split("  #")[0].split() for line in shown.splitlines() if "  #" in line]
        self.assertEqual(len(commands), len(view["actions"]))
        self.assertIn(["resolve", saga, "stuck", "--as", "done"], commands)
        for command in commands:
            done = self.world.server.cli(*command, "--dry-run")
            self.assertEqual(done.returncode, 0, f"{command}: {done.stderr}")
        self.world.server.cli("retry", saga, "--reason", "the participant is back")
        self.assertEqual(self.world.server.ended(saga)["status"], "SUSPENDED")
        self.assertIn("retry stuck by operator: the participant is back", self.world.server.cli("show", saga).stdout)

    def test_a_retry_that_is_scheduled_says_when_it_is_due_and_given_up(self):
        saga = self.pivot_unknown("t.waits", retry={"delay": "1h", "maxDelay": "1h", "jitter": "none", "maxElapsed": "3h"})
        harness.wait_until(lambda: self.events(saga)[-1]["type"] == "AttemptFailed", 20, "the first attempt to end")
        why = self.world.server.saga(saga)["why"]
        self.assertEqual((why["code"], why["step"], why["phase"]), ("retry-scheduled", "stuck", "forward"))
        shown = self.world.server.cli("show", saga).stdout
        for line in (f"next attempt  {why['nextAttemptAt']}", f"gives up at   {why['until']}", f"since         {why['since']}",
                     f"backstitch suspend {saga} stuck"):
            self.assertIn(line, shown)

    def test_a_pivot_that_was_not_done_needs_to_be_confirmed(self):
        saga = self.pivot_unknown("t.certain", retry={"maxAttempts": 1})
        self.assertEqual(self.world.server.ended(saga)["status"], "SUSPENDED")
        path = f"/v1/sagas/{saga}/steps/stuck/resolve"
        self.refused(self.api("POST", path, {"output": {}}), 400, "body-invalid")
        self.refused(self.api("POST", path, {"as": "not-done", "output": {}}), 400, "body-invalid")
        self.refused(self.api("POST", path, {"as": "compensated"}), 409, "step-not-resolvable")
        asked = self.world.server.cli("resolve", saga, "stuck", "--as", "not-done")
        self.assertEqual(asked.returncode, 1)
        self.assertIn("late copy", asked.stdout)
        self.assertIn("--yes", asked.stdout)
        self.assertEqual(self.world.server.saga(saga)["status"], "SUSPENDED")
        done = self.world.server.cli("resolve", saga, "stuck", "--as", "not-done", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        ended = self.world.server.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"]), ("FAILED", "RESOLVED_NOT_DONE"))


class Versions(Blocks):
    def test_a_dry_run_says_what_registration_would_say_and_stores_nothing(self):
        first = definition("t.dry", [bench("a")])
        dry = lambda text: self.api("POST", "/v1/definitions?dryRun=true", text)  # noqa: E731
        self.assertEqual([(a[0], a[1]["outcome"]) for a in [dry(first)]], [(200, "new")])
        self.assertEqual(self.api("GET", "/v1/definitions/t.dry")[0], 404)
        self.register(first)
        self.assertEqual(dry(first)[1]["outcome"], "same")
        other = definition("t.dry", [bench("b")])
        self.refused(dry(other), 409, "definition-conflict")
        findings = self.api("POST", "/v1/definitions/validate", other)[1]["findings"]
        self.assertIn("E004", [finding["code"] for finding in findings])
        self.assertEqual(dry({"dsl": 1})[0], 422)

    def test_it_is_said_which_running_sagas_could_go_on_by_another_version(self):
        self.register(definition("t.moves", [bench("a"), WAIT]))
        saga = self.start("t.moves")
        self.until(saga, "decision", "waiting")
        for version, steps, expected in (
                (2, [bench("a"), WAIT, bench("behind")], []),
                (3, [bench("a"), bench("between"), WAIT], ["step-inserted"]),
                (4, [WAIT], ["step-missing"]),
                (5, [bench("a", compensation="none"), WAIT], ["undo-differs"])):
            with self.subTest(version=version):
                self.register(definition("t.moves", steps, version=version))
                status, answer, _ = self.api("POST", f"/v1/definitions/t.moves/versions/{version}/compatibility", {})
                self.assertEqual(status, 200, answer)
                self.assertEqual([r["code"] for r in answer["sagas"][0]["reasons"]], expected, answer)
                self.assertEqual((answer["compatible"], answer["incompatible"]), (0, 1) if expected else (1, 0))
        self.assertEqual(self.api("POST", "/v1/definitions/t.moves/versions/9/compatibility", {})[0], 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
