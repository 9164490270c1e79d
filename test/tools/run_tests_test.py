"""The runner of `./dev test`: what it counts, in what order it runs suites, when it ends one, and what it leaves behind."""
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import run_tests  # noqa: E402

DEADLINE_SECONDS = 30
SAMPLE_SECONDS = 0.1


def declared(name, *command, timeout=30, depends=(), is_parallel=True):
    return {"name": name, "cmd": list(command), "timeout": timeout, "depends": list(depends), "is_parallel": is_parallel,
            "env": {}, "workdir": None}


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not become true")
        time.sleep(0.02)  # poll
    return value


class Counting(unittest.TestCase):
    def test_cases_are_counted_by_the_closing_lines_of_the_program(self):
        for output, code, expected in (
                ("[doctest] test cases:  5 |  4 passed | 1 failed | 2 skipped", 1, (4, 1, 2)),
                ("\x1b[32mtest cases: 5 | \x1b[0m 5 passed | 0 failed | 0 skipped", 0, (5, 0, 0)),
                ("Ran 7 tests in 1.0s\n\nOK", 0, (7, 0, 0)),
                ("Ran 1 test in 1.0s\n\nOK", 0, (1, 0, 0)),
                ("Ran 7 tests in 1.0s\n\nFAILED (failures=1, errors=2, skipped=1)", 1, (3, 3, 1)),
                ("0 problem(s)", 0, (1, 0, 0)),
                ("1 problem(s)", 1, (0, 1, 0))):
            with self.subTest(output):
                self.assertEqual(run_tests.count(output, code), expected)

    def test_a_program_that_fails_after_its_cases_passed_has_a_failure(self):
        self.assertEqual(run_tests.count("test cases: 5 | 5 passed | 0 failed | 0 skipped", 1), (5, 1, 0))
        self.assertEqual(run_tests.count("Ran 5 tests in 1s\n\nOK", -signal.SIGSEGV), (4, 1, 0))

    def test_the_report_ends_with_the_slowest_suites_and_the_totals(self):
        report = run_tests.Report(2)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            report.add(declared("quick"), 0, "Ran 2 tests in 1s\n\nOK", 0.1)
            report.add(declared("slow"), 1, "what went wrong", 61.0)
            code = report.close()
        lines = out.getvalue().splitlines()
        self.assertEqual(lines, ["[1/2] ok     quick: 2 passed, 0 failed (0.1 s)", "[2/2] FAILED slow: 0 passed, 1 failed (61.0 s)",
                                 "what went wrong", "slowest: slow 61.0 s", "failed: slow", "what went wrong",
                                 "2 passed, 1 failed"])
        self.assertEqual(code, 1)

    def test_what_failed_is_repeated_from_where_the_program_begins_to_tell_of_it(self):
        line = "=" * 70 + "\n"
        for told in (line + "FAIL: test_of_something (__main__.Case)\n" + "-" * 70 + "\nAssertionError: 1 != 2\n",
                     line + "a_test.cpp:5:\nTEST CASE:  something holds\n\na_test.cpp:7: ERROR: CHECK( a ) is NOT correct!\n"):
            with self.subTest(told):
                passed = line + "b_test.cpp:5:\nTEST CASE:  another\n\nb_test.cpp:7: MESSAGE: nothing\n"
                self.assertEqual(run_tests.failure_in("much before\n" + passed + told), told)
        long = line + "ERROR: test_of_much (__main__.Case)\n" + "x" * run_tests.MAX_OUTPUT_SHOWN
        self.assertEqual(run_tests.failure_in("before\n" + long), long[:run_tests.MAX_FAILURE_REPEATED])
        self.assertEqual(run_tests.failure_in("y" * run_tests.MAX_OUTPUT_SHOWN), "y" * run_tests.MAX_FAILURE_REPEATED)

    def test_skipped_cases_are_named_in_the_closing_line(self):
        report = run_tests.Report(1)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            report.add(declared("some"), 0, "Ran 3 tests in 1s\n\nOK (skipped=1)", 0.1)
            code = report.close()
        self.assertEqual((out.getvalue().splitlines()[-1], code), ("2 passed, 0 failed, 1 skipped", 0))

    def test_nothing_that_ran_is_a_failure(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(run_tests.Report(0).close(), 1)


class Selecting(unittest.TestCase):
    def test_a_name_selects_every_test_that_contains_it(self):
        tests = [declared(name) for name in ("unit dsl base", "unit machine", "pg store")]
        for names, expected in (([], 3), (["unit"], 2), (["machine", "store"], 2), (["nothing"], 0)):
            self.assertEqual(len(run_tests.select(tests, names)), expected, names)

    def test_the_longest_suites_run_first_and_unmeasured_ones_by_their_timeout(self):
        tests = [declared("short"), declared("long"), declared("new", timeout=60), declared("newer", timeout=300)]
        self.assertEqual([t["name"] for t in run_tests.order(tests, {"short": 1.5, "long": 98.0})],
                         ["newer", "long", "new", "short"])

    def test_only_what_the_tests_need_is_built(self):
        targets = [{"id": "a@exe", "filename": ["/b/app/program"]}, {"id": "t@exe", "filename": ["/b/test/t"]},
                   {"id": "o@exe", "filename": ["/b/other"]}]
        self.assertEqual(run_tests.targets_of([declared("t", "/b/test/t", depends=["t@exe"])], targets, "/b"), ["test/t"])
        script = declared("e2e", "/usr/bin/python3", "/src/e2e.py", depends=["a@exe"])
        self.assertEqual(run_tests.targets_of([script], targets, "/b/"), ["app/program"])
        self.assertEqual(run_tests.targets_of([declared("tidy", "/usr/bin/python3", "/src/tidy.py")], targets, "/b"), [])


class Progress(unittest.TestCase):
    def setUp(self):
        self.clock = run_tests.ProgressClock(100, 0)

    def test_output_or_cpu_time_is_progress(self):
        self.assertIsNone(self.clock.sample(90, output=1, cpu=0))
        self.assertIsNone(self.clock.sample(180, output=1, cpu=2))
        self.assertIsNone(self.clock.sample(270, output=1, cpu=4))
        self.assertIn("no progress for 110 s", self.clock.sample(380, output=1, cpu=4))

    def test_the_cpu_time_of_a_poll_loop_is_not_progress(self):
        self.assertIsNone(self.clock.sample(60, output=0, cpu=0.4))
        self.assertIn("no progress", self.clock.sample(101, output=0, cpu=0.8))

    def test_slow_progress_adds_up(self):
        for now in range(10, 300, 10):
            self.assertIsNone(self.clock.sample(now, output=0, cpu=now * 0.02))

    def test_even_progress_ends_after_a_multiple_of_the_timeout(self):
        limit = run_tests.MAX_TIMEOUTS * 100
        self.assertIsNone(self.clock.sample(limit, output=1, cpu=0))
        self.assertIn("not finished", self.clock.sample(limit + 1, output=2, cpu=0))


class Running(unittest.TestCase):
    def setUp(self):
        with contextlib.ExitStack() as stack:
            self.folder = stack.enter_context(tempfile.TemporaryDirectory())
            self.runner = run_tests.Runner(self.folder, SAMPLE_SECONDS)
            stack.callback(self.runner.close)
            self.addCleanup(stack.pop_all().close)

    def run_shell(self, script, timeout=30):
        return self.runner.run(declared("shell", "/bin/sh", "-c", script, timeout=timeout))

    def test_output_and_exit_code_come_back(self):
        _, code, output, _ = self.run_shell("echo one; echo two >&2; exit 3")
        self.assertEqual((code, output), (3, "one\ntwo\n"))

    def test_a_suite_without_progress_is_ended_and_what_it_started_too(self):
        pid_file = os.path.join(self.folder, "pid")
        _, code, output, seconds = self.run_shell(f"setsid sleep 1000 & echo $! >{pid_file}; wait", timeout=1)
        self.assertEqual(code, 124)
        self.assertIn("no progress", output)
        self.assertLess(seconds, 600)
        self.assert_ended(pid_file)

    def test_a_suite_that_writes_is_not_ended_although_it_takes_longer_than_its_timeout(self):
        _, code, output, seconds = self.run_shell("for i in 1 2 3 4; do echo $i; sleep 0.5; done", timeout=1.5)
        self.assertEqual((code, output), (0, "1\n2\n3\n4\n"))
        self.assertGreater(seconds, 1.5)

    def test_processes_that_a_suite_leaves_behind_are_ended(self):
        pid_file = os.path.join(self.folder, "pid")
        # The wait lets the runner see the process before its parent ends.
        _, code, output, _ = self.run_shell(f"setsid sleep 1000 & echo $! >{pid_file}; sleep 0.5")
        self.assertEqual(code, 0)
        self.assertIn("1 processes were left behind", output)
        self.assert_ended(pid_file)

    def test_temporary_files_of_a_suite_are_removed(self):
        _, _, output, _ = self.run_shell("mktemp")
        self.assertTrue(output.startswith(self.runner.folder), output)
        self.assertFalse(os.path.exists(output.strip()))

    def test_databases_in_memory_are_removed(self):
        if not self.runner.memory:
            self.skipTest("no room in memory")
        _, _, output, _ = self.run_shell('touch "$BACKSTITCH_TEST_MEMORY/file"; echo "$BACKSTITCH_TEST_MEMORY"')
        self.assertTrue(output.startswith(self.runner.memory), output)
        self.assertEqual(os.listdir(self.runner.memory), [])
        self.runner.close()
        self.assertFalse(os.path.exists(self.runner.memory))

    def test_close_ends_what_runs_and_nothing_starts_after_it(self):
        pid_file = os.path.join(self.folder, "pid")
        results = []
        thread = threading.Thread(target=lambda: results.append(self.run_shell(f"echo $$ >{pid_file}; sleep 1000")))
        thread.start()
        wait_until(lambda: os.path.exists(pid_file) and os.path.getsize(pid_file))
        self.runner.close()
        thread.join(DEADLINE_SECONDS)
        self.assertNotEqual(results[0][1], 0)
        self.assert_ended(pid_file)
        self.assertEqual(self.run_shell("echo late")[2], "not started\n")
        self.assertFalse(os.path.exists(self.runner.folder))

    def assert_ended(self, pid_file):
        with open(pid_file, encoding="ascii") as file:
            process = run_tests.read_process(int(file.read()))
        self.assertTrue(process is None or process.state == "Z", process)


class Interrupted(unittest.TestCase):
    def setUp(self):
        # A shell that was started in the background ignores SIGINT, and so would what it starts.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

    def test_a_runner_that_is_told_to_stop_ends_its_suites(self):
        with tempfile.TemporaryDirectory() as folder:
            pid_file = os.path.join(folder, "pid")
            # Stands in for meson: lists one suite that never ends.
            tests = [declared("endless", "/bin/sh", "-c", f"echo $$ >{pid_file}; sleep 1000")]
            self.write(folder, "meson", "#!/bin/sh\ncat <<'END'\n" + json.dumps(tests) + "\nEND\n")
            for sig in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(sig), subprocess.Popen(
                        [sys.executable, os.path.join(ROOT, "tools", "run_tests.py"), "--build", folder],
                        env={**os.environ, "PATH": folder + ":" + os.environ["PATH"]}, stdout=subprocess.PIPE, text=True,
                        start_new_session=True) as runner:
                    try:
                        pid = int(wait_until(lambda: self.read(pid_file)))
                        runner.send_signal(sig)
                        self.assertEqual(runner.wait(DEADLINE_SECONDS), 130)
                    finally:
                        runner.kill()
                    self.assertIsNone(run_tests.read_process(pid))
                    os.remove(pid_file)

    @staticmethod
    def write(folder, name, text):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o755)

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""


if __name__ == "__main__":
    unittest.main(verbosity=2)
