"""A primary and its streaming standby, two clusters of our own: promotions, an old primary that comes back, lost commits."""
import json
import tempfile
import unittest
import urllib.parse

from support import UNSYNCED_ARGUMENTS, World, harness, order

DEMOTED = "alter role backstitch set default_transaction_read_only = on"
TAKEN_BACK = "alter role backstitch reset default_transaction_read_only"
LEASE_SECONDS = 4


def url_of(*servers):
    """Of several hosts, in their order."""
    return ("postgresql://backstitch@/backstitch?host=" + urllib.parse.quote(",".join(s.socket_folder for s in servers), "/,") +
            "&port=" + ",".join(str(s.port) for s in servers))


class Failover(unittest.TestCase):
    def setUp(self):
        self.primary = self.enterContext(harness.Postgres(harness.POSTGRES_UNSYNCED))
        self.log = self.enterContext(tempfile.NamedTemporaryFile(suffix=".log"))

    def add_standby(self, **options):
        if not harness.Standby.is_possible():
            self.skipTest("there is no pg_basebackup of this PostgreSQL's version")
        self.standby = self.enterContext(harness.Standby(self.primary, **options))
        return self.standby

    def serve(self, *servers):
        self.world = World(serve_arguments=("--lease", f"{LEASE_SECONDS}s", "--log-format", "json"), database=url_of(*servers),
                           log=self.log.name).open()
        self.addCleanup(self.world.close)
        return self.world.server

    def notes(self, event):
        with open(self.log.name, encoding="utf-8") as log:
            return [note for note in (json.loads(line) for line in log if line.startswith("{")) if note["event"] == event]

    def start_many(self, count, prefix):
        return [self.world.start(f"{prefix}{number}", key=f"{prefix}{number}") for number in range(count)]

    def all_end(self, sagas):
        for saga in sagas:
            self.assertEqual(self.world.server.ended(saga, 60)["status"], "COMPLETED")
        self.assertEqual(self.world.participants.violations(), [])

    def appends(self, server):
        return server.administer("select count(*) from backstitch.saga_log", "backstitch")

    def is_idle(self, server):
        return server.administer("select count(*) from pg_stat_activity where usename = 'backstitch' and state = 'active'") == "0"

    def delay_payments(self):
        self.world.fault(service="payments", match="/authorisations", phase="forward", mode="delay", delayMs=2000, times=1000)

    def promote_beside_living_primary(self):
        """The sessions that there are go on at the old primary, and one has to be opened anew."""
        self.primary.administer(DEMOTED)
        self.standby.await_replayed()
        self.standby.promote()
        self.standby.administer(TAKEN_BACK)
        self.primary.administer("select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%reader%'")
        harness.wait_until(lambda: self.notes("database-lineage-changed"), 30, "the promotion to be noticed")
        harness.wait_until(lambda: self.is_idle(self.primary), 30, "the last append at the old primary to end")

    def test_after_the_first_session_at_the_new_primary_nothing_is_sent_to_the_old_one(self):
        behind = 30 if harness.Standby.faketime_library() else 0
        self.add_standby(seconds_behind=behind)
        self.serve(self.primary, self.standby)
        self.delay_payments()
        sagas = self.start_many(20, "promoted")
        self.promote_beside_living_primary()
        appends = self.appends(self.primary)
        more = self.start_when_ready(20, "after")
        self.all_end(sagas + more)
        self.assertEqual(self.appends(self.primary), appends)
        self.assertEqual(self.primary.administer("select count(*) from pg_stat_activity where usename = 'backstitch'"), "0")
        print(f"appends sent to the old primary after the promotion was noticed: 0; clock of the standby: {behind} s behind")

    def start_when_ready(self, count, prefix):
        self.world.server.ready(60)
        def started(number):
            status, body, _ = self.world.server.start_saga("orders.place", order(f"{prefix}{number}"), key=f"{prefix}{number}")
            return body["id"] if status in (200, 201) else None
        return [harness.wait_until(lambda n=number: started(n), 30, "the start to be taken") for number in range(count)]

    def test_a_node_ends_that_is_led_back_to_the_old_primary(self):
        self.add_standby()
        server = self.serve(self.primary, self.standby)
        self.all_end(self.start_many(5, "before"))
        self.standby.await_replayed()
        self.primary.kill()
        self.standby.promote()
        self.all_end(self.start_when_ready(5, "new"))
        self.standby.kill()
        self.primary.start()
        self.assertEqual(server.process.wait(60), 1)
        self.assertIn("database-foreign", server.last_words())
        self.assertIn("timeline 1, after this node has worked on timeline 2", server.last_words())

    def test_sagas_of_which_commits_were_lost_go_on_from_what_is_left(self):
        self.add_standby()
        self.serve(self.primary, self.standby)
        self.delay_payments()
        sagas = self.start_many(10, "lost")
        self.standby.await_replayed()
        self.standby.kill()
        unknown = self.start_many(5, "gone")
        self.primary.kill()
        self.standby.start()
        self.standby.promote()
        again = self.start_when_ready(5, "gone")
        self.assertEqual(set(again) & set(unknown), set())
        self.all_end(sagas + again)
        for saga in unknown:
            self.assertEqual(self.world.server.api("GET", f"/v1/sagas/{saga}")[0], 404)

    def test_two_nodes_fail_over_together_whatever_was_lost(self):
        self.add_standby()
        first = self.serve(self.primary, self.standby)
        second = self.start_on(self.primary, self.standby, arguments=("--lease", f"{LEASE_SECONDS}s"))
        second.ready()
        self.world.fault(service="payments", match="/authorisations", phase="forward", mode="delay", delayMs=500, times=1000)
        self.start_many(40, "load")
        self.primary.kill()
        self.standby.promote()
        second.ready(60)
        self.all_end(self.start_when_ready(40, "load"))
        held = {node["name"]: node["shards"] for node in first.api("GET", "/v1/nodes")[1]["nodes"] if node["alive"]}
        self.assertEqual(sum(held.values()), 256)
        self.assertEqual((first.process.poll(), second.process.poll()), (None, None))

    def test_without_the_functions_a_node_warns_and_runs(self):
        self.primary.administer("revoke execute on function pg_control_system() from public", "backstitch")
        server = self.serve(self.primary)
        self.assertEqual([note["missing"] for note in self.notes("database-identity-unknown")],
                         ["grant execute on function pg_catalog.pg_control_system()"])
        ready = server.api("GET", "/readyz")
        self.assertEqual(ready[0], 200)
        self.assertIn("grant execute on function pg_catalog.pg_control_system()", ready[1]["warning"])
        self.assertIn("backstitch_database_identity_known 0", server.api("GET", "/metrics")[1])
        self.all_end(self.start_many(2, "blind"))

    def start_on(self, *servers, arguments=()):
        """A node that may end at once. @return it"""
        log = self.enterContext(tempfile.NamedTemporaryFile(suffix=".log"))
        node = harness.Server(url_of(*servers), arguments=(*UNSYNCED_ARGUMENTS, *arguments), log=log.name, node="node-b")
        node.start(ready=False)
        self.addCleanup(node.__exit__, None, None, None)
        return node

    def ends_with(self, code, *words, servers, arguments=()):
        node = self.start_on(*servers, arguments=arguments)
        self.assertEqual(node.process.wait(30), code)
        for word in words:
            self.assertIn(word, node.last_words())

    def test_two_hosts_that_take_writes_end_the_start(self):
        self.add_standby()
        self.serve(self.primary, self.standby)
        harness.stop_process(self.world.server.process)
        self.standby.promote()
        self.ends_with(1, "database-several-primaries", servers=(self.primary, self.standby))

    def test_a_restored_copy_can_be_read_and_acts_when_it_is_adopted(self):
        self.serve(self.primary)
        saga, = self.start_many(1, "copied")
        self.all_end([saga])
        harness.stop_process(self.world.server.process)
        self.primary.administer("update backstitch.lineage set alive_at = now() - interval '11 minutes'", "backstitch")
        self.add_standby()
        self.standby.await_replayed()
        self.standby.promote()
        self.ends_with(1, "database-copied", "--adopt", servers=(self.standby,))

        reader = self.start_on(self.standby, arguments=("--read-only",))
        reader.ready()
        self.assertEqual(reader.api("GET", "/readyz")[1]["status"], "read-only")
        self.assertEqual(reader.saga(saga)["status"], "COMPLETED")
        status, body, _ = reader.start_saga("orders.place", order("never"))
        self.assertEqual((status, body["code"]), (503, "node-read-only"))
        status, body, _ = reader.api("PUT", "/v1/services/payments", {"baseUrl": "http://127.0.0.1:1"})
        self.assertEqual((status, body["code"]), (503, "node-read-only"))
        self.assertEqual(self.standby.query("select count(*) from backstitch.node where name = 'node-b'"), "0")
        harness.stop_process(reader.process)
        self.assertEqual(reader.process.returncode, 0)

        adopted = self.start_on(self.standby, arguments=("--adopt",))
        adopted.ready()
        self.assertIn("database-adopted", adopted.last_words())
        self.assertEqual(adopted.start_saga("orders.place", order("adopted"))[0], 201)
        self.assertEqual(self.standby.query("select number from backstitch.lineage"), "2")
        harness.stop_process(adopted.process)
        self.start_on(self.standby).ready()

    def test_under_a_hold_nodes_have_no_shards(self):
        server = self.serve(self.primary)
        self.all_end(self.start_many(1, "before"))
        self.primary.query("update backstitch.lineage set hold = true")
        harness.wait_until(lambda: server.api("GET", "/readyz")[0] == 503, 20, "the node to obey")
        self.assertIn("on hold", server.api("GET", "/readyz")[1]["detail"])
        harness.wait_until(lambda: self.primary.query("select count(*) from backstitch.shard where node is not null") == "0", 20,
                           "the shards to be given back")
        waiting = self.start_on(self.primary)
        harness.wait_until(lambda: "hold-begun" in waiting.last_words(), 20, "the second node to notice")
        self.primary.query("update backstitch.lineage set hold = false")
        waiting.ready()
        self.all_end(self.start_when_ready(1, "after"))


if __name__ == "__main__":
    unittest.main()
