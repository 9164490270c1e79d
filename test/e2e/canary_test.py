"""No reader of sagas shows what is marked x-sensitive: REST, the command line, the log and the views for SQL.

Each value that is marked is a canary. A saga is brought into every state whose display has members of its own, a request of
every kind that can be refused is sent, and everything that comes back is searched for the canaries in every form that an
expression can give them.
"""
import base64
import hashlib
import json
import tempfile
import unittest
from urllib.parse import quote

from support import World, harness

CARD = "canary-card-4111/ü"
PIN = "canary-pin-98765"
PAYLOAD = "canary-payload-31337"
NUMBER = 777_333_111
CANARIES = [CARD, PIN, PAYLOAD, str(NUMBER)]
SENSITIVE = {"type": "string", "x-sensitive": True}
INPUT = {"card": CARD, "pin": PIN, "number": NUMBER, "object": {"owner": PIN}, "items": [CARD, PIN]}


def forms(value):
    """All that a reader could recognize the value by."""
    text = value.encode()
    yield value
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="")
    yield value.upper()
    yield value[:10] if len(value) > 12 else value
    yield value[-10:]
    yield base64.b64encode(text).decode()
    yield base64.b64encode(text).decode().rstrip("=")[:-1]
    yield hashlib.sha256(text).hexdigest()


FORMS = sorted({form for value in CANARIES for form in forms(value)} - {"canary-car", "canary-pin", "canary-pay"}) + [
    "canary-card", "canary-pin", "canary-payload", "canary-car", "CANARY"]


