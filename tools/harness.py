"""Real parts for demos, benchmarks and end-to-end tests: a private PostgreSQL, the server, the participants.

Everything listens on loopback, lives in a temporary folder, and is ended by process id, also on failure.
Used as context managers:

    with Postgres() as postgres, Participants() as participants, Server(postgres.url) as server:
        server.api("GET", "/readyz")
"""
import atexit
import glob
import http.client
import http.server
import json
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BACKSTITCH_BUILD", os.path.join(ROOT, "build"))
PROGRAM = os.path.join(BUILD, "backstitch")
LANGUAGE_SCHEMA = os.path.join(ROOT, "dsl", "schema", "saga-1.schema.json")
ORDER_DEFINITION = os.path.join(ROOT, "examples", "order", "orders.place.json")


def participants_program(example):
    """The services of examples/`example`."""
    return os.path.join(BUILD, "examples", example, f"{example}-participants")


ORDER_PARTICIPANTS = participants_program("order")


def wait_until(condition, seconds=30.0, what="the condition", every=0.02):
    """Polls until `condition()` is true and returns its value; fails with `what` after `seconds`.

    The time is that of an idle machine: it grows with the number of processes that wait for a core or for the disk.
    """
    began, load = time.monotonic(), 1.0
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > seconds:
            load = max(load, machine_load())
            if waited > seconds * load:
                raise TimeoutError(f"{what} did not come true within {waited:.0f} s "
                                   f"({seconds:g} s at a load of {load:.1f} a core)")
        time.sleep(every)  # poll


def machine_load():
    """Processes per core that run, or wait for a core or the disk, averaged over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


# Below the ports that Linux gives to outgoing connections: what is stopped finds its port free when it starts again.
PORTS = range(12000, 32000)


def free_port():
    """A port that stays this script's own until it ends, whatever listens there in between.

    Other scripts and tests see the claim: a Unix socket in the abstract namespace.
    """
    for port in random.sample(PORTS, 1000):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0backstitch-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        claim.detach()  # held until the script ends
        return port
    raise RuntimeError("no free port on loopback")


# What was started and not yet stopped. A script that ends early, for whatever reason, stops it.
_open_parts = []


def _stop_open_parts():
    while _open_parts:
        _open_parts.pop().__exit__(None, None, None)


atexit.register(_stop_open_parts)


def _forget(part):
    if part in _open_parts:
        _open_parts.remove(part)


def end_on_signals():
    """Makes SIGTERM end the script like Ctrl-C does, so that it stops what it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def stop_process(process, sig=signal.SIGTERM, seconds=30):
    if process is None or process.poll() is not None:
        return
    process.send_signal(sig)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# For figures: what a small production server would be given.
POSTGRES_TO_MEASURE = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
# For tests that are not about durability: does not wait for the disk. Only a crash of the machine would lose anything.
POSTGRES_UNSYNCED = {"fsync": "off", "max_wal_size": "96MB", "min_wal_size": "32MB"}


# The superuser that initdb makes. The engine's role is `backstitch`, which owns its database and nothing else.
SUPERUSER = "postgres"
_password = secrets.token_hex(16)


def password():
    """Of every role that this script gives one. Programs that it starts find it by PGPASSFILE."""
    if not os.environ.get("PGPASSFILE", "").startswith(tempfile.gettempdir() + "/backstitch-pgpass-"):
        file, name = tempfile.mkstemp(prefix="backstitch-pgpass-")  # of mode 0600
        os.write(file, f"*:*:*:*:{_password}\n".encode())
        os.close(file)
        os.environ["PGPASSFILE"] = name
        atexit.register(os.unlink, name)
    return _password


