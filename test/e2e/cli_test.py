"""Every command of the program: what it prints, its JSON, its exit codes."""
import json
import os
import signal
import subprocess
import tempfile
import unittest
from xml.etree import ElementTree

from support import World, harness, order

BAD = '{\n  "dsl": 1,\n  "name": "cli.bad",\n  "version": 1,\n  "stepz": [],\n  "steps": [{"name": "one", "value": 1}]\n}\n'


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def cli(self, *arguments, code=0):
        done = self.world.server.cli(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def started(self, number):
        path = self.file(f"{number}.json", order(number))
        return json.loads(self.cli("start", "orders.place", "--input", path, "--wait", "30s", "--json"))

    def test_guard_sql_is_all_that_a_participants_database_needs_and_may_be_applied_again(self):
        script = self.cli("guard-sql")
        postgres = self.world.postgres
        self.assertEqual(postgres.psql("postgres", "create database shop").returncode, 0)
        # A database of its own, and the engine's, which has it by its migrations.
        for database in ("shop", "shop", "backstitch"):
            done = postgres.psql(database, script)
            self.assertEqual(done.returncode, 0, done.stderr)
        for database in ("shop", "backstitch"):
            said = [postgres.psql(database, f"select backstitch.guard('cli', '{phase}')").stdout.strip()
                    for phase in ("forward", "forward", "compensate", "compensate", "forward")]
            self.assertEqual(said, ["proceed", "repeated", "proceed", "repeated", "refused"])

    def test_start_waits_and_prints_the_timeline_without_colours(self):
        path = self.file("plain.json", order("plain"))
        out = self.cli("start", "orders.place", "--input", path, "--wait", "30s")
        self.assertIn("COMPLETED", out)
        self.assertIn("authorise", out)
        self.assertNotIn("\x1b", out)

    def test_start_without_waiting_prints_the_id_and_the_key_makes_it_repeatable(self):
        path = self.file("key.json", order("key"))
        first = self.cli("start", "orders.place", "--input", path, "--key", "cli-key").split()[0]
        again = self.cli("start", "orders.place", "--input", path, "--key", "cli-key").split()[0]
        self.assertEqual(first, again)

    def test_show_history_watch_and_list_know_the_saga(self):
        saga = self.started("known")["id"]
        self.assertIn(saga, self.cli("show", saga))
        self.assertEqual(json.loads(self.cli("show", saga, "--json"))["id"], saga)
        self.assertIn("SagaStarted", self.cli("history", saga))
        self.assertEqual(json.loads(self.cli("history", saga, "--json"))[0]["type"], "SagaStarted")
        self.assertIn("COMPLETED", self.cli("watch", saga))
        self.assertIn(saga, self.cli("list", "--limit", "500"))
        self.assertIn(saga, [s["id"] for s in json.loads(self.cli("list", "--json", "--status", "COMPLETED", "--all"))])

    def test_definitions_and_services_are_listed(self):
        self.assertIn("orders.place", self.cli("definitions"))
        self.assertIn("payments", self.cli("services"))
        self.assertIn("orders", json.dumps(json.loads(self.cli("services", "--json"))))
        path = self.file("service.json", {"baseUrl": self.world.participants.urls["mail"]})
        self.cli("services", "put", "cli-service", path)
        self.assertIn("cli-service", self.cli("services"))
        shown = self.cli("services", "show", "cli-service")
        self.assertIn("baseUrl", shown)
        self.assertIn("0 running sagas call it", shown)
        self.cli("services", "show", "not-there", code=1)

    def test_register_says_what_is_wrong_and_exits_1(self):
        path = self.file("bad.json", BAD)
        done = self.world.server.cli("register", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("stepz", done.stderr)
        self.assertIn("registered", self.cli("register", harness.ORDER_DEFINITION))

    def test_validate_prints_the_line_a_caret_and_the_fix(self):
        path = self.file("bad.json", BAD)
        out = self.cli("validate", path, code=1)
        self.assertIn(f"{path}:5:", out)
        self.assertIn('  5 |   "stepz": [],\n    |   ^~~~~~~\n', out)
        self.assertIn("hint: did you mean `steps`?", out)
        self.assertNotIn("\x1b", out)
        self.assertEqual(out.splitlines()[-1], f"1 error in {path}")
        found = json.loads(self.cli("validate", path, "--json", code=1))
        self.assertEqual((found["file"], found["findings"][0]["pointer"]), (path, "/stepz"))
        self.assertEqual(set(found), {"file", "findings"})
        self.assertEqual(set(found["findings"][0]), {"code", "severity", "pointer", "line", "message", "hint"})
        self.assertEqual(len(json.loads(self.cli("validate", path, path, "--json", code=1))), 2)
        self.assertIn("no findings", self.cli("validate", harness.ORDER_DEFINITION))

    def test_graph_draws_in_three_formats_and_says_what_is_wrong(self):
        self.assertIn("flowchart TB", self.cli("graph", harness.ORDER_DEFINITION))
        self.assertIn("digraph", self.cli("graph", harness.ORDER_DEFINITION, "--format", "dot"))
        svg = ElementTree.fromstring(self.cli("graph", harness.ORDER_DEFINITION, "--format", "svg"))
        steps = [g.get("data-step") for g in svg.iter("{http://www.w3.org/2000/svg}g") if g.get("data-step")]
        self.assertEqual(steps[:3] + steps[-1:], ["total", "createOrder", "reserveStock", "tellCustomer"])
        path = self.file("bad.json", BAD)
        done = self.world.server.cli("graph", path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(f"{path}:5:", done.stderr)
        self.cli("graph", harness.ORDER_DEFINITION, "--format", "png", code=2)
        with open(harness.ORDER_DEFINITION, encoding="utf-8") as text:
            piped = subprocess.run([harness.PROGRAM, "graph", "-"], stdin=text, capture_output=True, text=True, timeout=60)
        self.assertEqual(piped.stdout, self.cli("graph", harness.ORDER_DEFINITION))

    def test_verify_follows_every_way_and_finds_the_shortest_counterexample(self):
        found = json.loads(self.cli("verify", harness.ORDER_DEFINITION, "--json"))
        self.assertEqual(set(found), {"file", "states", "transitions", "complete", "endings", "violations", "worstCase"})
        self.assertEqual((found["complete"], found["violations"]), (True, []))
        self.assertEqual(set(found["endings"][0]), {"status", "count", "story"})
        self.assertIn("FAILED", {ending["status"] for ending in found["endings"]})
        out = self.cli("verify", harness.ORDER_DEFINITION)
        self.assertIn("every promise holds", out)
        self.assertIn("CARD_DECLINED at authorise", out)
        self.assertIn("bound reached", self.cli("verify", harness.ORDER_DEFINITION, "--states-max", "100"))
        broken = self.file("broken.json", {
            "dsl": 1, "name": "cli.broken", "version": 1, "services": {"s": {"baseUrl": "https://s.example"}},
            "steps": [{"name": "a", "action": {"service": "s", "http": "GET /a"}},
                      {"name": "b", "value": "${steps.a.output?.first.second}"}]})
        violation = json.loads(self.cli("verify", broken, "--json", code=1))["violations"][0]
        self.assertEqual(violation["promise"], "expression")
        self.assertIn("a: done", violation["story"][1])
        self.assertIn("violates expression", self.cli("verify", broken, code=1))
        self.assertIn("E002", self.cli("verify", self.file("bad.json", BAD), code=1))
        self.cli("verify", code=2)

    def test_operator_commands_pass_on_what_the_server_says(self):
        saga = self.started("operator")["id"]
        for command in (["cancel", saga], ["retry", saga], ["skip", saga, "capture"]):
            done = self.world.server.cli(*command, "--reason", "test")
            self.assertEqual(done.returncode, 1, command)
            self.assertIn("error:", done.stderr)

    def test_exit_codes_tell_usage_and_unreachable_apart(self):
        self.cli("nonsense", code=2)
        self.cli("start", code=2)
        self.cli("show", "0190a0a0-0000-7000-8000-000000000000", code=1)
        self.cli("list", "--server", f"http://127.0.0.1:{harness.free_port()}", code=3)
        self.cli("migrate", "--database", f"postgresql://x@127.0.0.1:{harness.free_port()}/x", code=3)
        for arguments in (["--help"], ["start", "--help"], ["--version"]):
            self.assertTrue(self.cli(*arguments))

    def test_migrate_is_repeatable_and_can_only_say_what_it_would_do(self):
        self.assertIn("up to date", self.cli("migrate", "--database", self.world.postgres.url))
        plan = json.loads(self.cli("migrate", "--database", self.world.postgres.url, "--dry-run", "--json"))
        self.assertEqual(plan["migrations"], [])

    def test_bench_runs_against_the_server_and_prints_its_figures(self):
        out = self.cli("bench", "--participants", self.world.participants.urls["orders"], "--in-flight", "8", "--seconds",
                       "1", "--warm-up", "0.2", "--json")
        result = json.loads(out)[0]
        self.assertAlmostEqual(result["appendsPerSaga"], 4, delta=0.5)
        self.assertGreater(result["sagasPerSecond"], 0)


class Rehearse(unittest.TestCase):
    """Needs neither a server nor participants."""
    examples = os.path.join(harness.ROOT, "examples")

    def rehearse(self, example, *arguments, code=0, lang="C.UTF-8"):
        folder = os.path.join(self.examples, example)
        definitions = sorted((n for n in os.listdir(folder) if n.endswith(".json") and n != "input.json"), reverse=True)
        done = subprocess.run([harness.PROGRAM, "rehearse", *(os.path.join(folder, n) for n in definitions), "--input",
                               os.path.join(folder, "input.json"), *arguments], capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ["PATH"], "LANG": lang}, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code != 2 else done.stderr

    def test_it_prints_the_timeline_the_end_and_what_is_left(self):
        out = self.rehearse("order", "--fail", "authorise=refuse:CARD_DECLINED", code=1)
        for part in ("orders.place v3 starts", "PUT /reservations/o-17 to inventory", "FAILED", "CARD_DECLINED", "undone +"):
            self.assertIn(part, out)
        self.assertNotIn("\x1b", out)
        self.assertIn("COMPLETED", self.rehearse("travel"))

    def test_its_json_is_the_same_every_time(self):
        arguments = ("--fail", "authorise=transient*3", "--fail", "ship=down:71h", "--seed", "9", "--json")
        first = self.rehearse("order", *arguments)
        self.assertEqual(first, self.rehearse("order", *arguments))
        report = json.loads(first)
        self.assertEqual(report["status"], "COMPLETED")
        self.assertTrue(report["file"].endswith("orders.place.json"))
        self.assertEqual(report["timeline"][0]["offset"], "0s")
        self.assertEqual({e["effect"] for e in report["ledger"]}, {"exists"})
        self.assertTrue(report["took"].startswith("2d23h"), report["took"])

    def test_signals_and_cancellation_come_at_their_time(self):
        yes = ("--signal", 'decision@2h={"approved": true}')
        self.assertIn("COMPLETED", self.rehearse("transfer", *yes))
        self.assertIn("WAIT_TIMEOUT", self.rehearse("transfer", code=1))
        for cancel in (("--cancel@1h",), ("--cancel-at", "decision")):
            self.assertIn("CANCELLED", self.rehearse("transfer", *yes, *cancel, code=1))
        self.assertIn("RUNNING", self.rehearse("transfer", "--until", "90m", code=1))

    def test_what_makes_no_sense_is_misuse(self):
        for arguments, why in ((("--fail", "nobody=refuse"), "nobody"), (("--fail", "authorise=explode"), "explode"),
                               (("--cancel@soon",), "--cancel@TIME"), (("--explode",), "--explode"),
                               (("--until", "soon"), "--until"), (("--answer", "nobody={}"), "nobody")):
            self.assertIn(why, self.rehearse("order", *arguments, code=2))


class Dev(unittest.TestCase):
    def test_dev_brings_a_database_and_a_server_up_and_takes_both_down(self):
        folder = tempfile.mkdtemp(prefix="backstitch-dev-")
        port = harness.free_port()
        process = subprocess.Popen([harness.PROGRAM, "dev", "--port", str(port), "--data", folder],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            def ready():
                try:
                    return harness.request(f"http://127.0.0.1:{port}", "GET", "/readyz")[0] == 200
                except OSError:
                    self.assertIsNone(process.poll(), "dev ended early")
                    return False
            harness.wait_until(ready, 60, "dev to be ready")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(40), 0)
            self.assertFalse(os.path.exists(os.path.join(folder, "data", "postmaster.pid")))
        finally:
            harness.stop_process(process)
            process.stdout.close()
            subprocess.run(["rm", "-rf", folder], check=False)


if __name__ == "__main__":
    unittest.main(verbosity=2)
