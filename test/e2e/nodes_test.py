"""Three nodes on one database: they share the work, answer for each other, and any of them may go."""
import json
import signal
import subprocess
import tempfile
import unittest

from support import UNSYNCED_ARGUMENTS, World, harness, order

WAITS = {"dsl": 1, "name": "nodes.waits", "version": 1,
         "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h"}}, {"name": "v", "value": "done"}],
         "output": "${steps.v.output}"}
LEASE_SECONDS = 4
SHARDS = 256


class Nodes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.postgres.__enter__()
        cls.addClassCleanup(cls.postgres.__exit__, None, None, None)
        subprocess.run([harness.PROGRAM, "migrate", "--database", cls.postgres.url], check=True, stdout=subprocess.DEVNULL)

    def setUp(self):
        database = self.postgres.copy_database(self._testMethodName[:50], "backstitch")
        self.world = World(serve_arguments=("--lease", f"{LEASE_SECONDS}s"), database=database).open()
        self.addCleanup(self.world.close)
        self.world.server.register_text(json.dumps(WAITS))
        self.servers = [self.world.server]

    def join(self, name):
        server = harness.Server(self.world.database, arguments=self.world.serve_arguments, node=name)
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        self.servers.append(server)
        return server

    def shards(self, server):
        return {n["name"]: n["shards"] for n in server.api("GET", "/v1/nodes")[1]["nodes"] if n["alive"]}

    def wait_for_fair_shares(self, nodes, seconds=30):
        """All 256 shards are held, and nobody holds more than the level to which all fill up."""
        def are_fair():
            held = list(self.shards(self.servers[0]).values())
            return len(held) == nodes and sum(held) == SHARDS and max(held) <= -(-SHARDS // nodes)
        harness.wait_until(are_fair, seconds, f"the shards to be shared by {nodes} nodes")

    def start(self, server, definition, value, key):
        """As a client does it: what is answered 503 is asked again under its key."""
        def started():
            status, body, _ = server.start_saga(definition, value, key=key)
            self.assertIn(status, (200, 201, 503), body)
            return body["id"] if status != 503 else None
        return harness.wait_until(started, 20, "the start to be taken")

    def start_many(self, count, prefix):
        return [self.start(self.servers[number % len(self.servers)], "orders.place", order(f"{prefix}{number}"),
                           f"{prefix}{number}") for number in range(count)]

    def test_nodes_that_come_share_the_work_and_every_node_answers_for_every_saga(self):
        self.join("n1")
        self.join("n2")
        self.wait_for_fair_shares(3)
        sagas = [self.start(s, "nodes.waits", {}, f"w{s.port}-{n}") for s in self.servers for n in range(4)]
        for number, saga in enumerate(sagas):
            status, body, _ = self.servers[(number + 1) % 3].api("POST", f"/v1/sagas/{saga}/signals/go", {"n": number})
            self.assertEqual(status, 202, body)
        for number, saga in enumerate(sagas):
            status, body, _ = self.servers[(number + 2) % 3].api("GET", f"/v1/sagas/{saga}")
            ended = self.servers[(number + 2) % 3].ended(saga, 20)
            self.assertEqual(ended["output"], "done")
        status, body, _ = self.servers[1].api("POST", f"/v1/sagas/{sagas[0]}/cancel", {})
        self.assertEqual(status, 409, body)
        self.assertEqual([s.api("POST", f"/v1/sagas/{sagas[0]}/cancel", {})[1]["code"] for s in self.servers],
                         [body["code"]] * 3)

    def test_a_node_that_is_told_to_stop_hands_over_and_nothing_is_lost(self):
        leaving = self.join("n1")
        self.wait_for_fair_shares(2)
        sagas = self.start_many(40, "stop")
        harness.stop_process(leaving.process)
        self.assertEqual(leaving.process.returncode, 0)
        self.wait_for_fair_shares(1, 10)
        for saga in sagas:
            self.assertEqual(self.world.server.ended(saga, 30)["status"], "COMPLETED")
        self.assertEqual(self.world.participants.violations(), [])

    def test_the_sagas_of_a_node_that_was_killed_are_finished_by_the_others(self):
        victim = self.join("n1")
        self.wait_for_fair_shares(2)
        self.world.fault(service="payments", match="/authorisations", phase="forward", mode="delay", delayMs=1000,
                         times=40)
        sagas = self.start_many(40, "kill")
        victim.kill()
        for saga in sagas:
            self.assertEqual(self.world.server.ended(saga, 60)["status"], "COMPLETED")
        self.assertEqual(self.world.participants.violations(), [])
        self.assertEqual(self.shards(self.world.server), {"node-a": 256})

    def namesake(self, *arguments):
        """A second process under the name of the first node."""
        log = tempfile.NamedTemporaryFile(suffix=".log")
        self.addCleanup(log.close)
        server = harness.Server(self.world.database, arguments=arguments or self.world.serve_arguments, log=log.name)
        self.addCleanup(harness.stop_process, self.world.server.process)
        server.start(ready=False)
        self.addCleanup(server.__exit__, None, None, None)
        return server

    def test_a_process_under_the_name_of_a_living_one_ends_and_names_its_address(self):
        sagas = self.start_many(20, "name")
        second = self.namesake()
        self.assertEqual(second.process.wait(LEASE_SECONDS + 10), 1)
        self.assertIn("node-name-taken", second.last_words())
        self.assertIn(f"127.0.0.1:{self.world.server.port}", second.last_words())
        self.assertEqual(self.shards(self.world.server), {"node-a": SHARDS})
        for saga in sagas:
            self.assertEqual(self.world.server.ended(saga, 30)["status"], "COMPLETED")
        self.assertEqual(self.world.participants.violations(), [])

    def test_a_process_that_was_superseded_while_it_hung_ends(self):
        self.world.fault(service="payments", match="/authorisations", phase="forward", mode="delay", delayMs=1000,
                         times=20)
        sagas = self.start_many(20, "hang")
        first = self.world.server.process
        first.send_signal(signal.SIGSTOP)
        try:
            second = self.namesake()
            second.ready(LEASE_SECONDS + 20)
            self.assertIn("node-name-held", second.last_words())
        finally:
            first.send_signal(signal.SIGCONT)
        self.assertEqual(first.wait(15), 1)
        for saga in sagas:
            self.assertEqual(second.ended(saga, 60)["status"], "COMPLETED")
        self.assertEqual(self.shards(second), {"node-a": SHARDS})
        self.assertEqual(self.world.participants.violations(), [])

    def test_a_lone_node_that_crashed_comes_back_without_waiting_for_its_lease(self):
        saga = self.start(self.world.server, "nodes.waits", {}, "lone")
        harness.stop_process(self.world.server.process)
        long_lease = self.namesake(*UNSYNCED_ARGUMENTS, "--lease", "300s")
        long_lease.ready(20)
        long_lease.kill()
        again = self.namesake(*UNSYNCED_ARGUMENTS, "--lease", "300s")
        again.ready(20)
        self.assertEqual(again.api("POST", f"/v1/sagas/{saga}/signals/go", {})[0], 202)
        self.assertEqual(again.ended(saga, 20)["output"], "done")

    def test_the_command_line_lists_nodes(self):
        self.join("n1")
        self.wait_for_fair_shares(2)
        command = [harness.PROGRAM, "nodes", "--server", self.world.server.url]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        self.assertRegex(text, r"node-a +127\.0\.0\.1:\d+ +128 .*alive")
        listed = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
        self.assertEqual([n["name"] for n in listed["nodes"]], ["n1", "node-a"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
