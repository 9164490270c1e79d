"""What `verify` says of a definition, and that its exit code is true."""
import hashlib
import json
import os
import pty
import signal
import subprocess
import tempfile
import unittest

from support import harness

SERVICES = {"s": {"baseUrl": "https://s.example"}}


def call(name, more=None):
    return {"name": name, "action": {"service": "s", "http": f"PUT /{name}"}, "compensation": {"http": f"DELETE /{name}"}, **(more or {})}


def definition(steps, given=None, name="t.verify"):
    properties = given or {}
    return {"dsl": 1, "name": name, "version": 1, "services": SERVICES, "steps": steps,
            "input": {"type": "object", "required": list(properties), "properties": properties}}


# A condition that no made-up input meets: the digest of a text is this one.
OUT_OF_REACH = "${sha256(input.code) == 'ab'}"
CODE = {"code": {"type": "string"}, "list": {"type": "array", "items": {"type": "integer"}}}


class Verify(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, content, name="saga.json"):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def verify(self, *arguments, code=0, given=""):
        done = subprocess.run([harness.PROGRAM, "verify", *arguments], capture_output=True, text=True, timeout=120, check=False,
                              input=given)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def found(self, *arguments, code=0, given=""):
        return json.loads(self.verify(*arguments, "--json", code=code, given=given))

    def test_every_way_of_a_sound_definition_is_followed(self):
        found = self.found(harness.ORDER_DEFINITION)
        self.assertEqual(set(found), {"file", "states", "transitions", "complete", "endings", "violations", "unreached", "assumptions",
                                      "notes", "worstCase"})
        self.assertEqual((found["complete"], found["violations"], found["notes"], found["unreached"], found["assumptions"]),
                         (True, [], [], [], []))
        self.assertIn("FAILED", {ending["status"] for ending in found["endings"]})
        out = self.verify(harness.ORDER_DEFINITION)
        self.assertIn("every promise holds", out)
        self.assertIn("CARD_DECLINED at authorise", out)

    def test_a_violation_is_1_with_the_shortest_counterexample(self):
        broken = self.file(definition([{"name": "a", "action": {"service": "s", "http": "GET /a"}},
                                       {"name": "b", "value": "${steps.a.output?.first.second}"}]))
        violation = self.found(broken, code=1)["violations"][0]
        self.assertEqual((violation["promise"], violation["assumed"]), ("expression", False))
        self.assertIn("a: done", violation["story"][1])
        self.assertIn("violates expression", self.verify(broken, code=1))

    def test_a_violation_on_an_assumed_way_is_4(self):
        path = self.file(definition([{"name": "v", "when": OUT_OF_REACH, "value": "${input.list[25]}"}], CODE))
        found = self.found(path, code=4)
        self.assertTrue(found["violations"][0]["assumed"])
        self.assertEqual(found["assumptions"], ['sha256(input.code) == "ab" was never true'])
        out = self.verify(path, code=4)
        self.assertIn("may violate expression (assumed)", out)
        self.assertIn("assumed both ways: sha256(input.code)", out)

    def test_a_sound_definition_with_an_assumption_is_0_and_tells_it(self):
        path = self.file(definition([{"name": "v", "when": OUT_OF_REACH, "fail": {"code": "RARE"}}], CODE))
        self.assertIn("every promise holds, also on the assumed ways", self.verify(path))
        ending = next(one for one in self.found(path)["endings"] if one.get("why") == "RARE at v")
        self.assertTrue(ending["assumed"])

    def test_what_was_cut_or_never_reached_is_4(self):
        self.assertIn("stopped at the bound of 100 states", self.verify(harness.ORDER_DEFINITION, "--states-max", "100", code=4))
        self.assertFalse(self.found(harness.ORDER_DEFINITION, "--states-max", "100", code=4)["complete"])
        dead = self.file(definition([{"name": "t", "try": {"steps": [call("a")],
                                                           "catch": [{"codes": ["LIMIT_EXCEEDED"], "steps": []}]}}]))
        self.assertIn("never reached: catch 1 of `t`", self.verify(dead, code=4))

    def test_an_input_that_is_given_is_explored_and_one_that_is_not_admitted_is_told(self):
        path = self.file(definition([{"name": "v", "when": "${sha256(input.code) == '" + digest("Q7") + "'}", "fail": {"code": "RARE"}}],
                                    CODE))
        given = '{"code":"Q7","list":[1]}'
        for how, stdin in ((given, ""), ("-", given), (self.file(given, "input.json"), "")):
            found = self.found(path, "--input", how, given=stdin)
            ending = next(one for one in found["endings"] if one.get("why") == "RARE at v")
            self.assertNotIn("assumed", ending)
            self.assertEqual(found["assumptions"], [])
        refused = subprocess.run([harness.PROGRAM, "verify", path, "--input", '{"code":7}'], capture_output=True, text=True, timeout=60,
                                 check=False)
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("was not used", refused.stderr)
        self.verify(path, "--input", '{"code":', code=2)

    def test_a_child_that_is_given_as_a_file_is_known_to_its_parent(self):
        child = self.file(definition([call("hold"), {"name": "capture", "kind": "pivot", "action": {"service": "s", "http": "PUT /c"}}],
                                     name="parcel.send"), "child.json")
        loop = {"name": "each", "forEach": {"in": "${input.ids}", "as": "x", "key": "${x}", "steps": [
            {"name": "one", "saga": {"name": "parcel.send", "input": {}}}]}}
        parent = self.file(definition([loop], {"ids": {"type": "array", "items": {"type": "string"}}}), "parent.json")
        self.verify(parent)
        found = self.found(parent, child, code=1)
        self.assertEqual({one["code"] for one in found[0]["findings"] if one["severity"] == "error"}, {"E204"})
        self.assertTrue(found[1]["complete"])

    def test_a_refused_definition_is_1_and_wrong_usage_2(self):
        self.assertIn("E002", self.verify(self.file({"dsl": 1, "name": "t.bad", "version": 1, "stepz": []}), code=1))
        self.verify(code=2)

    def test_a_long_search_shows_how_far_it_is_and_ends_with_what_it_found(self):
        branches = {f"b{i}": [call(f"s{i}{j}") for j in range(3)] for i in range(8)}
        path = self.file(definition([{"name": "p", "parallel": {"branches": branches}}]))
        screen, terminal = pty.openpty()
        self.addCleanup(os.close, screen)
        with subprocess.Popen([harness.PROGRAM, "verify", path, "--states-max", "1000000000"], stdout=subprocess.PIPE, stderr=terminal,
                              text=True) as process:
            self.addCleanup(process.kill)
            os.close(terminal)
            shown = b""
            while b"to go on from" not in shown:
                shown += os.read(screen, 4096)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 4, out)
        self.assertIn("note: interrupted", out)
        self.assertIn("no violation so far", out)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    unittest.main()
