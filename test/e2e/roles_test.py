"""The roles of the documentation: each can do its work with the grants of docs/operating.md, and nothing else."""
import json
import subprocess
import unittest

from support import UNSYNCED_ARGUMENTS, documented, harness

ENGINE, OWNER, STARTER, REPORTER = "backstitch_engine", "backstitch_owner", "shop", "reporting"
SIMPLE = {"dsl": 1, "name": "roles.simple", "version": 1, "retention": "1d", "input": {"type": "object"},
          "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h"}}]}


class Roles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(harness.Postgres(harness.POSTGRES_UNSYNCED, tcp=True))
        cls.postgres.administer("alter database backstitch owner to postgres")
        for role in (OWNER, ENGINE, STARTER, REPORTER):
            cls.postgres.create_role(role)
        for statement in documented("operating.md", "Roles and grants", 0):
            if not statement.startswith("create role"):
                cls.postgres.administer(statement, "backstitch")
        subprocess.run([harness.PROGRAM, "migrate", "--database", cls.url_of(OWNER)], check=True, stdout=subprocess.DEVNULL)
        for statement in documented("operating.md", "Roles and grants", 1):
            cls.sql(OWNER, statement)
        cls.server = harness.Server(cls.url_of(ENGINE), arguments=UNSYNCED_ARGUMENTS)
        cls.server.start()
        cls.addClassCleanup(cls.server.__exit__)
        cls.server.register_text(json.dumps(SIMPLE))

    @classmethod
    def url_of(cls, role):
        return cls.postgres.url_of("backstitch", f"{role}:{harness.password()}")

    @classmethod
    def sql(cls, role, statement):
        return harness.Postgres.checked(subprocess.run(
            [cls.postgres.program("psql"), "-X", "-A", "-t", "-q", "-d", cls.url_of(role), "-c", statement],
            capture_output=True, text=True))

    def refused(self, role, statement):
        with self.assertRaisesRegex(RuntimeError, "permission denied"):
            self.sql(role, statement)

    def test_sagas_run_from_their_start_to_their_removal(self):
        saga = self.sql(STARTER, "select backstitch.start_saga('roles.simple', '{\"pin\": \"t0p\"}', business_key => 'b-1',"
                                 " labels => '{\"a\": \"b\"}')")
        harness.wait_until(lambda: self.server.api("GET", f"/v1/sagas/{saga}")[0] == 200, 10, "the saga to begin")
        self.sql(STARTER, f"select backstitch.signal('{saga}', 'go')")
        self.assertEqual(self.server.ended(saga)["status"], "COMPLETED")
        status, body, _ = self.server.api("POST", f"/v1/sagas/{saga}/cancel", {})
        self.assertEqual((status, body["code"]), (409, "saga-ended"), body)
        self.assertIn("COMPLETED", self.sql(REPORTER, "select status from backstitch.saga_report"))
        self.sql(OWNER, "update backstitch.saga set expires_at = now()")
        self.assertEqual(self.sql(ENGINE, "select backstitch.remove_expired(array(select generate_series(0, 255)::smallint), 10, 3600000)"), "1")

    def test_the_report_has_no_value_of_a_saga(self):
        columns = self.sql(REPORTER, "select string_agg(attname, ' ') from pg_attribute"
                                     " where attrelid = 'backstitch.saga_report'::regclass and attnum > 0")
        for value in ("input", "output", "labels", "business_key", "failure ", "data"):
            self.assertNotIn(value, columns + " ")

    def test_no_role_can_do_more(self):
        for role in (STARTER, REPORTER):
            for table in ("saga", "saga_log", "saga_key", "inbox", "installation", "sagas", "steps"):
                self.refused(role, f"select 1 from backstitch.{table}")
        self.refused(REPORTER, "select backstitch.start_saga('roles.simple', '{}')")
        self.refused(STARTER, "select backstitch.read_secret()")
        self.refused(ENGINE, "select 1 from backstitch.installation")
        self.refused(ENGINE, "update backstitch.saga_log set path = ''")
        self.refused(ENGINE, "delete from backstitch.schema_object")
        self.refused(ENGINE, "create table backstitch.mine (a int)")


if __name__ == "__main__":
    unittest.main(verbosity=2)
