"""What a terminal gets of texts that others wrote: nothing that it obeys."""
import http.server
import json
import os
import subprocess
import tempfile
import unittest

from support import harness

ID = "01890000-0000-7000-8000-000000000000"
AT = "2026-01-02T03:04:05.000Z"
HOSTILE = "x\x1b]0;PWNED\x07\x1b[2J\x1b[31mX\x9b31mY\u202ez\x7f\r\u2066\x85\x00 é😀\nerror: forged [line]"
CONTROLS = {"ESC": "\x1b", "BEL": "\x07", "CSI": "\x9b", "NEL": "\x85", "RLO": "\u202e", "LRI": "\u2066", "DEL": "\x7f",
            "CR": "\r", "NUL": "\x00"}

FAILURE = {"code": HOSTILE, "class": "refused", "step": HOSTILE, "message": HOSTILE, "details": {HOSTILE: HOSTILE}}
STEP = {"name": HOSTILE, "path": HOSTILE, "kind": "pivot", "status": "failed", "attempts": 2, "startedAt": AT, "endedAt": AT,
        "output": {HOSTILE: HOSTILE}, "failure": FAILURE,
        "compensation": {"status": "failed", "attempts": 1, "startedAt": AT, "endedAt": AT, "failure": FAILURE}}
SAGA = {"id": ID, "definition": HOSTILE, "version": 1, "status": "FAILED", "businessKey": HOSTILE, "labels": {HOSTILE: HOSTILE},
        "startedAt": AT, "endedAt": AT, "input": HOSTILE, "output": {HOSTILE: HOSTILE}, "failure": FAILURE,
        "suspension": {"reason": HOSTILE, "message": HOSTILE, "step": HOSTILE}, "suspensions": [{"step": HOSTILE, "reason": HOSTILE}],
        "steps": [STEP, {**STEP, "failure": None}],
        "why": {"code": "x", "sentence": HOSTILE, "since": HOSTILE, "nextAttemptAt": HOSTILE, "until": HOSTILE, "step": "other",
                "participant": {"url": HOSTILE, "key": HOSTILE}, "lastAnswer": FAILURE},
        "awaits": [{"step": HOSTILE, "what": HOSTILE, "until": HOSTILE}],
        "acted": [{"at": HOSTILE, "action": HOSTILE, "step": HOSTILE, "as": HOSTILE, "by": HOSTILE, "reason": HOSTILE}],
        "actions": [{"action": HOSTILE, "step": HOSTILE, "signal": HOSTILE, "as": HOSTILE, "needs": HOSTILE, "does": HOSTILE}]}
PLAN = {"dryRun": True, "end": HOSTILE, "complete": False, "warnings": [HOSTILE],
        "steps": [{"action": HOSTILE, "step": HOSTILE, "request": HOSTILE}]}
ANSWERS = {f"/v1/sagas/{ID}": SAGA, f"/v1/sagas/{ID}/retry": PLAN,
           f"/v1/sagas/{ID}/history": {"events": [{"sequence": 1, "at": HOSTILE, "type": HOSTILE, "path": HOSTILE,
                                                   "data": {HOSTILE: HOSTILE}}], "next": None},
           "/v1/sagas": {"sagas": [SAGA, SAGA], "cursor": HOSTILE},
           "/v1/definitions": {"definitions": [{"name": HOSTILE, "activeVersion": 1, "versions": [1]}]},
           "/v1/services": {"services": [{"name": HOSTILE, "service": {"baseUrl": HOSTILE}}]},
           "/v1/services/a": {"name": "a", "service": {"baseUrl": HOSTILE, HOSTILE: HOSTILE}, "sagas": 0},
           "/v1/nodes": {"nodes": [{"name": HOSTILE, "address": HOSTILE, "shards": 1, "startedAt": HOSTILE, "leaseUntil": HOSTILE}]}}
