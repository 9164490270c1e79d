"""How a node comes to its database: where the options and credentials come from, and what happens if it is not there."""
import json
import os
import re
import subprocess
import tempfile
import unittest

from support import UNSYNCED_ARGUMENTS, harness

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
# Nothing that the machine or the runner of the tests has set.
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "BACKSTITCH_DATABASE"))}


def run(*arguments, env=None, seconds=60):
    return subprocess.run([harness.PROGRAM, *arguments], capture_output=True, text=True, timeout=seconds, check=False,
                          env={**CLEAN, **(env or {})})


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="backstitch-connecting-"))

    def file(self, text, name="file", mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path


class ConfigurationFile(Folder):
    def serve(self, text, *arguments, env=None):
        return run("serve", "--config", self.file(text, "node.toml"), *arguments, env=env)

    def test_an_option_of_the_file_counts_like_one_of_the_command_line(self):
        ended = self.serve(f'database = "{NOWHERE}"\nhost = ["a.test", "b.test:80"]\n')
        self.assertIn("`b.test:80` is not a valid --host", ended.stderr)

    def test_the_command_line_and_the_environment_win_over_the_file(self):
        ended = self.serve('host = ["b.test:80"]\n', "--database", NOWHERE, "--host", "c.test:81")
        self.assertIn("`c.test:81` is not a valid --host", ended.stderr)
        for file in ('database = "of=the=file"\n', f'database-file = "{self.folder}/missing"\n'):
            for arguments, env in (("--database", NOWHERE), {}), ((), {"BACKSTITCH_DATABASE": NOWHERE}):
                ended = self.serve(file, *arguments, "--database-wait", "0s", env=env)
                self.assertEqual(ended.returncode, 3, ended.stderr)

    def test_an_unknown_key_is_an_error_that_names_the_file_the_line_and_the_nearest_key(self):
        ended = self.serve('\n# pages\nallow-origins = ["https://console.example"]\n', "--database", NOWHERE)
        self.assertEqual(ended.returncode, 2)
        self.assertIn(f"{self.folder}/node.toml, line 3: unknown key `allow-origins`; did you mean `allow-origin`?", ended.stderr)
        for key in ("config", "help"):
            self.assertIn(f"line 1: unknown key `{key}`", self.serve(f'{key} = "x"\n').stderr)

    def test_a_file_that_cannot_be_read_is_an_error_that_names_it(self):
        for file in (f"{self.folder}/missing.toml", self.folder):
            ended = run("serve", "--config", file, "--database", NOWHERE)
            self.assertEqual(ended.returncode, 2)
            self.assertIn(f"Cannot read {file}", ended.stderr)

    def test_a_value_that_an_option_does_not_take_is_an_error_with_its_line(self):
        for line, what in (("reactors = 4000", "reactors"), ("reactors = [1, 2]", "reactors"), ('lease = "10 sec"', "lease"),
                           ('core-dumps = "maybe"', "core-dumps"), ('log-level = "loud"', "log-level")):
            ended = self.serve(f"\n{line}\n", "--database", NOWHERE)
            self.assertEqual(ended.returncode, 2, line)
            self.assertIn("node.toml, line 2: ", ended.stderr)
            self.assertIn(what, ended.stderr)

    def test_a_value_of_another_type_is_an_error_that_says_which_it_has(self):
        for line, words in (('reactors = "4"', "`reactors` is an integer, without quotes"), ("reactors = true", "is an integer"),
                            ("core-dumps = 1", "`core-dumps` is true or false, without quotes"), ('core-dumps = "true"', "is true or false"),
                            ("require-keys = 'yes'", "is true or false"), ("listen = 7420", "`listen` is a string; write it in quotes"),
                            ("node = true", "is a string"), ("lease = 10", "is a string"), ('host = ["a.test", 7]', "is a string"),
                            ("reactors = [1]", "`reactors` takes one value; write it without brackets"), ("core-dumps = [true]", "takes one value"),
                            ('node = ["a"]', "takes one value"), ("header-max = '16384'", "is an integer")):
            with self.subTest(line=line):
                ended = self.serve(f"{line}\n", "--database", NOWHERE)
                self.assertEqual(ended.returncode, 2)
                self.assertIn(f"{self.folder}/node.toml, line 1: ", ended.stderr)
                self.assertIn(words, ended.stderr)
        ended = self.serve('host = "b.test:80"\nreactors = 2\ncore-dumps = false\norigins-of-none = 1\n', "--database", NOWHERE)
        self.assertIn("line 4: unknown key", ended.stderr)

    def test_a_byte_order_mark_is_skipped(self):
        self.assertIn("`b.test:80` is not a valid --host", self.serve('\ufeffhost = ["b.test:80"]\n', "--database", NOWHERE).stderr)

    def test_a_path_in_the_file_is_relative_to_the_file(self):
        self.file(f"{NOWHERE}\n", "url")
        for given in ("url", "./url", f"{self.folder}/url"):
            ended = self.serve(f'database-file = "{given}"\n', "--database-wait", "0s")
            self.assertEqual(ended.returncode, 3, ended.stderr)  # it was read, and no server answers there
        ended = self.serve('database-file = "missing"\n')
        self.assertIn(f"cannot read {self.folder}/missing", ended.stderr)
        # On the command line it is relative to the working directory.
        self.assertIn("cannot read url: ", run("serve", "--database-file", "url").stderr)

    def test_every_option_of_serve_may_stand_in_the_file_and_is_in_the_manual(self):
        options = set(re.findall(r"(?m)^  (?:-h,)?--([a-z-]+)", run("serve", "--help").stdout)) - {"help", "help-all", "config"}
        self.assertGreater(len(options), 20)
        with open(os.path.join(harness.ROOT, "docs", "operating.md"), encoding="utf-8") as page:
            documented = set(re.findall(r"(?m)^\| `--([a-z-]+)`", page.read()))
        self.assertEqual(options - documented, set())
        for option in sorted(options):
            with self.subTest(option=option):
                ended = self.serve(f'{option} = "true"\nno-such-key = 1\n')
                self.assertEqual(ended.returncode, 2)
                self.assertNotIn(f"unknown key `{option}`", ended.stderr)


class Connecting(Folder):
    """On a cluster of which every role needs the password that `harness` gave it."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED, tcp=True)
        cls.enterClassContext(cls.postgres)
        cls.url = cls.postgres.url
        cls.with_password = cls.url.replace("backstitch@", f"backstitch:{harness.password()}@")
        subprocess.run([harness.PROGRAM, "migrate", "--database", cls.url], check=True, stdout=subprocess.DEVNULL)

    def start(self, *arguments, env=None, node="n", reactors=1):
        self.log = os.path.join(self.folder, "log")
        self.port = harness.free_port()
        with open(self.log, "wb") as log:
            process = subprocess.Popen(
                [harness.PROGRAM, "serve", "--listen", f"127.0.0.1:{self.port}", "--node", node, "--reactors", str(reactors),
                 "--log-format", "json", *UNSYNCED_ARGUMENTS, *arguments],
                stdout=subprocess.DEVNULL, stderr=log, env={**CLEAN, **(env or {})})
        self.addCleanup(harness.stop_process, process)
        return process

    def ready(self, process):
        def is_ready():
            self.assertIsNone(process.poll(), "the server ended early")
            try:
                return harness.request(f"http://127.0.0.1:{self.port}", "GET", "/readyz")[0] == 200
            except OSError:
                return False
        harness.wait_until(is_ready, 30, "the server to be ready")

    def notes(self, event):
        with open(self.log, encoding="utf-8") as log:
            return [note for note in (json.loads(line) for line in log if line.startswith("{")) if note["event"] == event]

    # Credentials.

    def test_credentials_come_from_a_file_the_environment_a_password_file_or_a_service(self):
        host = f"127.0.0.1:{self.postgres.port}"
        passwords = self.file(f"127.0.0.1:{self.postgres.port}:*:backstitch:{harness.password()}\n", "pgpass")
        services = self.file(f"[sagas]\nhost=127.0.0.1\nport={self.postgres.port}\ndbname=backstitch\nuser=backstitch\n"
                             f"password={harness.password()}\n", "services")
        ways = {"--database-file": (("--database-file", self.file(self.with_password + "\n", "url")), {}),
                "BACKSTITCH_DATABASE": ((), {"BACKSTITCH_DATABASE": self.with_password}),
                "PGPASSFILE": (("--database", f"postgresql://backstitch@{host}/backstitch"), {"PGPASSFILE": passwords}),
                "PGPASSWORD": (("--database", f"postgresql://backstitch@{host}/backstitch"), {"PGPASSWORD": harness.password()}),
                "a service": (("--database", "service=sagas"), {"PGSERVICEFILE": services}),
                "a service in a URL": (("--database", "postgresql:///?service=sagas"), {"PGSERVICEFILE": services})}
        for way, (arguments, env) in ways.items():
            with self.subTest(way=way):
                ended = run("migrate", *arguments, env=env)
                self.assertEqual((ended.returncode, ended.stdout), (0, "The schema is up to date.\n"), ended.stderr)
        wrong = self.file(f"127.0.0.1:{self.postgres.port}:*:backstitch:wrong\n", "wrong")
        ended = run("migrate", "--database", f"postgresql://backstitch@{host}/backstitch", env={"PGPASSFILE": wrong})
        self.assertEqual(ended.returncode, 1, ended.stderr)

    def test_no_part_of_a_password_is_shown_however_it_is_written_into_the_url(self):
        # Reserved characters that are not encoded end the password where its author did not mean it to.
        for password in ("hunt@er22", "@hunter22", "hunter@", "h@unt@er22", "1234/hunter22", "hun/ter22", "1234?hunter22", "hun?ter22",
                         "hun:ter@22", "1234/hun@ter22", "hunt er22", "hun%zzter22", "hun[ter22", "1234,hunter22/x"):
            for url in (f"postgresql://u:{password}@127.0.0.1:1/d", f"postgres://u:{password}@/d?host=/nowhere"):
                with self.subTest(url=url):
                    ended = run("migrate", "--database", url)
                    self.assertIn(ended.returncode, (2, 3), ended.stderr)
                    for part in ("hunt", "hun", "unt", "ter22", "er22", "1234"):
                        self.assertNotIn(part, ended.stderr)
        ended = run("migrate", "--database", "postgresql://u:p@ss@127.0.0.1:1/d")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("write @ in a user or password as %40", ended.stderr)
        self.assertEqual(run("migrate", "--database", "postgresql://u:p%40ss@127.0.0.1:1/d").returncode, 3)

    def test_a_file_with_the_url_is_refused_if_every_user_can_read_it_or_it_is_not_the_only_url(self):
        open_to_all = self.file(self.with_password, "open", 0o644)
        for arguments, words in ((("--database-file", open_to_all), "every user can use it"),
                                 (("--database-file", self.folder + "/none"), "No such file"),
                                 (("--database-file", self.file("\n", "empty")), "is empty"),
                                 (("--database-file", self.file(f"{self.with_password}\n{self.url}\n", "two")), "has several lines"),
                                 (("--database-file", self.file(f"# the database\r\n{self.with_password}", "remark")), "has several lines"),
                                 (("--database-file", self.file(self.url), "--database", self.url), "--database-file"),
                                 ((), "no database is given")):
            for command in ("serve", "migrate"):
                ended = run(command, *arguments)
                self.assertEqual(ended.returncode, 2, arguments)
                self.assertIn(words, ended.stderr)
                self.assertNotIn(harness.password(), ended.stderr)

    # Sessions.

    def sessions(self):
        rows = self.postgres.administer("select application_name from pg_stat_activity where usename = 'backstitch'")
        return [row.split(" ", 2) for row in rows.splitlines()]

    def test_a_node_names_its_sessions_by_incarnation_and_role_and_has_as_many_as_the_manual_says(self):
        incarnations = []
        for _ in range(2):
            server = self.start("--database", self.with_password, node="n" * 80, reactors=3)
            self.ready(server)
            # A connection for each reactor and each of the roles, see docs/operating.md; others come only to be checked.
            expected = ["lane"] * (3 + 3) + ["reader"] * 2 + ["lease", "listener", "inbox", "gauges"]
            harness.wait_until(lambda: sorted(s[1] for s in self.sessions()) == sorted(expected), 20, "the sessions to be there")
            sessions = self.sessions()
            for incarnation, role, node in sessions:
                self.assertRegex(incarnation, r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}$")
                self.assertEqual(len(f"{incarnation} {role} {node}"), 63)
                self.assertEqual(node.strip("n"), "")
            incarnations.append({s[0] for s in sessions})
            harness.stop_process(server)
            harness.wait_until(lambda: not self.sessions(), 20, "the sessions to be gone")
        self.assertEqual([len(i) for i in incarnations], [1, 1])
        self.assertNotEqual(*incarnations)

    # A database that is away.

    def test_a_node_waits_for_a_database_that_is_away_and_says_so_at_once_and_then_every_few_seconds(self):
        self.postgres.kill()
        try:
            server = self.start("--database", self.with_password, "--database-wait", "5m")
            harness.wait_until(lambda: len(self.notes("database-awaited")) == 2, 30, "the second line")
            self.assertIsNone(server.poll())
            self.assertIn("cannot be reached", self.notes("database-awaited")[0]["why"])
        finally:
            self.postgres.start()
        self.ready(server)
        self.assertLess(len(self.notes("database-awaited")), 8)

    def test_a_database_that_stays_away_ends_the_start_with_3_and_a_signal_ends_it_with_0(self):
        server = self.start("--database", NOWHERE, "--database-wait", "1s")
        self.assertEqual(server.wait(30), 3)
        self.assertEqual(len(self.notes("database-awaited")), 1)
        server = self.start("--database", NOWHERE, "--database-wait", "1h")
        harness.wait_until(lambda: self.notes("database-awaited"), 20, "the server to wait")
        server.terminate()
        self.assertEqual(server.wait(30), 0)

    def test_a_mistake_that_waiting_does_not_mend_ends_the_start_at_once(self):
        self.postgres.create_role("stranger")
        self.postgres.administer("revoke connect on database backstitch from public")
        self.addCleanup(self.postgres.administer, "grant connect on database backstitch to public")
        self.postgres.administer("create database latin encoding 'LATIN1' locale 'C' template template0")
        self.postgres.administer("create database empty owner backstitch")
        tcp = f"127.0.0.1:{self.postgres.port}"
        stranger = f"postgresql://stranger:{harness.password()}@{tcp}"
        own = self.with_password.rsplit("/", 1)[0]
        cases = ((f"postgresql://backstitch:wrong@{tcp}/backstitch", 1, "database-login-refused"),
                 (f"postgresql://backstitch@{tcp}/backstitch", 1, "database-login-refused"),  # no password at all
                 (f"postgresql://nobody:x@{tcp}/backstitch", 1, "database-login-refused"),
                 (f"{own}/missing", 1, "database-missing"),
                 (f"{stranger}/backstitch", 1, "database-privilege-missing"),
                 (f"{own}/latin", 1, "database-encoding"),
                 (f"{own}/empty", 1, "schema-not-migrated"),
                 ("service=unknown", 2, "database-url-invalid"),
                 ("backstitch", 2, "database-url-invalid"),
                 ("postgresql://h/d?no_such_option=1", 2, "database-url-invalid"),
                 ("postgresql://u@127.0.0.1:99999/d", 2, "database-url-invalid"),
                 ("postgresql://u@127.0.0.1:0/d", 2, "database-url-invalid"),
                 ("postgresql://u@127.0.0.1:5432,127.0.0.1:70000/d", 2, "database-url-invalid"),
                 ("host=127.0.0.1 port=99999", 2, "database-url-invalid"))
        for url, code, reason in cases:
            with self.subTest(url=url):
                ended = run("serve", "--database", url, "--database-wait", "1h", "--listen", f"127.0.0.1:{harness.free_port()}",
                            *UNSYNCED_ARGUMENTS)
                self.assertEqual(ended.returncode, code, ended.stderr)
                self.assertIn(f"[{reason}]", ended.stderr)
                self.assertNotIn("database-awaited", ended.stderr)
                self.assertNotIn(harness.password(), ended.stderr)
        self.postgres.administer("grant connect on database backstitch to public")
        ended = run("serve", "--database", f"{stranger}/backstitch", "--database-wait", "1h", *UNSYNCED_ARGUMENTS)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("[database-privilege-missing]", ended.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
