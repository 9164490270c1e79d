"""PostgreSQL answers and fails: out of space, no permission, a torn page. It is simulated by a trigger that raises its errors."""
import unittest

from support import World, harness, order

TRIGGER = """create or replace function public.refuse() returns trigger language plpgsql as $$
begin if {condition} then raise exception 'refused' using errcode = '{state}'; end if; return new; end $$;
create or replace trigger refuse before insert on backstitch.saga_log for each row execute function public.refuse();"""


class BrokenDatabase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.addCleanup(self.world.postgres.query, "drop trigger if exists refuse on backstitch.saga_log")

    def refuse(self, state, condition="true"):
        self.world.postgres.query(TRIGGER.format(state=state, condition=condition))

    def accept(self):
        self.world.postgres.query("drop trigger refuse on backstitch.saga_log")

    def start_slow(self, count, prefix):
        """Sagas that have an attempt in flight for a while."""
        self.world.fault(service="payments", match="/authorisations", phase="forward", mode="delay", delayMs=1500, times=count)
        return [self.world.server.start_saga("orders.place", order(f"{prefix}{n}"), key=f"{prefix}{n}")[1]["id"]
                for n in range(count)]

    def readiness(self):
        return self.world.server.api("GET", "/readyz")[:2]

    def lane_processes(self):
        return self.world.postgres.query("select string_agg(pid::text, ',' order by pid) from pg_stat_activity"
                                         " where application_name like '% lane %'")

    def test_a_database_that_writes_nothing_suspends_no_saga_and_is_not_connected_to_again_and_again(self):
        for number, (state, words) in enumerate((("53100", "disk"), ("54000", "limit"), ("42501", "privilege"))):
            sagas = self.start_slow(10, f"full{number}")
            before = self.lane_processes()
            self.refuse(state)
            status, body = harness.wait_until(lambda: (lambda r: r if r[0] == 503 else None)(self.readiness()), 20,
                                              "the server not ready")
            self.assertIn(words, body["detail"])
            self.assertIn(state, body["detail"])
            answer, body, headers = self.world.server.start_saga("orders.place", order(f"none{number}"))
            self.assertEqual(answer, 503, body)
            self.assertIn("Retry-After", headers)
            self.assertEqual(body["code"], "database-failing")
            self.assertIn(words, body["detail"])
            self.assertEqual(self.lane_processes(), before)
            self.accept()
            self.world.server.ready(20)
            for saga in sagas:
                self.assertEqual(self.world.server.ended(saga, 40)["status"], "COMPLETED")
        self.assertEqual(self.world.postgres.query("select count(*) from backstitch.saga_log where type = 'SagaSuspended'"), "0")
        self.assertEqual(self.world.participants.violations(), [])

    def test_a_saga_that_cannot_be_written_is_set_aside_and_named_and_the_others_go_on(self):
        torn, *others = self.start_slow(10, "torn")
        self.refuse("XX001", f"new.saga_id = '{torn}'")
        for saga in others:
            self.assertEqual(self.world.server.ended(saga, 40)["status"], "COMPLETED")
        harness.wait_until(lambda: self.readiness() == (200, {"status": "ready", "sagasSetAside": [torn]}), 40,
                           "the saga to be set aside")
        metrics = self.world.server.api("GET", "/metrics")[1]
        self.assertIn("backstitch_sagas_set_aside 1", metrics if isinstance(metrics, str) else str(metrics))
        self.accept()
        self.assertEqual(self.world.server.ended(torn, 60)["status"], "COMPLETED")
        self.assertEqual(self.readiness(), (200, {"status": "ready"}))

    def test_a_lone_saga_whose_answer_cannot_be_written_is_suspended(self):
        lone, = self.start_slow(1, "lone")
        self.refuse("22P05", f"new.saga_id = '{lone}' and new.type <> 'SagaSuspended'")
        view = self.world.server.ended(lone, 40)
        self.assertEqual((view["status"], view["suspension"]["reason"]), ("SUSPENDED", "CONTENT_REFUSED"))
        self.assertEqual(self.readiness(), (200, {"status": "ready"}))


if __name__ == "__main__":
    unittest.main(verbosity=2)