PROBLEM = {"code": HOSTILE, "title": HOSTILE, "detail": HOSTILE, "status": 422,
           "errors": [{"pointer": HOSTILE, "code": HOSTILE, "message": HOSTILE, "hint": HOSTILE}]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_any(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        starts = self.command == "POST" and self.path == "/v1/sagas"
        answer = None if starts or "refuse" in self.path else ANSWERS.get(self.path.split("?")[0])
        body = json.dumps(answer or PROBLEM).encode()
        self.send_response(200 if answer else 422)
        self.send_header("Content-Type", "application/json" if answer else "application/problem+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_any

    def log_message(self, *_):
        pass


class Terminal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.HttpService()
        cls.server.serve(Handler)
        cls.addClassCleanup(cls.server.stop)
        folder = tempfile.TemporaryDirectory(prefix="backstitch-terminal-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name

    def run_cli(self, *arguments, colour=False):
        """@return standard output, standard error; neither has a control character"""
        environment = {**os.environ, "BACKSTITCH_SERVER": self.server.url, **({"CLICOLOR_FORCE": "1"} if colour else {})}
        done = subprocess.run([harness.PROGRAM, *arguments], capture_output=True, env=environment, stdin=subprocess.DEVNULL,
                              timeout=60)
        out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        for style in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m") if colour else ():
            out, err = out.replace(style, ""), err.replace(style, "")
        found = [name for name, text in CONTROLS.items() if text in out + err]
        self.assertEqual(found, [], (arguments, out, err))
        return out, err

    def file(self, text):
        path = os.path.join(self.folder, "given.json")
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    COMMANDS = (("show", ID), ("list",), ("history", ID), ("watch", ID), ("retry", ID, "--dry-run"), ("definitions",),
                ("services",), ("services", "show", "a"), ("nodes",), ("show", ID[:8]))

    def test_answers_of_a_server_are_shown_without_their_controls_and_cannot_forge_a_line(self):
        for command in self.COMMANDS:
            with self.subTest(command=command):
                out, err = self.run_cli(*command)
                self.assertIn("\\u001b", out + err)
                self.assertFalse([line for line in (out + err).splitlines() if line.startswith("error: forged")])

    def test_json_for_machines_keeps_every_character_and_shows_none(self):
        for command in self.COMMANDS[:4]:
            with self.subTest(command=command):
                out, _ = self.run_cli(*command, "--json")
                decoder, at, found = json.JSONDecoder(), 0, []
                while at < len(out.rstrip()):
                    value, at = decoder.raw_decode(out, at)
                    found.append(json.dumps(value))
                    at += len(out[at:]) - len(out[at:].lstrip())
                self.assertIn(json.dumps(HOSTILE), "".join(found))

    def test_colours_are_the_programs_own(self):
        self.run_cli("show", ID)
        for command in self.COMMANDS:
            out, _ = self.run_cli(*command, colour=True)
            self.assertNotIn("\x1b", out)

    def test_a_refusal_is_shown_without_its_controls_and_cannot_forge_a_line(self):
        for command in (("show", ID.replace("0", "1")), ("services", "show", "refuse"), ("start", "a", "--input", "{}")):
            _, err = self.run_cli(*command)
            self.assertIn("\\u001b", err)
            self.assertEqual(len([line for line in err.splitlines() if line.startswith("error:")]), 1)

    def test_definitions_of_strangers_are_judged_without_their_controls(self):
        hostile = {"dsl": 1, "name": "atk.e" + HOSTILE, "version": 1, "k" + HOSTILE: 1,
                   "steps": [{"name": "s" + HOSTILE, "value": "${nope" + HOSTILE + "}"}]}
        for text in (json.dumps(hostile), json.dumps(hostile, ensure_ascii=False), '{"a": ' + HOSTILE,
                     json.dumps(hostile, ensure_ascii=False).encode() + b"\xff\x1b", b"\xff1\xff2{\x1b}"):
            for command in ("validate", "verify", "graph", "register", "rehearse"):
                with self.subTest(command=command, text=text[:30]):
                    self.run_cli(command, self.file(text))

    def test_arguments_are_repeated_without_their_controls(self):
        hostile = HOSTILE.replace("\x00", "")
        for arguments in ((hostile,), ("show", hostile), ("list", "--" + hostile), ("list", "--server", hostile),
                          ("validate", hostile), ("start", "a", "--input", "{" + hostile), ("start", "a", "--input", hostile),
                          ("list", "--label", hostile), ("rehearse", hostile)):
            with self.subTest(arguments=arguments):
                self.run_cli(*arguments)

    def test_a_long_value_is_cut_between_characters(self):
        # Decoding as UTF-8 is the check: see run_cli.
        for extra in range(4):
            long = {**SAGA, "output": "a" * extra + "é😀" * 60}
            ANSWERS[f"/v1/sagas/{ID}"] = long
            self.addCleanup(ANSWERS.__setitem__, f"/v1/sagas/{ID}", SAGA)
            self.assertIn("...", self.run_cli("show", ID)[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
