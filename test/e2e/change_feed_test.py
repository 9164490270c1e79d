"""The change feed of the documentation: every event of every saga, in order, and nothing of what retention removes."""
import collections
import json
import os
import subprocess
import sys
import unittest

from support import UNSYNCED_ARGUMENTS, documented, harness

FOLLOW = os.path.join(harness.ROOT, "examples", "change-feed", "follow.py")
SIMPLE = {"dsl": 1, "name": "feed.simple", "version": 1, "retention": "1d",
          "steps": [{"name": "w", "sleep": {"for": "1ms"}}, {"name": "v", "value": "${1 + 1}"}], "output": "${steps.v.output}"}


class ChangeFeed(unittest.TestCase):
    def setUp(self):
        self.postgres = harness.Postgres({**harness.POSTGRES_UNSYNCED, "wal_level": "logical"})
        self.enterContext(self.postgres)
        self.server = self.enterContext(harness.Server(self.postgres.url, arguments=UNSYNCED_ARGUMENTS))
        self.server.register_text(json.dumps(SIMPLE))
        for statement in documented("change-feed.md", "Set it up"):
            self.postgres.administer(statement, "backstitch")

    def events(self):
        database = self.postgres.url_of("backstitch", harness.SUPERUSER)
        path = os.path.dirname(self.postgres.program("psql")) + os.pathsep + os.environ["PATH"]
        done = subprocess.run([sys.executable, FOLLOW, database, "--once"], capture_output=True, text=True,
                              env={**os.environ, "PATH": path})
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_it_gives_every_event_of_every_saga_in_order_and_nothing_that_retention_removes(self):
        self.postgres.query("select count(backstitch.start_saga('feed.simple', '{}')) from generate_series(1, 100)")
        harness.wait_until(lambda: self.postgres.query("select count(*) from backstitch.saga where status = 'COMPLETED'") == "100",
                           30, "every saga to end")
        sequences = collections.defaultdict(list)
        for event in self.events():
            sequences[event["saga_id"]].append(event["sequence"])
        self.assertEqual(len(sequences), 100)
        for own in sequences.values():
            self.assertEqual(own, list(range(1, len(own) + 1)))
        stored = int(self.postgres.query("select count(*) from backstitch.saga_log"))
        self.assertEqual(sum(map(len, sequences.values())), stored)
        self.assertEqual(self.events(), [])
        self.postgres.query("update backstitch.saga set expires_at = now()")
        self.postgres.query("select backstitch.remove_expired(array(select generate_series(0, 255)::smallint), 100, 3600000)")
        self.assertEqual(self.postgres.query("select count(*) from backstitch.saga_log"), "0")
        self.assertEqual(self.events(), [])

    def test_sagas_are_started_and_removed_while_every_table_is_published(self):
        self.postgres.administer("create publication everything for all tables", "backstitch")
        saga = self.postgres.query("select backstitch.start_saga('feed.simple', '{}', labels => '{\"a\": \"b\"}')")
        harness.wait_until(lambda: self.postgres.query(f"select status from backstitch.saga where id = '{saga}'") == "COMPLETED",
                           30, "the saga to end")
        self.postgres.query("update backstitch.saga set expires_at = now()")
        self.postgres.query("select backstitch.remove_expired(array(select generate_series(0, 255)::smallint), 100, 3600000)")
        self.assertEqual(self.postgres.query("select count(*) from backstitch.saga_label"), "0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