class Participant(harness.HttpService):
    """Says what it is told in its path, and repeats in every part of its answer what it was sent."""

    def __init__(self):
        class Handler(harness.http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                size = int(self.headers.get("Content-Length") or 0)
                sent = json.loads(self.rfile.read(size) or b"null")
                # What a participant computes, or is told computed, is its own: only the values themselves are searched for.
                if isinstance(sent, dict):
                    sent.pop("computed", None)
                status = int(self.path.split("/")[1])
                words = "no " + json.dumps(sent, ensure_ascii=False)
                body = json.dumps({"sent": sent, "query": self.path.partition("?")[2], "words": words, "number": NUMBER,
                                   "header": self.headers.get("X-Card")}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass
        self.serve(Handler)


def call(name, status, **more):
    """A step that sends every form of every canary and is answered with that status."""
    computed = {"half": "${slice(input.card, 0, 10)}", "rest": "${slice(input.card, 10)}", "base": "${base64(input.card)}",
                "digest": "${sha256(input.pin)}", "loud": "${upper(input.pin)}"}
    body = {"card": "${input.card}", "number": "${input.number}", "text": "n=${input.number}", "json": "${json(input.object)}",
            "first": "${input.items[0]}", "computed": computed}
    return {"name": name, "retry": {"maxAttempts": 1}, "compensation": "none", **more,
            "action": {"service": "p", "http": f"PUT /{status}/" + name + "/${sha256(input.pin)}", "body": body,
                       "query": {"c": "${input.card}"}, "headers": {"X-Card": "${input.pin}"}, **more.get("action", {})}}


def undone(name, status):
    """A step whose undo sends the canaries, and is answered with that status."""
    step = call(name, 200)
    step["compensation"] = {"http": f"PUT /{status}/undo/" + "${sha256(input.card)}", "body": "${input.pin}", "retry": {"maxAttempts": 1}}
    return step


def definition(name, steps, **more):
    return {"dsl": 1, "name": "canary." + name, "version": 1,
            "input": {"type": "object", "required": list(INPUT), "properties": {
                "card": SENSITIVE, "pin": SENSITIVE, "number": {"type": "integer", "x-sensitive": True},
                "object": {"type": "object", "x-sensitive": True}, "items": {"type": "array", "items": SENSITIVE},
                "year": {"type": "integer"}}},
            "services": {"p": {"use": "p"}}, "steps": steps, **more}


WAIT = {"name": "w", "wait": {"signal": "paid", "timeout": "1h", "schema": {
    "type": "object", "required": ["secret"], "properties": {"secret": {"type": "string", "x-sensitive": True, "pattern": "^canary"},
                                                            "code": {"type": "integer", "x-sensitive": True}}}}}
AFTER_WAIT = {"name": "after", "retry": {"maxAttempts": 1}, "compensation": "none", "action": {
    "service": "p", "http": "PUT /200/after/${sha256(steps.w.output.payload.secret)}", "body": "${steps.w.output.payload}"}}
REFUSAL = {"name": "f", "fail": {"code": "NO", "message": "card ${input.card} ${base64(input.pin)}", "details": {"pin": "${input.pin}"}}}
DEFINITIONS = {
    "done": definition("done", [call("a", 200), {"name": "v", "value": "${input.card}"}], output="${steps.a.output}",
                       labels={"card": "${input.card}", "digest": "${sha256(input.pin)}"}, businessKey="${input.card}"),
    "failed": definition("failed", [undone("a", 200), call("b", 409)]),
    "refused": definition("refused", [undone("a", 200), {**REFUSAL, "when": "${input.number > 1}"}]),
    "stuck": definition("stuck", [undone("a", 500), call("b", 422)]),
    "unknown": definition("unknown", [{**call("a", 500), "kind": "pivot"}, {**call("b", 200), "kind": "retryable"}]),
    "asked": definition("asked", [{**call("a", 500), "kind": "pivot", "probe": {
        "http": "GET /500/${sha256(input.pin)}", "query": {"c": "${input.card}"}, "retry": {"maxAttempts": 1}}}]),
    "polled": definition("polled", [{**call("a", 202), "completion": {"timeout": "1h", "poll": {
        "http": "GET /409/${sha256(input.card)}", "every": "1s", "headers": {"X-Card": "${input.card}"}}}}]),
    "waiting": definition("waiting", [WAIT, AFTER_WAIT], output="${steps.w.output}"),
    "broken": definition("broken", [call("a", 200), {"name": "v", "value": "${input.object.owner * 1}"}]),
    "retrying": definition("retrying", [call("a", 503, retry={"maxAttempts": 5, "delay": "1h"})]),
    "caught": definition("caught", [{"name": "t", "try": {"steps": [call("a", 409, outcomes=[
        {"status": 409, "is": "failure", "code": "NO", "message": "no ${response.body.words}"}])], "catch": [
            {"when": "${failure.code == input.pin}", "steps": []},
            {"steps": [{"name": "c", "value": "${failure.message}"}]}]}}]),
    "looped": definition("looped", [{"name": "l", "forEach": {"in": "${input.items}", "as": "item", "key": "${item}", "steps": [
        {"name": "i", "retry": {"maxAttempts": 1}, "compensation": "none",
         "action": {"service": "p", "http": "PUT /200/${sha256(item)}", "body": "${item}"}}], "yield": "${item}"}}],
        output="${steps.l.output}"),
    "parent": definition("parent", [{"name": "c", "saga": {"name": "canary.child", "input": {"plain": "${input.card}", "pin": "${input.pin}"},
                                                           "businessKey": "${input.pin}-${saga.id}"}}]),
}
CHILD = {"dsl": 1, "name": "canary.child", "version": 1, "input": {"type": "object", "required": ["plain", "pin"], "properties": {
    "plain": {"type": "string"}, "pin": {"type": "string"}}}, "services": {"p": {"use": "p"}}, "labels": {"plain": "${input.plain}"},
    "steps": [{"name": "a", "retry": {"maxAttempts": 1}, "compensation": "none",
               "action": {"service": "p", "http": "PUT /409/${sha256(input.plain)}", "body": "${input}"}}]}
STOPPED = {"done": "COMPLETED", "failed": "FAILED", "refused": "FAILED", "stuck": "SUSPENDED", "unknown": "SUSPENDED", "asked": "SUSPENDED",
           "polled": "RUNNING", "waiting": "RUNNING", "broken": "FAILED", "retrying": "RUNNING", "caught": "COMPLETED",
           "looped": "COMPLETED", "parent": "FAILED"}


class Canaries(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.participant = Participant()
        cls.addClassCleanup(cls.participant.stop)
        log = tempfile.NamedTemporaryFile()
        cls.addClassCleanup(log.close)
        cls.log = log.name
        cls.world = World(definitions=(), log=cls.log).open()
        cls.addClassCleanup(cls.world.close)
        cls.server = cls.world.server
        cls.server.api("PUT", "/v1/services/p", {"baseUrl": cls.participant.url})
        for document in (CHILD, *DEFINITIONS.values()):
            cls.server.register_text(json.dumps(document))
        cls.sagas = {}
        for name in DEFINITIONS:
            status, body, _ = cls.server.start_saga("canary." + name, INPUT)
            assert status == 201, body
            cls.sagas[name] = body["id"]

    def search(self, what, shown):
        text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False)
        found = [form for form in FORMS if form in text]
        if found:
            at = text.find(found[0])
            self.fail(f"{what} shows {found}: …{text[max(0, at - 200):at + 100]}…")

    def readers(self, name, saga):
        """Every answer about one saga."""
        for path in ("", "/history?limit=1000"):
            yield f"GET {path}", self.server.api("GET", f"/v1/sagas/{saga}{path}")[1]
        for action in ("cancel", "retry", "suspend", "steps/a/skip", "steps/b/skip"):
            yield f"plan of {action}", self.server.api("POST", f"/v1/sagas/{saga}/{action}?dryRun=true", {})[1]
        for step in ("a", "b"):
            for resolution in ({"as": "not-done"}, {"as": "compensated"}, {"as": "done", "output": {"other": 1}}):
                yield f"plan of resolve {resolution}", self.server.api(
                    "POST", f"/v1/sagas/{saga}/steps/{step}/resolve?dryRun=true", resolution)[1]
        ended = [["watch", saga]] if STOPPED.get(name, "COMPLETED") in ("COMPLETED", "FAILED") else []
        for command in (*ended, ["show", saga], ["history", saga], ["--json", "show", saga], ["cancel", saga, "--dry-run"],
                        ["retry", saga, "--dry-run"], ["resolve", saga, "a", "--as", "not-done", "--dry-run"]):
            done = self.server.cli(*command)
            yield "backstitch " + " ".join(command), done.stdout + done.stderr

    def in_state(self, name):
        def state():
            view = self.server.saga(self.sagas[name])
            tried = view["why"] and view["why"]["lastAnswer"] or name not in ("retrying", "polled")
            return view if view["status"] == STOPPED[name] and tried else None
        try:
            return harness.wait_until(state, 30, name, 0.05)
        except Exception:
            self.fail(f"{name} did not come to {STOPPED[name]}: {self.server.saga(self.sagas[name])}")

    def test_a_saga_in_every_state(self):
        for name, saga in self.sagas.items():
            view = self.in_state(name)
            # The test would find nothing if nothing was there to be masked.
            self.assertIn("***", json.dumps(view))
            for what, shown in self.readers(name, saga):
                with self.subTest(saga=name, reader=what):
                    self.search(what, shown)

    def test_lists(self):
        for name in self.sagas:
            self.in_state(name)
        self.search("GET /v1/sagas", self.server.api("GET", "/v1/sagas?limit=500")[1])
        self.search("GET /v1/sagas?failureCode", self.server.api("GET", "/v1/sagas?failureCode=NO")[1])
        for command in (["list"], ["--json", "list"], ["list", "--status", "FAILED"]):
            done = self.server.cli(*command)
            self.search("backstitch " + " ".join(command), done.stdout + done.stderr)
        for path in ("/metrics", "/readyz", "/v1/nodes", "/v1/services/p"):
            self.search(path, self.server.api("GET", path)[1])

    def test_starts_that_are_refused(self):
        for change in ({"pin": 1}, {"card": None}, {"number": PIN}, {"number": 1.5}, {"items": [PIN, 4]}, {"object": CARD}):
            status, body, _ = self.server.start_saga("canary.done", {**INPUT, **change})
            with self.subTest(change=change):
                self.assertEqual(status, 422, body)
                self.search("a refused start", body)
        key = definition("key", [call("a", 200)], businessKey="${input.card}")
        self.server.register_text(json.dumps(key))
        self.server.start_saga("canary.key", INPUT)
        status, body, _ = self.server.start_saga("canary.key", {**INPUT, "pin": "other"})
        self.assertEqual(status, 409, body)
        self.search("a reused business key", body)
        broken = definition("keybroken", [call("a", 200)], businessKey="${input.card * 2}", labels={"l": "${input.pin + 1}"})
        broken["input"]["properties"]["card"] = broken["input"]["properties"]["pin"] = {"x-sensitive": True}
        self.server.register_text(json.dumps(broken))
        status, body, _ = self.server.start_saga("canary.keybroken", INPUT)
        self.assertEqual(status, 400, body)
        self.search("a key that cannot be evaluated", body)
        status, body, _ = self.server.api("POST", "/v1/sagas/batch", {"sagas": [
            {"definition": "canary.keybroken", "input": INPUT}, {"definition": "canary.key", "input": {**INPUT, "pin": "other"}},
            {"definition": "canary.done", "input": {**INPUT, "pin": 1}}, {"definition": "canary.done", "input": INPUT}]})
        self.assertEqual(status, 200, body)
        self.search("a batch", body)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(json.dumps({**INPUT, "number": PIN}))
            file.flush()
            done = self.server.cli("start", "canary.done", "--input", file.name)
            self.search("backstitch start", done.stdout + done.stderr)

    def test_signals(self):
        name = "signalled"
        self.server.register_text(json.dumps(definition(name, [WAIT, AFTER_WAIT], output="${steps.w.output}")))
        saga = self.server.start_saga("canary." + name, INPUT)[1]["id"]
        path = f"/v1/sagas/{saga}/signals/paid"
        for payload in ({"secret": "x" + PAYLOAD}, {"secret": NUMBER}, {"secret": PAYLOAD, "code": PAYLOAD}, PAYLOAD):
            status, body, _ = self.server.api("POST", path, json.dumps(payload))
            self.assertEqual(status, 422, body)
            self.search("a refused signal", body)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"secret": "x" + PAYLOAD}, file)
            file.flush()
            done = self.server.cli("signal", saga, "paid", "--payload", file.name)
            self.search("backstitch signal", done.stdout + done.stderr)
        status, body, _ = self.server.api("POST", path, {"secret": PAYLOAD, "code": NUMBER})
        self.assertEqual(status, 202, body)
        self.search("a signal", body)
        self.assertEqual(self.server.ended(saga)["status"], "COMPLETED")
        for what, shown in self.readers(name, saga):
            with self.subTest(reader=what):
                self.search(what, shown)

    def test_commands(self):
        name = "commanded"
        steps = [{"name": "a", "retry": {"maxAttempts": 1}, "action": {"service": "p", "http": "PUT /500/a", "body": "${input.card}"},
                  "probe": {"http": "GET /500/a", "sealed": True, "retry": {"maxAttempts": 1}},
                  "compensation": {"http": "DELETE /500/${self.output.id}", "retry": {"maxAttempts": 1},
                                   "body": "${input.object.owner * self.output.factor}"}}]
        self.server.register_text(json.dumps(definition(name, steps)))
        saga = self.server.start_saga("canary." + name, INPUT)[1]["id"]
        self.assertEqual(self.server.ended(saga)["status"], "SUSPENDED")
        resolve = f"/v1/sagas/{saga}/steps/a/resolve"
        for query in ("?dryRun=true", ""):
            status, body, _ = self.server.api("POST", resolve + query, {"as": "done", "output": {"id": "i", "factor": 2}})
            with self.subTest(query=query):
                self.assertEqual(status, 422, body)
                self.search("a resolution that is refused", body)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"id": "i", "factor": 2}, file)
            file.flush()
            done = self.server.cli("resolve", saga, "a", "--as", "done", "--output", file.name)
            self.search("backstitch resolve", done.stdout + done.stderr)
        for action, body in (("suspend", {}), ("retry", {"reason": f"the card {CARD} was wrong"}), ("cancel", {"reason": PIN})):
            self.search(action, self.server.api("POST", f"/v1/sagas/{saga}/{action}", body)[1])
        for what, shown in self.readers(name, saga):
            with self.subTest(reader=what):
                self.search(what, shown)

    def test_views_for_sql(self):
        """They do not search the answers of participants, which stand in outputs."""
        for name in self.sagas:
            self.in_state(name)
        hidden = {"sagas": "to_jsonb(v) - 'output'", "steps": "to_jsonb(v) - 'output'"}
        for view, columns in hidden.items():
            rows = self.world.postgres.query(f"select coalesce(jsonb_agg({columns}), '[]') from backstitch.{view} v")
            self.search(f"backstitch.{view}", rows)
        for name in ("refused", "broken"):
            rows = self.world.postgres.query(f"select failure from backstitch.sagas where definition = 'canary.{name}'")
            self.search(f"the failure of {name}", rows)

    def test_the_log(self):
        for name in self.sagas:
            self.in_state(name)
        with open(self.log, encoding="utf-8") as file:
            log = file.read()
        self.assertIn("saga-suspended", log)
        self.search("the log", log)


if __name__ == "__main__":
    harness.require_build()
    unittest.main(verbosity=2)
