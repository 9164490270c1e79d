"""`backstitch dev`: its database is out of reach of every other local user, and its files cannot be traps."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import unittest.mock

from support import harness

NOBODY = 65534
IS_ROOT = os.getuid() == 0


def as_nobody(*command):
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def psql(url, statement="select 1", prefix=(), **environment):
    program = harness.Postgres.program("psql")
    return subprocess.run([*prefix, program, "-XAtw", "-d", url, "-c", statement], capture_output=True, text=True,
                          env={**os.environ, **environment}, cwd="/")


class Dev:
    """A running `backstitch dev`; ends with the block."""

    port = harness.free_port()  # the same for all: a node of another name would wait for a killed one's lease

    def __init__(self, data, *arguments):
        self.data, self.arguments = data, arguments

    def __enter__(self):
        self.process = subprocess.Popen(
            [harness.PROGRAM, "dev", "--port", str(self.port), "--data", self.data, *self.arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            harness.wait_until(self.is_ready, 60, "dev to be ready")
        except BaseException:
            self.__exit__()
            raise
        self.url = re.search(r"database (\S+)", self.process.stdout.readline())[1]
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError("dev ended early: " + self.process.stdout.read())
        try:
            return harness.request(f"http://127.0.0.1:{self.port}", "GET", "/readyz")[0] == 200
        except OSError:
            return False

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(40)

    def __exit__(self, *_):
        harness.stop_process(self.process)
        self.process.stdout.close()


class WithFolder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="backstitch-dev-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)  # the database's user passes through it
        cls.data = os.path.join(cls.folder, "dev")

    def refused(self, *arguments):
        """@return what a `dev` says that does not start"""
        done = subprocess.run([harness.PROGRAM, "dev", "--port", str(harness.free_port()), *arguments],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        return done.stderr


class PrivateDatabase(WithFolder):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with Dev(cls.data) as dev:
            assert dev.interrupt() == 0

    def test_dev_stops_its_database(self):
        with Dev(self.data) as dev:
            pid = os.path.join(self.data, "data", "postmaster.pid")
            self.assertTrue(os.path.exists(pid))
            self.assertEqual(dev.interrupt(), 0)
            self.assertFalse(os.path.exists(pid))

    def test_the_database_has_no_tcp_socket_and_no_other_user_can_connect(self):
        with Dev(self.data) as dev:
            self.assertEqual(psql(dev.url, "show listen_addresses").stdout, "\n")
            sockets = os.path.join(self.data, "socket")
            self.assertEqual(os.stat(sockets).st_mode & 0o7777, 0o700)
            self.assertEqual({os.stat(entry).st_mode & 0o777 for entry in os.scandir(sockets)} - {0o700, 0o600}, set())
            if IS_ROOT:
                denied = psql(dev.url, prefix=as_nobody())
                self.assertIn("Permission denied", denied.stderr)

    @unittest.skipUnless(IS_ROOT, "needs root to become another user")
    def test_a_user_who_gets_at_the_socket_is_no_role(self):
        with Dev(self.data) as dev:
            sockets = os.path.join(self.data, "socket")
            os.chmod(sockets, 0o777)
            os.chmod(os.path.join(sockets, ".s.PGSQL.5432"), 0o777)
            for role in ("backstitch", "postgres", "nobody"):
                denied = psql(dev.url.replace("//backstitch@", f"//{role}@"), prefix=as_nobody())
                self.assertIn("authentication failed", denied.stderr)

    def test_the_engines_role_is_not_a_superuser_and_a_superuser_is_at_hand(self):
        with Dev(self.data) as dev:
            rights = "select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls from pg_roles where rolname = current_user"
            self.assertEqual(psql(dev.url, rights).stdout, "f|f|f|f|f\n")
            self.assertIn("must be superuser", psql(dev.url, "copy (select 1) to program 'true'").stderr)
            self.assertEqual(psql(dev.url.replace("//backstitch@", "//postgres@"), rights).stdout, "t|t|t|t|t\n")

    def test_over_tcp_a_role_needs_the_password_of_a_file_that_only_its_user_can_read(self):
        port = harness.free_port()
        with Dev(self.data, "--postgres-port", str(port)) as dev:
            passwords = os.path.join(self.data, "postgres.pgpass")
            self.assertEqual(os.stat(passwords).st_mode & 0o7777, 0o600)
            url = f"postgresql://backstitch@127.0.0.1:{port}/backstitch"
            self.assertIn("password", psql(url, PGPASSFILE="/dev/null").stderr)
            self.assertEqual(psql(url, PGPASSFILE=passwords).stdout, "1\n")
            superuser = url.replace("backstitch@", "postgres@")
            for given in ({"PGPASSFILE": passwords}, {"PGPASSWORD": ""}, {"PGPASSWORD": "postgres"}):
                self.assertNotEqual(psql(superuser, **given).returncode, 0)
            self.assertEqual(psql(dev.url).stdout, "1\n")
            with open(passwords, encoding="utf-8") as file:
                before = file.read()
        with Dev(self.data, "--postgres-port", str(port)):
            with open(passwords, encoding="utf-8") as file:
                self.assertEqual(file.read(), before)
        with Dev(self.data) as dev:
            role = psql(dev.url.replace("//backstitch@", "//postgres@"),
                        "select rolpassword is null from pg_authid where rolname = 'backstitch'")
            self.assertEqual(role.stdout, "t\n")

    def test_the_address_stays_the_same_in_a_directory_too_deep_for_a_socket(self):
        deep = os.path.join(self.folder, *["d" * 30] * 4)
        os.makedirs(os.path.dirname(deep))
        os.rename(self.data, deep)
        self.addCleanup(os.rename, deep, self.data)
        urls = []
        for _ in range(2):
            with Dev(deep) as dev:
                urls.append(dev.url)
                sockets = re.search(r"host=([^&]+)", dev.url)[1].replace("%2F", "/")
                self.addCleanup(shutil.rmtree, sockets, ignore_errors=True)
                self.assertEqual(os.stat(sockets).st_mode & 0o7777, 0o700)
                self.assertEqual(psql(dev.url).stdout, "1\n")
        self.assertEqual(urls[0], urls[1])

    def test_the_address_stays_the_same_after_a_kill(self):
        with Dev(self.data) as dev:
            first = dev.url
            dev.process.kill()
        with Dev(self.data) as dev:
            self.assertEqual(dev.url, first)

    def test_a_signal_ends_the_start_at_once_and_the_next_one_finds_nothing_half_made(self):
        for begun in ("data.new", "data"):
            data = os.path.join(self.folder, "begun-" + begun)
            process = subprocess.Popen([harness.PROGRAM, "dev", "--port", str(harness.free_port()), "--data", data],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(harness.stop_process, process)
            harness.wait_until(lambda: os.path.exists(os.path.join(data, begun)), 60, f"{begun} to be made")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(40), 0)
            with Dev(data) as dev:
                self.assertEqual(psql(dev.url).stdout, "1\n")

    def test_dev_ends_when_its_terminal_is_closed_and_when_its_database_ends(self):
        with Dev(self.data) as dev:
            dev.process.send_signal(signal.SIGHUP)
            self.assertEqual(dev.process.wait(40), 0)
        with Dev(self.data) as dev:
            with open(os.path.join(self.data, "data", "postmaster.pid"), encoding="utf-8") as file:
                os.kill(int(file.readline()), signal.SIGQUIT)
            self.assertEqual(dev.process.wait(40), 3)

    def test_the_shell_of_the_user_does_not_matter(self):
        data = os.path.join(self.folder, "missing", "parents", "dev")
        strange = {"PGSSLMODE": "verify-full", "PGHOSTADDR": "127.0.0.2", "PGSERVICE": "none", "PGOPTIONS": "-c nothing=1",
                   "LC_ALL": "", "LC_CTYPE": "UTF-8", "LANG": "ja_JP.eucJP"}
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        with unittest.mock.patch.dict(os.environ, strange), Dev(data) as dev:
            url = dev.url
        os.umask(before)
        with Dev(data) as dev:
            self.assertEqual(dev.url, url)
            self.assertEqual(psql(dev.url, "select datcollate, datctype, current_setting('lc_messages') from pg_database "
                                           "where datname = 'backstitch'").stdout, "C.UTF-8|C.UTF-8|C\n")

    def test_one_directory_serves_one_dev(self):
        with Dev(self.data):
            self.assertIn("Another `backstitch dev` uses", self.refused("--data", self.data))


class Refusals(WithFolder):
    def setUp(self):
        shutil.rmtree(self.data, ignore_errors=True)
        os.mkdir(self.data, 0o700)

    def test_a_log_that_is_a_link_is_refused_and_its_target_left_alone(self):
        target = os.path.join(self.folder, "target")
        for name in ("postgres.log", "pg_hba.conf", "lock"):
            with self.subTest(name=name):
                os.symlink(target, os.path.join(self.data, name))
                self.assertIn(name, self.refused("--data", self.data))
                self.assertFalse(os.path.lexists(target))
                shutil.rmtree(self.data)
                os.mkdir(self.data, 0o700)

    def test_a_directory_that_is_a_link_or_that_others_can_write_to_is_refused(self):
        link = os.path.join(self.folder, "link")
        os.symlink(self.data, link)
        self.assertIn("symbolic link", self.refused("--data", link))
        self.assertIn("symbolic link", self.refused("--data", link + "/"))
        os.chmod(self.data, 0o777)
        self.assertIn("Other users can write", self.refused("--data", self.data))
        self.assertIn("could replace what is in it", self.refused("--data", os.path.join(self.data, "inner")))

    @unittest.skipUnless(IS_ROOT, "needs root to give files away")
    def test_a_directory_of_another_user_is_refused(self):
        for given in (self.data, os.path.join(self.data, "inner")):
            with self.subTest(given=given):
                os.chown(self.data, NOBODY, NOBODY)
                self.assertIn("belongs to the user nobody", self.refused("--data", given))

    @unittest.skipUnless(IS_ROOT, "root has a directory of its own")
    def test_without_a_home_a_directory_has_to_be_named(self):
        program = os.path.join(self.folder, "backstitch")
        shutil.copy(harness.PROGRAM, program)
        for home in ([], ["HOME="], ["HOME=relative"]):
            done = subprocess.run(as_nobody("env", "-u", "HOME", *home, program, "dev"), capture_output=True, text=True, cwd="/")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("HOME is not set", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
