"""What the program does with its process: descriptors, output, signals, core dumps, threads that cannot
be made."""
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from support import UNSYNCED_ARGUMENTS, harness

NOBODY = 65534
IS_ROOT = os.getuid() == 0


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class Process(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED, tcp=True)
        cls.enterClassContext(cls.postgres)
        subprocess.run([harness.PROGRAM, "migrate", "--database", cls.postgres.url], check=True, stdout=subprocess.DEVNULL)

    def command(self, *arguments, database=None, host="127.0.0.1"):
        self.port = harness.free_port()
        return [harness.PROGRAM, "serve", "--database", database or self.postgres.url, "--listen", f"{host}:{self.port}", "--node", "n",
                "--allow-host", "127.0.0.1", "--reactors", "2", *UNSYNCED_ARGUMENTS, *arguments]

    def start(self, *arguments, **how):
        process = subprocess.Popen(self.command(*arguments), stdout=subprocess.DEVNULL, **how)
        self.addCleanup(harness.stop_process, process)
        harness.wait_until(lambda: self.is_ready(process), 30, "the server to be ready")
        return process

    def is_ready(self, process):
        self.assertIsNone(process.poll(), "the server ended early")
        try:
            return harness.request(f"http://127.0.0.1:{self.port}", "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def test_closed_standard_descriptors_are_opened_on_the_null_device(self):
        def close_all():
            for descriptor in range(3):
                os.close(descriptor)
        process = subprocess.Popen(self.command(), preexec_fn=close_all, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(harness.stop_process, process)
        harness.wait_until(lambda: self.is_ready(process), 30, "the server to be ready")
        for descriptor in range(3):
            self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{descriptor}"), "/dev/null")

    @unittest.skipUnless(IS_ROOT, "a process that is not dumpable belongs to root under /proc")
    def test_no_core_dump_is_left_unless_it_is_asked_for(self):
        for arguments, owner in ((), 0), (("--core-dumps",), NOBODY):
            with self.subTest(arguments=arguments):
                program = self.copy_of_the_program()
                process = subprocess.Popen(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", program,
                                            *self.command(*arguments)[1:]], stderr=subprocess.DEVNULL, env=self.without_files())
                self.addCleanup(harness.stop_process, process)
                harness.wait_until(lambda: self.is_ready(process), 30, "the server to be ready")
                # The owner of these files says whether the process may be dumped and traced: see prctl(2).
                self.assertEqual(os.stat(f"/proc/{process.pid}/environ").st_uid, owner)
                harness.stop_process(process)  # the next one has its name

    def copy_of_the_program(self):
        """Where every user can run it."""
        folder = tempfile.TemporaryDirectory(prefix="backstitch-process-")
        self.addCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        program = os.path.join(folder.name, "backstitch")
        subprocess.run(["cp", harness.PROGRAM, program], check=True)
        return program

    @staticmethod
    def without_files():
        return {**os.environ, "PGPASSWORD": harness.password(), "PGPASSFILE": "/dev/null"}

    @unittest.skipUnless(IS_ROOT, "needs another user, who runs nothing else")
    def test_a_thread_that_cannot_be_made_is_a_message(self):
        program = self.copy_of_the_program()
        told = 0
        for threads in range(1, 40):
            process = subprocess.Popen(
                ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "prlimit", f"--nproc={threads}",
                 program, *self.command()[1:]], stderr=subprocess.PIPE, env=self.without_files(), text=True)
            self.addCleanup(process.stderr.close)
            self.addCleanup(harness.stop_process, process)
            if self.ends_or_serves(process):
                break
            said = process.stderr.read()
            self.assertEqual(process.returncode, 3, (threads, said))
            self.assertIn("thread-failed", said)
            told += 1
        else:
            self.fail("the server never started")
        self.assertGreater(told, 2)

    def ends_or_serves(self, process):
        """@return whether it serves"""
        def state():
            if process.poll() is not None:
                return "ended"
            try:
                return "serves" if harness.request(f"http://127.0.0.1:{self.port}", "GET", "/readyz")[0] == 200 else None
            except OSError:
                return None
        return harness.wait_until(state, 30, "the server to end or to serve") == "serves"

    def test_a_signal_ends_a_start_that_waits(self):
        shards_awaited = self.locked_shards()
        for sent in (signal.SIGTERM, signal.SIGINT):
            with self.subTest("a database that never answers", signal=sent):
                with socket.create_server(("127.0.0.1", 0)) as silent:
                    def connected():
                        self.addCleanup(silent.accept()[0].close)  # not before
                    self.end_start(sent, self.database_at(silent.getsockname()[1]), lambda _: connected())
            with self.subTest("a database that is away", signal=sent):
                self.end_start(sent, self.database_at(harness.free_port()),
                               lambda process: self.assertIn("database-awaited", process.stderr.readline()))
            with self.subTest("shards", signal=sent):
                self.end_start(sent, self.postgres.url, lambda _: shards_awaited())

    @staticmethod
    def database_at(port):
        return f"postgresql://backstitch@127.0.0.1:{port}/backstitch"

    def end_start(self, sent, database, await_waiting):
        process = subprocess.Popen(self.command("--database-wait", "1h", database=database), stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(harness.stop_process, process)
        await_waiting(process)
        process.send_signal(sent)
        self.assertEqual(process.wait(20), 0)
        self.assertIn("stopped by a signal during the start", process.stderr.read())

    def locked_shards(self):
        """Another session holds the shards from now on. @return what waits for somebody to wait for it"""
        session = subprocess.Popen([*self.postgres.psql_command()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(session.stdout.close)
        self.addCleanup(harness.stop_process, session)
        self.addCleanup(session.stdin.close)
        session.stdin.write("begin; lock table backstitch.shard; select 'locked';\n")
        session.stdin.flush()
        self.assertEqual(session.stdout.readline(), "locked\n")
        waits = "select count(*) > 0 from pg_locks where not granted and relation = 'backstitch.shard'::regclass"
        return lambda: harness.wait_until(lambda: self.postgres.query(waits) == "t", 30, "the server to wait for its shards")

    def test_sighup_and_a_file_size_limit_do_not_end_a_server(self):
        log = os.path.join(self.postgres.folder, "hangup.log")
        with open(log, "wb") as out:
            process = self.start(stderr=out)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGXFSZ)
        self.wait_until_logged(log, "hangup-ignored")
        self.assertTrue(self.is_ready(process))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(40), 0)

    def test_a_log_that_nobody_reads_does_not_delay_the_end(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with open(writing, "wb") as pipe:
            process = self.start(stderr=pipe)
            os.set_blocking(writing, False)
            try:
                while os.write(writing, b"x" * 4096):
                    pass
            except BlockingIOError:
                pass
            os.set_blocking(writing, True)
            process.send_signal(signal.SIGTERM)
            # 29 seconds would be the bound of every stop, and end with another code.
            self.assertEqual(process.wait(40), 0)

    def test_a_stop_is_bounded_as_pid_1(self):
        """The kernel has no default actions there: neither an alarm nor a second signal would end it."""
        why = subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.PIPE, text=True)
        if why.returncode != 0:
            self.skipTest("no PID namespace may be made here: " + why.stderr)
        # Another session's lock keeps the stop from ending.
        log = os.path.join(self.postgres.folder, "init.log")
        with open(log, "wb") as out:
            outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", *self.command()], stderr=out)
        self.addCleanup(harness.stop_process, outer, signal.SIGKILL)
        harness.wait_until(lambda: self.is_ready(outer), 30, "the server to be ready")
        with open(f"/proc/{outer.pid}/task/{outer.pid}/children", encoding="utf-8") as file:
            server = int(file.read())
        self.locked_shards()
        os.kill(server, signal.SIGTERM)
        self.wait_until_logged(log, "stopping")
        os.kill(server, signal.SIGTERM)
        self.assertEqual(outer.wait(20), 6)
        with open(log, encoding="utf-8") as file:
            self.assertIn("ended by a second signal", file.read())

    def limited(self, soft, hard):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_the_soft_limit_of_files_is_raised(self):
        process = self.start(preexec_fn=self.limited(64, 4096), stderr=subprocess.DEVNULL)
        self.assertEqual(resource.prlimit(process.pid, resource.RLIMIT_NOFILE), (4096, 4096))

    def test_too_few_files_end_the_start_with_a_message(self):
        done = subprocess.run(self.command(), preexec_fn=self.limited(100, 100), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3)
        self.assertIn("descriptor-limit-too-low", done.stderr)

    def test_idle_clients_leave_descriptors_to_calls(self):
        log = os.path.join(self.postgres.folder, "server.log")
        with open(log, "wb") as out:
            self.start(preexec_fn=self.limited(256, 256), stderr=out)
        with open(log, encoding="utf-8") as file:
            self.assertIn("connections-limited", file.read())
        service = harness.HttpService()
        service.serve(Accepts)
        self.addCleanup(service.stop)
        url = f"http://127.0.0.1:{self.port}"
        definition = {"dsl": 1, "name": "process.pay", "version": 1, "services": {"p": {"baseUrl": service.url}},
                      "defaults": {"retry": {"maxAttempts": 1}},
                      "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h"}},
                                {"name": "pay", "action": {"service": "p", "http": "PUT /pay"}, "compensation": "none"}]}
        self.assertEqual(harness.request(url, "POST", "/v1/definitions?activate=true", definition)[0], 201)
        sagas = [harness.request(url, "POST", "/v1/sagas", {"definition": "process.pay", "input": {}})[1]["id"]
                 for _ in range(6)]
        idle = []
        self.addCleanup(lambda: [client.close() for client in idle])
        for _ in range(400):
            try:
                idle.append(socket.create_connection(("127.0.0.1", self.port), timeout=5))
            except OSError:
                break
        for saga in sagas:
            self.postgres.query(f"select backstitch.signal('{saga}', 'go', '{{}}')")
        ended = "select count(*) from backstitch.saga where status = 'COMPLETED' and definition = 'process.pay'"
        harness.wait_until(lambda: self.postgres.query(ended) == "6", 20, "the sagas to complete", 0.1)


    @unittest.skipUnless(has_ipv6(), "this machine has no IPv6 loopback address")
    def test_an_ipv6_address_is_in_brackets_in_every_url(self):
        log = os.path.join(self.postgres.folder, "ipv6.log")
        with open(log, "wb") as out:
            process = subprocess.Popen(self.command("--log-format", "json", host="[::1]"), stderr=out)
        self.addCleanup(harness.stop_process, process)
        at = f"[::1]:{self.port}"

        def cli(*arguments):
            return subprocess.run([harness.PROGRAM, *arguments, "--server", f"http://{at}"], capture_output=True, text=True,
                                  timeout=60)

        def alive():
            done = cli("nodes", "--json")
            return done.returncode == 0 and [node["address"] for node in json.loads(done.stdout)["nodes"] if node["alive"]]
        self.assertEqual(harness.wait_until(alive, 60, "the command line to see the node"), [at])
        self.wait_until_logged(log, "ready")
        with open(log, encoding="utf-8") as file:
            ready = next(note for note in map(json.loads, file) if note["event"] == "ready")
        self.assertEqual(ready["url"], f"http://{at}")
        self.assertEqual(self.callback_of_a_call(f"http://{at}"), f"http://{at}/v1/callbacks/")

    @staticmethod
    def wait_until_logged(log, what):
        def said():
            with open(log, encoding="utf-8") as file:
                return f'"{what}"' in file.read()
        harness.wait_until(said, 30, f"{what} in the log")

    def callback_of_a_call(self, server):
        """@return what the `Saga-Callback` of a call begins with"""
        service = harness.HttpService()
        service.serve(Accepts)
        self.addCleanup(service.stop)
        definition = {"dsl": 1, "name": "process.callback", "version": 1, "services": {"p": {"baseUrl": service.url}},
                      "steps": [{"name": "pay", "action": {"service": "p", "http": "PUT /pay"}, "compensation": "none",
                                 "completion": {"callback": True, "timeout": "1h"}}]}
        for arguments in (("register", "-"), ("start", "process.callback", "--input", "{}")):
            done = subprocess.run([harness.PROGRAM, *arguments, "--server", server], input=json.dumps(definition),
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        harness.wait_until(lambda: Accepts.callbacks, 30, "the call")
        return re.sub("[^/]*$", "", Accepts.callbacks[0])

    def test_a_wildcard_without_a_callback_url_is_a_warning_at_the_start(self):
        process = subprocess.Popen(self.command("--log-format", "json", host="0.0.0.0", database=self.nowhere()),
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(harness.stop_process, process)
        self.assertIn("callback-url-missing", process.stderr.readline())

    @staticmethod
    def nowhere():
        """A database that is away: nothing listens on the wildcard address then."""
        return f"postgresql://backstitch@127.0.0.1:{harness.free_port()}/backstitch"

    def test_a_name_to_listen_on_is_refused_with_a_sentence(self):
        done = subprocess.run(self.command(host="saga.invalid"), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("`saga.invalid` is not an IP address", done.stderr)


class Output(unittest.TestCase):
    """A command whose output is lost does not succeed."""

    def ended(self, *arguments, **how):
        done = subprocess.run([harness.PROGRAM, *arguments], stderr=subprocess.PIPE, text=True, timeout=60, **how)
        return done.returncode, done.stderr

    @unittest.skipUnless(os.path.exists("/dev/full"), "this system has no /dev/full")
    def test_a_full_disk_is_an_error(self):
        for arguments in (("guard-sql",), ("--help",), ("--version",), ("serve", "--help")):
            with self.subTest(arguments=arguments), open("/dev/full", "wb") as full:
                code, said = self.ended(*arguments, stdout=full)
                self.assertEqual(code, 1)
                self.assertIn("[output-lost]", said)

    def test_a_closed_standard_output_is_an_error(self):
        code, said = self.ended("guard-sql", preexec_fn=lambda: os.close(1))
        self.assertEqual(code, 1)
        self.assertIn("[output-lost]", said)

    def test_a_reader_that_went_away_is_no_message(self):
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as pipe:
            self.assertEqual(self.ended("guard-sql", stdout=pipe), (1, ""))

    @unittest.skipUnless(os.path.exists("/dev/full"), "this system has no /dev/full")
    def test_an_exit_code_that_says_more_stays(self):
        with open("/dev/full", "wb") as full:
            code, said = self.ended("nodes", "--json", "--server", f"http://127.0.0.1:{harness.free_port()}", stdout=full)
        self.assertEqual(code, 3)
        self.assertIn("[output-lost]", said)

    def test_the_demo_ends_without_a_traceback(self):
        script = ("import demo, sys\n"
                  "demo.main = lambda: [print('a line', flush=True) for _ in range(2)]\n"
                  "sys.exit(demo.main_with_a_reader())")
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as pipe:
            done = subprocess.run([sys.executable, "-c", script], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60,
                                  cwd=os.path.join(harness.ROOT, "examples"))
        self.assertEqual((done.returncode, done.stderr), (1, ""))

    def test_output_that_nobody_lost_is_whole(self):
        self.assertEqual(self.ended("guard-sql", stdout=subprocess.DEVNULL), (0, ""))


class Accepts(harness.http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    callbacks = []

    def do_PUT(self):
        if "Saga-Callback" in self.headers:
            Accepts.callbacks.append(self.headers["Saga-Callback"])
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    unittest.main(verbosity=2)