class Postgres:
    """A cluster of its own in a temporary folder, durable as in production by default. Never runs as root.

    It listens on a Unix socket in a directory of its own user, who may connect to it, as may root: as `backstitch` or as
    the superuser. Only with `tcp` does it listen on loopback too; a role needs the script's password there.
    """

    def __init__(self, settings=None, tcp=False):
        self.settings, self.tcp = dict(settings or {}), tcp
        self.is_durable = self.settings.get("fsync") != "off"
        # The runner of the tests offers a folder in memory.
        memory = None if self.is_durable else os.environ.get("BACKSTITCH_TEST_MEMORY")
        self.folder = tempfile.mkdtemp(prefix="backstitch-pg-", dir=memory)
        self.socket_folder = os.path.join(self.folder, "socket")
        self.port = free_port() if tcp else 5432
        self.url = self.url_of("backstitch")
        self.process = None

    def url_of(self, database, role="backstitch", over_socket=False):
        if self.tcp and not over_socket:
            return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{role}@/{database}?host={urllib.parse.quote(self.socket_folder, '')}&port={self.port}"

    @staticmethod
    def program(name):
        """Of PostgreSQL: from the folder in BACKSTITCH_POSTGRES_BIN if it is there, else of the newest version that Debian has installed."""
        given = os.environ.get("BACKSTITCH_POSTGRES_BIN")
        if given and os.path.exists(os.path.join(given, name)):
            return os.path.join(given, name)
        found = [p for p in glob.glob("/usr/lib/postgresql/*/bin") if int(p.split("/")[-2]) >= 15]
        if not found:
            raise RuntimeError("PostgreSQL 15 or later is not installed (Debian package postgresql)")
        return os.path.join(max(found, key=lambda p: int(p.split("/")[-2])), name)

    @staticmethod
    def user():
        """PostgreSQL refuses root: Debian's postgres user runs it then."""
        return pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())

    @staticmethod
    def as_user(*command):
        if os.getuid() != 0:
            return list(command)
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]

    def __enter__(self):
        try:
            self.make_folders()
            subprocess.run(self.as_user(self.program("initdb"), "-D", self.data, "-U", SUPERUSER, "--auth-local=peer",
                                        "--auth-host=reject", "--encoding=UTF8", "--no-sync", "--no-instructions"),
                           check=True, stdout=subprocess.DEVNULL, cwd="/")
            _open_parts.append(self)
            self.start()
            secret = f"password '{password()}'" if self.tcp else ""
            self.administer(f"create role backstitch login {secret}")
            self.administer("create database backstitch owner backstitch")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    def make_folders(self):
        user = self.user()
        os.chmod(self.folder, 0o711)
        for folder in (self.data, self.socket_folder):
            os.mkdir(folder, 0o700)
            os.chown(folder, user.pw_uid, user.pw_gid)
        own = ("root", user.pw_name)
        self.write("pg_ident.conf", "".join(f"own {name} {role}\n" for name in own for role in ("backstitch", SUPERUSER)))
        self.write("pg_hba.conf", f"local all backstitch,{SUPERUSER} peer map=own\nlocal all all scram-sha-256\n"
                   f"local replication {SUPERUSER} peer map=own\n" +
                   ("host all all 127.0.0.1/32 scram-sha-256\n" if self.tcp else ""))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)

    def start(self):
        options = {"port": self.port, "listen_addresses": "127.0.0.1" if self.tcp else "",
                   "unix_socket_directories": self.socket_folder, "unix_socket_permissions": "0700",
                   "hba_file": os.path.join(self.folder, "pg_hba.conf"),
                   "ident_file": os.path.join(self.folder, "pg_ident.conf"),
                   "shared_buffers": "128MB", "max_connections": 60, **self.settings}
        arguments = [x for name, value in options.items() for x in ("-c", f"{name}={value}")]
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen([*self.server_command(), *arguments],
                                        stdout=self.log, stderr=self.log, cwd="/", start_new_session=True)
        self.ready()

    def server_command(self):
        return self.as_user(self.program("postgres"), "-D", self.data)

    def ready(self):
        wait_until(lambda: self.psql("postgres", "select 1", SUPERUSER).returncode == 0, 30, "PostgreSQL to answer")

    def kill(self):
        """SIGKILL to the postmaster: its backends notice and go."""
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not self.has_backends(), 20, "the backends to go")

    def has_backends(self):
        """Whether a process of this cluster is left. Backends carry no path, so they are found by their folder."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd") == self.data:
                    return True
            except OSError:
                continue  # gone, or not ours to look at
        return False

    def psql_command(self, database="backstitch", role="backstitch"):
        """What runs a script given as further arguments or on standard input."""
        return [self.program("psql"), "-X", "-A", "-t", "-q", "-d", self.url_of(database, role, over_socket=True)]

    def psql(self, database, statement, role="backstitch"):
        return subprocess.run([*self.psql_command(database, role), "-c", statement], capture_output=True, text=True)

    def administer(self, statement, database="postgres"):
        """As the superuser, e.g. to create roles and databases."""
        return self.checked(self.psql(database, statement, SUPERUSER))

    def create_role(self, name):
        """One that may log in, by this script's password, and do nothing else."""
        self.administer(f"create role {name} login password '{password()}'")

    def copy_database(self, name, template):
        """@return the url of the new database, which belongs to `backstitch`"""
        self.administer(f"create database {name} template {template} owner backstitch")
        return self.url_of(name)

    def query(self, statement):
        return self.checked(self.psql("backstitch", statement))

    @staticmethod
    def checked(done):
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def __exit__(self, *_):
        _forget(self)
        stop_process(self.process, signal.SIGQUIT)
        self.remove_folder()

    def remove_folder(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Standby(Postgres):
    """A streaming standby of another cluster; without TCP, like that one. It takes reads until it is promoted."""

    def __init__(self, primary, seconds_behind=0):
        """`seconds_behind`: its clock; needs faketime_library()."""
        super().__init__(primary.settings)
        self.primary, self.seconds_behind = primary, seconds_behind

    @classmethod
    def is_possible(cls):
        """Whether there is a pg_basebackup for the server: only one of its own version copies it."""
        return os.path.dirname(cls.program("pg_basebackup")) == os.path.dirname(cls.program("postgres"))

    @staticmethod
    def faketime_library():
        """Of the Debian package faketime; or None."""
        return next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)

    def __enter__(self):
        try:
            self.make_folders()
            source = self.primary.url_of("postgres", SUPERUSER, over_socket=True)
            subprocess.run(self.as_user(self.program("pg_basebackup"), "-D", self.data, "-d", source, "-R", "-X", "stream",
                                        "-c", "fast", "--no-sync"), check=True, stdout=subprocess.DEVNULL, cwd="/")
            _open_parts.append(self)
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def server_command(self):
        clock = [f"LD_PRELOAD={self.faketime_library()}", f"FAKETIME=-{self.seconds_behind}s", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        # The library is loaded by the server's own user, who has to open what it shares.
        return self.as_user("env", *(clock if self.seconds_behind else ()), self.program("postgres"), "-D", self.data)

    def await_replayed(self):
        """Returns once everything that the primary has written by now can be read here."""
        lsn = self.primary.administer("select pg_current_wal_lsn()")
        wait_until(lambda: self.administer(f"select pg_last_wal_replay_lsn() >= '{lsn}'") == "t", 30, "the standby to follow")

    def promote(self):
        assert self.administer("select pg_promote(true, 60)") == "t"


class Participants:
    """The services of an example in one process."""

    def __init__(self, program=ORDER_PARTICIPANTS, arguments=("--port-base", "0", "--print-ports")):
        self.program, self.arguments, self.process = program, arguments, None

    def __enter__(self):
        self.process = subprocess.Popen([self.program, *self.arguments], stdout=subprocess.PIPE, text=True)
        _open_parts.append(self)
        self.urls = json.loads(self.process.stdout.readline())
        return self

    def call(self, method, path, body=None):
        """The ledger and the faults; every port has them."""
        return request(next(iter(self.urls.values())), method, path, body)

    def fault(self, **rule):
        status, body, _ = self.call("POST", "/faults", rule)
        assert status < 300, body

    def clear(self):
        self.call("DELETE", "/faults")

    def forget(self):
        """Clears the ledger, keys included: only when no saga is running."""
        self.call("DELETE", "/ledger")

    def ledger(self, saga=None):
        body = self.call("GET", "/ledger" + (f"?saga={saga}" if saga else ""))[1]
        return body if isinstance(body, list) else body.get("entries", body)

    def violations(self):
        return self.call("GET", "/ledger/check")[1]["violations"]

    def __exit__(self, *_):
        _forget(self)
        stop_process(self.process)
        if self.process:
            self.process.stdout.close()


class Server:
    """`backstitch serve` on a database of ours, migrated first."""

    def __init__(self, database, port=None, arguments=(), log=None, node="node-a"):
        self.database, self.port, self.arguments, self.node = database, port or free_port(), list(arguments), node
        self.url, self.process, self.log = f"http://127.0.0.1:{self.port}", None, log

    def __enter__(self):
        subprocess.run([PROGRAM, "migrate", "--database", self.database], check=True, stdout=subprocess.DEVNULL)
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def start(self, ready=True):
        _forget(self)
        _open_parts.append(self)
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--database", self.database, "--listen", f"127.0.0.1:{self.port}", "--node", self.node,
             "--allow-host", "127.0.0.1", *self.arguments],
            stderr=open(self.log, "ab") if self.log else subprocess.DEVNULL)
        if ready:
            self.ready()

    def ready(self, seconds=30):
        def is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}: {self.last_words()}")
            try:
                return self.api("GET", "/readyz")[0] == 200
            except OSError:
                return False
        wait_until(is_ready, seconds, "the server to be ready")

    def last_words(self):
        if not self.log:
            return "no log was kept"
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def api(self, method, path, body=None, headers=None, timeout=90):
        return request(self.url, method, path, body, headers, timeout)

    def put_services(self, participants):
        for name, url in participants.urls.items():
            status, body, _ = self.api("PUT", f"/v1/services/{name}", {"baseUrl": url, "answers": {"echo": "Saga-Echo"}})
            assert status in (200, 201), body

    def register(self, file):
        with open(file, encoding="utf-8") as text:
            return self.register_text(text.read())

    def register_text(self, definition):
        status, body, _ = self.api("POST", "/v1/definitions?activate=true", definition)
        assert status in (200, 201), body
        return body

    def start_saga(self, definition, saga_input, key=None, wait=None):
        path = "/v1/sagas" + (f"?wait={wait}" if wait else "")
        headers = {"Idempotency-Key": key} if key else {}
        return self.api("POST", path, {"definition": definition, "input": saga_input}, headers)

    def saga(self, saga_id):
        status, body, _ = self.api("GET", f"/v1/sagas/{saga_id}")
        assert status == 200, body
        return body

    def ended(self, saga_id, seconds=60):
        """The saga once it has ended or is suspended."""
        return wait_until(lambda: (lambda s: s if s["status"] not in ("RUNNING", "COMPENSATING") else None)(
            self.saga(saga_id)), seconds, f"saga {saga_id} to end", 0.05)

    def cli(self, *arguments):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                              env={**os.environ, "BACKSTITCH_SERVER": self.url})

    def __exit__(self, *_):
        _forget(self)
        stop_process(self.process)


def request(base, method, path, body=None, headers=None, timeout=90):
    """(status, parsed body, headers); a text body is sent as it is."""
    parts = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        data = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        kind = answer.headers.get("Content-Type", "")
        return answer.status, json.loads(text) if text and "json" in kind else text, answer.headers
    finally:
        connection.close()


class HttpService:
    """A service in this process, on a port of its own."""

    def serve(self, handler, server=http.server.ThreadingHTTPServer):
        self.server = server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        # A daemon, so that a script that ends early does not wait for it.
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def require_build():
    for program in (PROGRAM, ORDER_PARTICIPANTS):
        if not os.path.exists(program):
            sys.exit(f"{program} is not built; run ./dev build first")
