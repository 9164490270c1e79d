"""Sagas started and signalled by SQL, in the caller's own transaction and under a role that may do nothing else."""
import json
import subprocess
import unittest

from support import World, harness, order

WAITS = {"dsl": 1, "name": "sql.waits", "version": 1,
         "input": {"type": "object", "required": ["x"],
                   "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 7}}},
         "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h",
                                          "schema": {"type": "object", "required": ["ok"]}}},
                   {"name": "v", "value": "${input.x + input.y}"}],
         "output": {"sum": "${steps.v.output}", "said": "${steps.w.output.payload}"}}


def nested(depth):
    """An object with as many values inside each other."""
    value = {}
    for _ in range(depth - 1):
        value = {"x": value}
    return value


class Sql(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.world.server.register_text(json.dumps(WAITS))
        for role in ("nobody", "shop"):
            cls.world.postgres.create_role(role)
        cls.world.postgres.query(
            "grant usage on schema backstitch to shop;"
            "grant execute on function backstitch.start_saga(text, jsonb, text, jsonb, bigint) to shop;"
            "grant execute on function backstitch.signal(uuid, text, jsonb) to shop")

    def sql(self, *statements, user="shop"):
        """All in one transaction. @return what the last statement answered, or the error's text"""
        script = "begin;" + ";".join(statements) + ";"
        done = subprocess.run([*self.world.postgres.psql_command(role=user), "-v", "ON_ERROR_STOP=1",
                               "-v", "VERBOSITY=verbose", "-f", "-"], input=script, capture_output=True, text=True)
        if done.returncode != 0:
            return done.stderr
        return (done.stdout.strip().splitlines() or [""])[-1]

    def start(self, name, value, end="commit", **more):
        arguments = "".join(f", {key} => {literal}" for key, literal in more.items())
        return self.sql(f"select backstitch.start_saga('{name}', '{json.dumps(value)}'{arguments})", end)

    def ended(self, saga):
        harness.wait_until(lambda: self.world.server.api("GET", "/v1/sagas/" + saga)[0] == 200, 10, "the saga to exist")
        return self.world.server.ended(saga, 30)

    def unless_pending(self, request):
        status, body, _ = self.world.server.api("POST", "/v1/sagas", request)
        return None if body.get("code") == "start-pending" else (status, body.get("id"))

    def test_a_start_that_is_committed_runs_to_its_end(self):
        saga = self.start("orders.place", order("sql1"))
        self.assertEqual(self.ended(saga)["status"], "COMPLETED")
        self.assertEqual(self.world.participants.violations(), [])

    def test_a_start_that_is_rolled_back_never_was(self):
        saga = self.start("orders.place", order("sql2"), end="rollback")
        # A later start has been taken up, so this one would have been, too.
        self.ended(self.start("orders.place", order("sql3")))
        self.assertEqual(self.world.server.api("GET", "/v1/sagas/" + saga)[0], 404)
        self.assertEqual(self.world.participants.ledger(saga), [])

    def test_a_business_key_makes_the_start_repeatable_by_sql_and_by_rest(self):
        first = self.start("sql.waits", {"x": 1}, business_key="'k-1'")
        self.assertEqual(self.start("sql.waits", {"x": 1}, business_key="'k-1'"), first)
        self.assertIn("BS409", self.start("sql.waits", {"x": 2}, business_key="'k-1'"))
        request = {"definition": "sql.waits", "input": {"x": 1}, "businessKey": "k-1"}
        # Until a node has taken the start up, a repetition by REST is told to come again.
        answer = harness.wait_until(lambda: self.unless_pending(request), 10, "the start to be taken up")
        self.assertEqual(answer, (200, first))
        self.assertEqual(self.start("sql.waits", {"x": 1}, business_key="'k-1'"), first)
        self.assertIn(f"belongs to the saga {first}", self.start("sql.waits", {"x": 2}, business_key="'k-1'"))

    def test_what_cannot_start_is_refused_with_a_code_of_its_own(self):
        cases = [("no.such", {"x": 1}, {}, "BS404"), ("sql.waits", {"x": 1}, {"version": "9"}, "BS404"),
                 ("sql.waits", [1], {}, "BS422"), ("sql.waits", {"x": 1}, {"labels": "'[]'"}, "BS422"),
                 ("sql.waits", {"x": "x" * 300_000}, {}, "BS422"), ("sql.waits", nested(65), {}, "BS422"),
                 ("sql.waits", {"x": 1}, {"business_key": f"'{256 * 'k'}'"}, "BS422"),
                 ("sql.waits", {"x": 1}, {"business_key": "''"}, "BS422"),
                 ("sql.waits", {"x": 1}, {"labels": "(select jsonb_object_agg('k' || i, repeat('x', 1000000))"
                                                    " from generate_series(1, 100) i)"}, "BS422"),
                 ("sql.waits", {"x": 1}, {"labels": "'" + json.dumps({str(i): "" for i in range(17)}) + "'"}, "BS422"),
                 ("sql.waits", {"x": 1}, {"labels": "'" + json.dumps({65 * "n": ""}) + "'"}, "BS422"),
                 ("sql.waits", {"x": 1}, {"labels": "'" + json.dumps({"n": 1025 * "v"}) + "'"}, "BS422")]
        for name, value, more, code in cases:
            with self.subTest(name=name, code=code, more=str(more)[:80]):
                said = self.start(name, value, **more)
                self.assertIn(code, said)
                self.assertTrue(code != "BS422" or "HINT:" in said, said)

    def test_an_input_that_the_schema_refuses_is_a_saga_that_failed_with_all_that_rest_would_say(self):
        saga = self.start("sql.waits", {"x": "no number"}, business_key="'k-bad'")
        ended = self.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"]), ("FAILED", "INPUT_INVALID"))
        status, refused, _ = self.world.server.api("POST", "/v1/sagas",
                                                   {"definition": "sql.waits", "input": {"x": "no number"}})
        self.assertEqual(status, 422)
        told = [(e["pointer"], e["message"]) for e in ended["failure"]["details"]["errors"]]
        self.assertEqual(told, [(e["pointer"], e["message"]) for e in refused["errors"]])
        # Nothing was done under the key, so it is free again.
        status, body, _ = self.world.server.api(
            "POST", "/v1/sagas", {"definition": "sql.waits", "input": {"x": 1}, "businessKey": "k-bad"})
        self.assertEqual(status, 201, body)

    def test_a_signal_that_no_saga_can_hold_is_refused(self):
        saga = self.start("sql.waits", {"x": 1})
        for name, payload in (("", "{}"), (129 * "n", "{}"), ("go", json.dumps("x" * 65_536)), ("go", json.dumps(nested(65))),
                              ("go", "18446744073709551615"), ("go", "[1e400]")):
            with self.subTest(name=name[:10], payload=payload[:40]):
                self.assertIn("BS422", self.sql(f"select backstitch.signal('{saga}', '{name}', '{payload}')"))

    def test_a_start_that_cannot_be_read_is_a_saga_that_failed_and_its_business_key_is_free(self):
        # Only the owner of the table can get such a start into it.
        query = self.world.postgres.query
        query("alter table backstitch.inbox drop constraint inbox_command_admitted")
        self.addCleanup(query, "alter table backstitch.inbox add constraint inbox_command_admitted"
                               " check (backstitch.flaw_of_command(kind, node, definition, data) is null) not valid")
        data = '{"input": {"n": 1e400}, "stated": null, "businessKey": "order-77", "idempotencyKey": null, "labels": {}}'
        saga = query(f"""
            with new as (select backstitch.new_saga_id() as id),
                 key as (insert into backstitch.saga_key (saga_id, version, scope, key, hash)
                           select id, 1, 'business:sql.waits', 'order-77', '' from new)
            insert into backstitch.inbox (saga_id, shard, kind, definition, version, data)
              select id, backstitch.shard_of(id), 'start', 'sql.waits', 1, '{data}' from new returning saga_id""").split()[0]
        ended = self.ended(saga)
        self.assertEqual((ended["status"], ended["failure"]["code"], ended["input"]), ("FAILED", "INPUT_INVALID", None))
        details = ended["failure"]["details"]
        self.assertGreater(details["bytes"], 400)
        self.assertIn("number", details["reason"])
        status, body, _ = self.world.server.api(
            "POST", "/v1/sagas", {"definition": "sql.waits", "input": {"x": 1}, "businessKey": "order-77"})
        self.assertEqual(status, 201, body)

    def test_a_signal_that_cannot_be_read_hurts_neither_its_saga_nor_others(self):
        query = self.world.postgres.query
        sagas = [self.start("sql.waits", {"x": i}) for i in range(4)]
        for saga in sagas:
            harness.wait_until(lambda: self.world.server.api("GET", "/v1/sagas/" + saga)[0] == 200, 10, "the saga")
        query("alter table backstitch.inbox drop constraint inbox_command_admitted")
        self.addCleanup(query, "alter table backstitch.inbox add constraint inbox_command_admitted"
                               " check (backstitch.flaw_of_command(kind, node, definition, data) is null) not valid")
        for saga in sagas[:3]:
            query(f"""insert into backstitch.inbox (saga_id, shard, kind, data)
                        select '{saga}', backstitch.shard_of('{saga}'), 'signal',
                               '{{"name": "go", "payload": {{"n": 1e400}}, "by": "sql:shop", "roles": ["*"], "key": null}}'
                          from generate_series(1, 1000)""")
        self.sql(f"select backstitch.signal('{sagas[3]}', 'go', '{{\"ok\": 1}}')", "commit")
        self.assertEqual(self.ended(sagas[3])["status"], "COMPLETED")
        harness.wait_until(lambda: query("select count(*) from backstitch.inbox where kind = 'signal'") == "0", 60,
                           "the inbox to be empty")
        self.assertEqual(query("select count(*) from backstitch.audit where action = 'signal-refused' and actor = 'sql'"), "3000")
        for saga in sagas[:3]:
            self.sql(f"select backstitch.signal('{saga}', 'go', '{{\"ok\": 1}}')", "commit")
            self.assertEqual(self.ended(saga)["status"], "COMPLETED")

    def test_a_transaction_may_not_send_more_signals_than_may_wait(self):
        saga = self.start("sql.waits", {"x": 1})
        self.assertIn("BS429", self.sql(
            f"select count(backstitch.signal('{saga}', 'go', '{{}}')) from generate_series(1, 101)", "commit"))

    def test_the_views_can_be_read_with_the_grants_of_the_documentation(self):
        self.world.postgres.create_role("reports")
        self.world.postgres.query(
            "grant usage on schema backstitch to reports;"
            "grant select on backstitch.sagas, backstitch.steps to reports;"
            "grant execute on function backstitch.masked(jsonb, jsonb), backstitch.masked_failure(jsonb, jsonb) to reports")
        self.start("sql.waits", {"x": 1})
        self.assertGreater(int(self.sql("select count(input) from backstitch.sagas", user="reports")), 0)
        self.assertNotIn("ERROR", self.sql("select count(output) from backstitch.steps", user="reports"))

    def test_a_start_and_its_signal_may_share_a_transaction(self):
        saga = self.sql("create temp table t on commit drop as select backstitch.start_saga('sql.waits', '{\"x\": 1}') as id",
                        "select backstitch.signal(id, 'go', '{\"ok\": 1}') from t", "select id from t", "commit")
        self.assertEqual(self.ended(saga)["output"], {"sum": 8, "said": {"ok": 1}})

    def test_a_signal_that_the_wait_turns_away_is_audited_and_the_saga_still_waits(self):
        saga = self.start("sql.waits", {"x": 1})
        harness.wait_until(lambda: self.world.server.api("GET", "/v1/sagas/" + saga)[0] == 200, 10, "the saga to exist")
        self.assertEqual(self.sql(f"select backstitch.signal('{saga}', 'go', '{{}}')", "commit"), "")
        row = harness.wait_until(lambda: self.world.postgres.query(
            f"select actor || ' ' || action from backstitch.audit where saga_id = '{saga}'"), 10, "the audit")
        self.assertEqual(row, "sql:shop signal-refused")
        self.assertEqual(self.world.server.saga(saga)["status"], "RUNNING")
        self.sql(f"select backstitch.signal('{saga}', 'go', '{{\"ok\": true}}')", "commit")
        self.assertEqual(self.ended(saga)["status"], "COMPLETED")
        self.assertIn("BS409", self.sql(f"select backstitch.signal('{saga}', 'go')", "commit"))
        self.assertEqual(self.world.postgres.query("select count(*) from backstitch.inbox"), "0")

    def test_a_signal_to_nobody_is_refused(self):
        self.assertIn("BS404", self.sql("select backstitch.signal('00000000-0000-7000-8000-000000000000', 'go')"))

    def test_the_role_can_do_nothing_else(self):
        for statement in ("select count(*) from backstitch.saga", "delete from backstitch.inbox",
                          "select backstitch.put_command('00000000-0000-7000-8000-000000000000', 1::smallint, 'cancel', 'x', '{}')",
                          "select backstitch.release_leases('x', gen_random_uuid())"):
            with self.subTest(statement=statement):
                self.assertIn("permission denied", self.sql(statement))
        self.assertIn("permission denied", self.sql("select backstitch.start_saga('sql.waits', '{}')", user="nobody"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
