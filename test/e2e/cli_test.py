"""Every command of the program: what it prints, its JSON, its exit codes."""
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest
from xml.etree import ElementTree

from support import World, harness, order

BAD = '{\n  "dsl": 1,\n  "name": "cli.bad",\n  "version": 1,\n  "stepz": [],\n  "steps": [{"name": "one", "value": 1}]\n}\n'


class WithServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def run_cli(self, *arguments, code=0):
        done = self.world.server.cli(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def cli(self, *arguments, code=0):
        return self.run_cli(*arguments, code=code).stdout


class CommandLine(WithServer):
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
        postgres.administer("create database shop owner backstitch")
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
        history = json.loads(self.cli("history", saga, "--json"))
        self.assertEqual((history["events"][0]["type"], history["next"]), ("SagaStarted", None))
        self.assertIn("COMPLETED", self.cli("watch", saga))
        self.assertIn(saga, self.cli("list", "--limit", "500"))
        self.assertIn(saga, [s["id"] for s in json.loads(
            self.cli("list", "--json", "--status", "COMPLETED", "--all"))["sagas"]])

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
        stored = json.loads(self.cli("services", "put", "inline", '{"baseUrl": "https://s.example"}', "--json"))
        self.assertEqual(stored["name"], "inline")

    def test_a_service_with_errors_is_refused_as_a_service(self):
        refused = self.run_cli("services", "put", "wrong", '{"baseUrl": 7}', code=1).stderr
        self.assertIn("1 error in the service; nothing was stored.", refused)
        self.assertIn("[service-invalid]", refused)
        self.assertIn("/baseUrl", refused)

    def test_register_says_what_is_wrong_and_exits_1(self):
        path = self.file("bad.json", BAD)
        done = self.world.server.cli("register", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("stepz", done.stderr)
        self.assertIn("registered", self.cli("register", harness.ORDER_DEFINITION))
        results = json.loads(self.cli("register", path, harness.ORDER_DEFINITION, "not-there.json", "--json", code=2))
        self.assertEqual([r["file"] for r in results], [path, harness.ORDER_DEFINITION, "not-there.json"])
        self.assertEqual(results[0]["error"]["code"], "definition-invalid")
        self.assertEqual(results[1]["name"], "orders.place")
        self.assertEqual(results[2]["error"]["code"], "file-unreadable")

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

    def test_an_argument_that_is_not_utf8_is_a_usage_error_that_names_it(self):
        for named, arguments in (("--label", ["start", "orders.place", "--label", b"a=\xff"]),
                                 ("--business-key", ["start", "orders.place", "--business-key", b"\xff"]),
                                 ("--reason", ["cancel", "0190a0a0-0000-7000-8000-000000000000", "--reason", b"\xff"]),
                                 ("ID", ["show", b"\xc3\x28"])):
            with self.subTest(arguments=arguments):
                done = self.world.server.cli(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f"{named} is not UTF-8", done.stderr)
                self.assertNotIn("json.exception", done.stderr)

    def test_no_message_shows_the_password_of_a_database(self):
        for arguments in (("migrate", "--database", "postgresql://u:hunter2@127.0.0.1:1/d"),
                          ("migrate", "--database", "postgresql://u:hunter2@[::1/d"),
                          ("migrate", "--database", "password=hunter2 nonsense"),
                          ("serve", "--database", "postgresql://u:hunter2@127.0.0.1:1/d", "--listen", "127.0.0.1:0"),
                          ("serve", "postgresql://u:hunter2@h/d"), ("postgresql://u:hunter2@h/d",)):
            with self.subTest(arguments=arguments):
                done = self.world.server.cli(*arguments)
                self.assertNotEqual(done.returncode, 0)
                self.assertNotIn("hunter2", done.stdout + done.stderr)

    def test_migrate_is_repeatable_and_can_only_say_what_it_would_do(self):
        self.assertIn("up to date", self.cli("migrate", "--database", self.world.postgres.url))
        plan = json.loads(self.cli("migrate", "--database", self.world.postgres.url, "--dry-run", "--json"))
        self.assertEqual(plan["migrations"], [])

    def test_the_script_of_a_dry_run_can_be_run_by_psql_and_prints_nothing(self):
        postgres = self.world.postgres
        postgres.administer("create database scripted owner backstitch")
        url = postgres.url_of("scripted")
        script = self.cli("migrate", "--database", url, "--dry-run")
        done = subprocess.run([*postgres.psql_command("scripted"), "-v", "ON_ERROR_STOP=1"], input=script, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.cli("migrate", "--database", url), "The schema is up to date.\n")

    def test_bench_runs_against_the_server_and_prints_its_figures(self):
        out = self.cli("bench", "--participants", self.world.participants.urls["orders"], "--in-flight", "8", "--seconds",
                       "1", "--warm-up", "0.2", "--json")
        result = json.loads(out)[0]
        self.assertAlmostEqual(result["appendsPerSaga"], 4, delta=0.5)
        self.assertGreater(result["sagasPerSecond"], 0)


KEYED = {"dsl": 1, "version": 1, "businessKey": "${input.id}", "businessKeyReuse": "afterFailed",
         "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "end": {"type": "string"}}}}
WAITS = {**KEYED, "name": "cli.waits",
         "steps": [{"name": "stop", "when": "${input?.end == 'fail'}", "fail": {"code": "STOPPED"}},
                   {"name": "decision", "wait": {"signal": "go", "timeout": "1h"}}]}
# Nobody listens on that port.
STUCK = {**KEYED, "name": "cli.stuck", "recovery": "forward", "services": {"away": {"baseUrl": "http://127.0.0.1:9"}},
         "steps": [{"name": "stick", "kind": "retryable", "retry": {"maxAttempts": 1},
                    "action": {"service": "away", "http": "PUT /x/${input.id}"}},
                   {"name": "decision", "wait": {"signal": "go", "timeout": "1h", "onTimeout": "continue"}}]}


class Following(WithServer):
    """Commands that wait for a saga, and commands that find one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for definition in (WAITS, {**WAITS, "name": "cli.others"}, STUCK):
            cls.world.server.register_text(json.dumps(definition))

    def start(self, key, end="go", definition="cli.waits"):
        return self.cli("start", definition, "--input", json.dumps({"id": key, "end": end})).split()[0]

    def running(self, *arguments):
        """A command that waits; its output comes line by line."""
        process = subprocess.Popen([harness.PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "BACKSTITCH_SERVER": self.world.server.url})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(harness.stop_process, process)
        return process

    def status(self, saga):
        return self.world.server.saga(saga)["status"]

    def test_a_start_that_waits_exits_by_what_became_of_the_saga(self):
        for definition, end, status, code in (("cli.waits", "fail", "FAILED", 1), ("cli.stuck", "", "SUSPENDED", 1),
                                              ("cli.waits", "go", "RUNNING", 4)):
            for json_option in ((), ("--json",)):
                given = json.dumps({"id": f"exit-{status}{len(json_option)}", "end": end})
                done = self.run_cli("start", definition, "--input", given, "--wait", "30s" if code == 1 else "1ms",
                                    *json_option, code=code)
                self.assertIn(status, done.stdout)
                self.assertEqual("the saga goes on" in done.stderr, code == 4, done.stderr)

    def test_the_id_is_printed_before_the_end_is_awaited(self):
        waiting = self.running("start", "cli.waits", "--input", '{"id": "early"}', "--wait", "60s")
        saga = waiting.stdout.readline().strip()
        self.assertEqual(self.status(saga), "RUNNING")
        self.cli("signal", saga, "go", "--payload", '"yes"')
        out, _ = waiting.communicate(timeout=60)
        self.assertEqual(waiting.returncode, 0)
        self.assertIn("COMPLETED", out)

    def test_with_json_the_id_goes_to_standard_error_and_the_saga_to_standard_output(self):
        waiting = self.running("start", "cli.waits", "--input", '{"id": "early-json"}', "--wait", "60s", "--json")
        saga = waiting.stderr.readline().strip()
        self.cli("signal", saga, "go")
        out, _ = waiting.communicate(timeout=60)
        self.assertEqual((waiting.returncode, json.loads(out)["id"], json.loads(out)["status"]), (0, saga, "COMPLETED"))

    def test_ctrl_c_leaves_the_saga_and_says_how_to_go_on(self):
        waiting = self.running("start", "cli.waits", "--input", '{"id": "left"}', "--wait", "60s")
        saga = waiting.stdout.readline().strip()
        watching = self.running("watch", saga)
        self.assertIn("SagaStarted", watching.stdout.readline())
        for process in (waiting, watching):
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 4, said)
            self.assertIn(f"Interrupted; the saga goes on. To wait for its end: backstitch watch {saga}\n", said)
        self.assertEqual(self.status(saga), "RUNNING")

    def test_a_watch_prints_every_event_and_exits_by_what_became_of_the_saga(self):
        saga = self.start("watched")
        watching = self.running("watch", saga, "--json")
        self.assertEqual(json.loads(watching.stdout.readline())["type"], "SagaStarted")
        self.cli("signal", saga, "go")
        out, _ = watching.communicate(timeout=60)
        self.assertEqual((watching.returncode, json.loads(out.splitlines()[-1])["type"]), (0, "SagaEnded"))
        self.cli("watch", self.start("watched-failed", "fail"), code=1)

    def test_a_list_says_when_there_is_more_and_how_to_get_it(self):
        sagas = {self.cli("start", "cli.others", "--input", f'{{"id": "listed-{i}"}}', "--label", "walk=yes").split()[0]
                 for i in range(3)}
        filters = ("--definition", "cli.others", "--label", "walk=yes")
        first = self.run_cli("list", *filters, "--limit", "2")
        self.assertEqual(len(first.stdout.splitlines()), 2)
        cursor = re.search(r"There are more sagas: add --cursor (\S+) for the next page, or --all for all", first.stderr)[1]
        rest = self.run_cli("list", *filters, "--limit", "2", "--cursor", cursor)
        self.assertEqual((len(rest.stdout.splitlines()), rest.stderr), (1, ""))
        self.assertEqual({line.split()[0] for line in (first.stdout + rest.stdout).splitlines()}, sagas)
        for arguments in (("--limit", "1", "--all"), ("--limit", "3")):
            whole = self.run_cli("list", *filters, *arguments)
            self.assertEqual((len(whole.stdout.splitlines()), whole.stderr), (3, ""))
        page = json.loads(self.cli("list", *filters, "--limit", "2", "--json"))
        self.assertEqual((set(page), len(page["sagas"]), page["cursor"]), ({"sagas", "cursor"}, 2, cursor))
        self.assertIsNone(json.loads(self.cli("list", *filters, "--json"))["cursor"])

    def test_a_command_that_reads_takes_the_unique_beginning_of_an_id(self):
        saga = self.start("prefix")
        for prefix in (saga[:32], saga[:30].upper()):
            self.assertIn(saga, self.cli("show", prefix))
            self.assertIn("SagaStarted", self.cli("history", prefix))
        other = self.start("prefix-2")
        while os.path.commonprefix([saga, other])[8:] == "":
            saga, other = other, self.start(f"prefix-{other}")
        refused = self.run_cli("show", saga[:8], code=2).stderr
        self.assertIn("give more characters", refused)
        self.assertIn("cli.waits  RUNNING", refused)
        self.assertIn("8 characters", self.run_cli("show", saga[:7], code=2).stderr)
        self.assertIn("no saga", self.run_cli("show", "00000000-0000", code=1).stderr)
        self.cli("show", "00000000-0000-7000-8000-000000000000", code=1)

    def test_a_command_that_reads_takes_a_business_key_of_one_definition(self):
        first, saga = self.start("keyed", "fail"), self.start("keyed")
        self.assertIn(first, self.cli("show", first))
        self.assertIn(saga, self.cli("show", "--business-key", "keyed"))
        self.assertEqual(json.loads(self.cli("show", "--business-key", "keyed", "--json"))["status"], "RUNNING")
        other = self.start("keyed", definition="cli.others")
        refused = self.run_cli("history", "--business-key", "keyed", code=2).stderr
        for part in ("add --definition", saga, "cli.waits", other, "cli.others"):
            self.assertIn(part, refused)
        self.assertIn(other, self.cli("show", "--business-key", "keyed", "--definition", "cli.others"))
        self.assertIn("business key `nobody`", self.run_cli("show", "--business-key", "nobody", code=1).stderr)

    def test_a_command_that_changes_takes_a_business_key_with_its_definition(self):
        older, saga = self.start("changed", "fail"), self.start("changed")
        keyed = ("--business-key", "changed", "--definition", "cli.waits")
        self.assertIn(f"sent go to {saga}", self.cli("signal", "go", *keyed, "--payload", "{}"))
        self.assertEqual(self.world.server.ended(saga)["status"], "COMPLETED")
        self.assertEqual(self.status(older), "FAILED")
        cancelled = self.start("changed-2")
        self.assertIn(cancelled, self.cli("cancel", "--business-key", "changed-2", "--definition", "cli.waits"))
        stuck = self.start("changed-3", definition="cli.stuck")
        self.assertEqual(self.world.server.ended(stuck)["status"], "SUSPENDED")
        keyed = ("--business-key", "changed-3", "--definition", "cli.stuck")
        plan = self.cli("resolve", "stick", *keyed, "--as", "done", "--output", '{"id": "x"}', "--dry-run")
        self.assertIn("waits at decision", plan)
        self.cli("suspend", *keyed, code=1)
        self.assertIn("no saga of `cli.waits`", self.run_cli("retry", "--business-key", "nobody", "--definition", "cli.waits",
                                                             code=1).stderr)

    def test_the_way_to_go_on_names_the_server_that_was_given(self):
        done = subprocess.run([harness.PROGRAM, "start", "cli.waits", "--input", '{"id": "given"}', "--wait", "1ms", "--server",
                               self.world.server.url], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(f"--server {self.world.server.url}\n", done.stderr)


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
        self.assertIn("RUNNING", self.rehearse("transfer", "--until", "90m", code=4))

    def test_what_makes_no_sense_is_misuse(self):
        for arguments, why in ((("--fail", "nobody=refuse"), "nobody"), (("--fail", "authorise=explode"), "explode"),
                               (("--cancel@soon",), "--cancel@TIME"), (("--explode",), "--explode"),
                               (("--until", "soon"), "--until"), (("--answer", "nobody={}"), "nobody")):
            self.assertIn(why, self.rehearse("order", *arguments, code=2))


if __name__ == "__main__":
    unittest.main(verbosity=2)
