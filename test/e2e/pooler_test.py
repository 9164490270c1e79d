"""A real PgBouncer between a node and PostgreSQL: session pooling is accepted, transaction and statement pooling are refused."""
import os
import shutil
import subprocess
import unittest

from support import UNSYNCED_ARGUMENTS, harness

PGBOUNCER = shutil.which("pgbouncer")
PORT = 6432  # a name only: it has no TCP socket


class PgBouncer:
    """In the folder of a cluster, as its user, on a Unix socket there."""

    def __init__(self, postgres):
        self.postgres, self.process = postgres, None
        self.folder = os.path.join(postgres.folder, "bouncer")
        user = postgres.user()
        os.mkdir(self.folder, 0o700)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.url = postgres.url.replace("%2Fsocket", "%2Fbouncer").replace("port=5432", f"port={PORT}")

    def start(self, mode, size=20):
        postgres = self.postgres
        postgres.write("bouncer.users", '"backstitch" ""\n')
        postgres.write("bouncer.ini", f"""
[databases]
backstitch = host={postgres.socket_folder} port={postgres.port} user=backstitch
[pgbouncer]
listen_port = {PORT}
listen_addr =
unix_socket_dir = {self.folder}
auth_type = trust
auth_file = {postgres.folder}/bouncer.users
pool_mode = {mode}
default_pool_size = {size}
""")
        self.process = subprocess.Popen(postgres.as_user(PGBOUNCER, "-q", os.path.join(postgres.folder, "bouncer.ini")),
                                        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/")
        harness.wait_until(lambda: os.path.exists(os.path.join(self.folder, f".s.PGSQL.{PORT}")), 20, "PgBouncer to listen")

    def stop(self):
        harness.stop_process(self.process)


@unittest.skipUnless(PGBOUNCER, "needs PgBouncer (Debian package pgbouncer)")
class Pooler(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.enterClassContext(cls.postgres)
        subprocess.run([harness.PROGRAM, "migrate", "--database", cls.postgres.url], check=True, stdout=subprocess.DEVNULL)
        cls.bouncer = PgBouncer(cls.postgres)

    def tearDown(self):
        self.bouncer.stop()

    def refused(self, *command):
        ended = subprocess.run([harness.PROGRAM, *command, "--database", self.bouncer.url], capture_output=True, text=True,
                               timeout=60, check=False)
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("[database-pooled]", ended.stderr)
        self.assertIn("pool_mode = session", ended.stderr)

    def test_transaction_pooling_is_refused_at_the_start(self):
        self.bouncer.start("transaction")
        self.refused("serve", "--listen", f"127.0.0.1:{harness.free_port()}", "--database-wait", "1h", *UNSYNCED_ARGUMENTS)
        self.refused("migrate")

    def test_transaction_pooling_over_a_single_server_process_is_recognised_too(self):
        self.bouncer.start("transaction", size=1)
        self.refused("migrate", "--dry-run")

    def test_statement_pooling_is_refused(self):
        self.bouncer.start("statement")
        self.refused("migrate", "--dry-run")

    def test_session_pooling_is_accepted_and_a_change_of_it_is_noticed_by_the_next_session(self):
        self.bouncer.start("session", size=40)
        server = harness.Server(self.bouncer.url, arguments=("--reactors", "1", *UNSYNCED_ARGUMENTS))
        with server:
            self.bouncer.stop()
            self.bouncer.start("transaction", size=40)

            def reason():
                status, body, _ = server.api("GET", "/readyz")
                return body["detail"] if status == 503 else ""
            harness.wait_until(lambda: "pooler" in reason(), 30, "the node to see the pooler")
            self.bouncer.stop()
            self.bouncer.start("session", size=40)
            server.ready()


if __name__ == "__main__":
    unittest.main(verbosity=2)
