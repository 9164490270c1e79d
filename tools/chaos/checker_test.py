#!/usr/bin/env python3
"""The checker lets a good run pass and finds each kind of broken promise; plans depend on their seed alone."""
import copy
import unittest

import checker
import plan
import report
from faults import Done
from load import Said, Start
from tables import Tables

A, B = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"


def entry(seq, saga, step, effect, key=None, compensates="", undoable=True):
    return {"seq": seq, "service": "orders", "saga": saga, "step": step, "subject": f"{step}/{saga}", "effect": effect,
            "key": key or f"{saga}-{step}-f", "compensates": compensates, "undoable": undoable}


def event(saga, sequence, kind, path="", **data):
    return {"saga_id": saga, "sequence": sequence, "type": kind, "path": path, "data": data}


def scheduled(saga, sequence, step):
    return event(saga, sequence, "StepScheduled", step, request={"method": "PUT", "key": f"{saga}-{step}-f"})


def row(saga, status, last, key):
    return {"id": saga, "definition": "orders.place", "status": status, "last_sequence": last, "shard": saga[-1:], "parent": "",
            "business_key": key, "failure_code": "", "failure": None, "wake_at": ""}


def good():
    """A saga that completed, started by REST, and one that was undone, by SQL; shard 1 changed hands in between."""
    log = {
        A: [event(A, 1, "SagaStarted"), scheduled(A, 2, "create"), event(A, 3, "StepSucceeded", "create"),
            event(A, 4, "SagaEnded", status="COMPLETED")],
        B: [event(B, 1, "SagaStarted"), scheduled(B, 2, "create"), event(B, 3, "StepSucceeded", "create"),
            scheduled(B, 4, "reserve"), event(B, 5, "StepSucceeded", "reserve"),
            event(B, 6, "SignalReceived", payload={"note": "n-1"}), event(B, 7, "CancelRequested"),
            event(B, 8, "StepCompensated", "reserve"), event(B, 9, "StepCompensated", "create"),
            event(B, 10, "SagaEnded", status="FAILED")]}
    ledger = [entry(1, A, "create", "done"), entry(2, B, "create", "done"), entry(3, B, "reserve", "done"),
              entry(4, B, "reserve", "undone", f"{B}-reserve-c", f"{B}-reserve-f"),
              entry(5, B, "create", "undone", f"{B}-create-c", f"{B}-create-f")]
    owned = [{"at": f"{at}", "shard": shard, "epoch": epoch, "node": owner[:1], "owner": owner, "clock": at}
             for at, shard, epoch, owner in ((1, 1, 1, "a.1"), (1, 2, 1, "a.1"), (5, 1, 2, "b.1"))]
    written = [{"at": f"{2 + (saga == A and e['sequence'] > 2) * 4}", "saga_id": saga, "sequence": e["sequence"], "shard": int(saga[-1]),
                "writer": "b.1" if saga == A and e["sequence"] > 2 else "a.1"} for saga in log for e in log[saga]]
    written.sort(key=lambda w: w["at"])
    tables = Tables(sagas=[row(A, "COMPLETED", 4, "k-a"), row(B, "FAILED", 10, "k-b")], log=log,
                    keys=[{"scope": "business:orders.place", "key": k, "saga_id": s} for k, s in (("k-a", A), ("k-b", B))],
                    owned=owned, written=written, ledgers={"order": ledger})
    rest, sql, back = Start("k-a", "orders.place", "rest"), Start("k-b", "orders.place", "sql"), Start("k-c", "orders.place", "sql")
    rest.ids, sql.ids, back.rolled_back = {A}, {B}, True
    signal, cancel = Said("signal", B, "n-1", "rest"), Said("cancel", B, None, "rest")
    signal.status = cancel.status = 202
    return tables, [rest, sql, back], [signal, cancel]


def drop(log, *sequences):
    log[:] = [e for e in log if e["sequence"] not in sequences]


# (the check that has to find it, what is done to a good run)
BREAKS = [
    ("every answered start is there", lambda t, s, c: s[0].ids.add("gone")),
    ("no start was turned away", lambda t, s, c: setattr(s[0], "refused", (404, "no"))),
    ("every saga has ended", lambda t, s, c: t.sagas[0].update(status="RUNNING")),
    ("every saga has ended", lambda t, s, c: t.sagas[1].update(status="SUSPENDED", failure={"code": "X"})),
    ("every saga has ended", lambda t, s, c: t.sagas[1].update(status="FAILED_INCOMPLETE")),
    ("one saga for each key", lambda t, s, c: s[0].ids.add(B)),
    ("one saga for each key", lambda t, s, c: t.sagas[1].update(business_key="k-a")),
    ("one saga for each key", lambda t, s, c: t.keys[0].update(saga_id="gone")),
    ("nothing is left of what was rolled back", lambda t, s, c: t.sagas[1].update(business_key="k-c")),
    ("nothing is left of what was rolled back", lambda t, s, c: t.keys[1].update(key="k-c")),
    ("at most one effect for each step", lambda t, s, c: t.ledgers["order"].append(entry(9, A, "create", "done"))),
    ("at most one effect for each step", lambda t, s, c: t.ledgers["order"].append(entry(9, A, "create", "done", key="other"))),
    ("what a saga calls done was done, and stands unless it was undone", lambda t, s, c: t.ledgers["order"].pop(0)),
    ("what a saga calls done was done, and stands unless it was undone", lambda t, s, c: drop(t.log[B], 9)),
    ("what a saga calls done was done, and stands unless it was undone", lambda t, s, c: t.ledgers["order"].pop()),
    ("a saga that failed left nothing, one that completed keeps what it did", lambda t, s, c: t.ledgers["order"].pop()),
    ("a saga that failed left nothing, one that completed keeps what it did",
     lambda t, s, c: t.ledgers["order"].append(entry(9, A, "create", "undone", "x", f"{A}-create-f"))),
    ("a saga that failed left nothing, one that completed keeps what it did",
     lambda t, s, c: t.ledgers["order"].append(entry(9, B, "pay", "captured"))),
    ("a saga that failed left nothing, one that completed keeps what it did",
     lambda t, s, c: t.ledgers["order"].append(entry(9, "nobody", "create", "done"))),
    ("undone last first", lambda t, s, c: t.ledgers["order"].insert(3, t.ledgers["order"].pop())),
    ("no effect after its undo", lambda t, s, c: t.ledgers["order"].append(entry(9, B, "create", "done"))),
    ("no effect after its undo", lambda t, s, c: t.ledgers["order"].insert(0, entry(0, A, "create", "closed"))),
    ("the participants' own judgement",
     lambda t, s, c: t.judgements.append({"example": "order", "promise": "I3", "code": "x", "saga": A, "message": "m"})),
    ("every log is without gaps and agrees with its saga's row", lambda t, s, c: drop(t.log[A], 2)),
    ("every log is without gaps and agrees with its saga's row", lambda t, s, c: drop(t.log[A], 4)),
    ("every log is without gaps and agrees with its saga's row", lambda t, s, c: t.sagas[0].update(last_sequence=5)),
    ("every log is without gaps and agrees with its saga's row", lambda t, s, c: t.sagas[0].update(status="FAILED")),
    ("every log is without gaps and agrees with its saga's row", lambda t, s, c: t.sagas.pop(0)),
    ("one end, and nothing after it", lambda t, s, c: t.log[A].append(event(A, 5, "SignalReceived"))),
    ("one end, and nothing after it", lambda t, s, c: t.log[A].append(event(A, 5, "SagaEnded", status="COMPLETED"))),
    ("one end, and nothing after it", lambda t, s, c: t.log[B].append(event(B, 11, "SagaReopened"))),
    ("no attempt begins twice", lambda t, s, c: t.log[A].insert(2, scheduled(A, 3, "create"))),
    ("epochs only grow, and with every new owner", lambda t, s, c: t.owned[2].update(epoch=0)),
    ("epochs only grow, and with every new owner", lambda t, s, c: t.owned[2].update(epoch=1)),
    ("every event was written by the process that held the saga's shard", lambda t, s, c: t.written[-1].update(writer="a.1")),
    ("every event was written by the process that held the saga's shard", lambda t, s, c: t.owned[0].update(node="")),
    ("every event of the log was seen being written, once", lambda t, s, c: t.written.append(dict(t.written[-1]))),
    ("every event of the log was seen being written, once", lambda t, s, c: t.written.pop()),
    ("every event of the log was seen being written, once", lambda t, s, c: drop(t.log[B], 6)),
    ("no command is left over", lambda t, s, c: t.inbox.append({"id": "1", "saga_id": A, "kind": "signal"})),
    ("an answered signal or cancel reached its saga", lambda t, s, c: drop(t.log[B], 6)),
    ("an answered signal or cancel reached its saga", lambda t, s, c: t.log[B].append(dict(t.log[B][5]))),
    ("an answered signal or cancel reached its saga", lambda t, s, c: drop(t.log[B], 7)),
    ("an answered signal or cancel reached its saga", lambda t, s, c: (setattr(c[0], "way", "sql"), drop(t.log[B], 6), t.audit.append(
        {"saga_id": B, "action": "signal-refused", "reason": "The database cannot store this; nothing was changed."}))),
]


class Checker(unittest.TestCase):
    @staticmethod
    def found(world):
        return {result.name for result in checker.judge(*world) if result.violations}

    def test_a_good_run_passes(self):
        self.assertEqual([r for r in checker.judge(*good()) if r.violations], [])

    def test_every_broken_promise_is_found(self):
        for number, (name, spoil) in enumerate(BREAKS):
            with self.subTest(number=number, name=name):
                world = copy.deepcopy(good())
                spoil(*world)
                self.assertIn(name, self.found(world))

    def test_every_check_is_seen_to_fail(self):
        self.assertEqual({name for name, _ in BREAKS}, {c.name for c in checker.CHECKS})

    def test_a_child_that_is_undone_after_it_completed_ends_twice(self):
        tables, starts, said = good()
        tables.log[A] += [event(A, 5, "SagaReopened"), event(A, 6, "SagaEnded", status="FAILED")]
        tables.sagas[0].update(status="FAILED", last_sequence=6)
        tables.ledgers["order"].append(entry(6, A, "create", "undone", "x", f"{A}-create-f"))
        self.assertNotIn("one end, and nothing after it", self.found((tables, starts, said)))

    def test_a_callback_that_came_too_late_is_noted_after_the_end_once_a_step(self):
        tables, starts, said = good()
        tables.log[A].append(event(A, 5, "CallbackRefused"))
        tables.sagas[0].update(last_sequence=5)
        found = self.found((tables, starts, said))
        self.assertNotIn("one end, and nothing after it", found)
        self.assertNotIn("every log is without gaps and agrees with its saga's row", found)
        tables.log[A].append(event(A, 6, "CallbackRefused"))
        tables.sagas[0].update(last_sequence=6)
        self.assertIn("one end, and nothing after it", self.found((tables, starts, said)))

    def test_a_cancel_that_meets_a_saga_on_its_way_back_need_not_be_noted(self):
        for code, accepted in (("NOT_APPROVED", True), ("CANCELLED", False)):
            with self.subTest(code=code):
                tables, starts, said = good()
                tables.log[B][6] = event(B, 7, "CompensationStarted", failure={"code": code})
                found = "an answered signal or cancel reached its saga" in self.found((tables, starts, said))
                self.assertEqual(not found, accepted)


class Plan(unittest.TestCase):
    ARGUMENTS = (plan.NAMES, ("n1", "n2", "n3"), ("orders", "mail", "hotels"))

    def test_a_plan_is_its_seeds(self):
        self.assertEqual(plan.make(7, 120, *self.ARGUMENTS), plan.make(7, 120, *self.ARGUMENTS))
        self.assertNotEqual(plan.make(7, 120, *self.ARGUMENTS), plan.make(8, 120, *self.ARGUMENTS))

    def test_two_minutes_have_every_kind_of_fault(self):
        for seed in range(50):
            self.assertEqual({e.kind for e in plan.make(seed, 120, *self.ARGUMENTS)}, set(plan.NAMES), seed)

    def test_faults_of_one_resource_follow_each_other(self):
        free = {}
        for e in plan.make(3, 600, *self.ARGUMENTS):
            self.assertGreaterEqual(e.at, free.get(e.resource, 0))
            free[e.resource] = e.at + e.seconds


class TakeOver(unittest.TestCase):
    @staticmethod
    def change(clock, shard, node, owner):
        return {"clock": str(clock), "shard": shard, "node": node, "owner": owner}

    def test_it_lasts_until_the_last_shard_is_with_another_node(self):
        owned = [self.change(1, 1, "a", "a.1"), self.change(1, 2, "a", "a.1"), self.change(1, 3, "b", "b.1"),
                 self.change(14, 1, "b", "b.1"), self.change(15, 2, "c", "c.1")]
        self.assertEqual(report.take_overs(owned, [("a.1", 10)]), [5])

    def test_a_node_that_came_back_itself_is_not_counted(self):
        owned = [self.change(1, 1, "a", "a.1"), self.change(11, 1, "a", "a.2")]
        self.assertEqual(report.take_overs(owned, [("a.1", 10)]), [])

    def test_a_kill_among_other_faults_is_told_apart(self):
        own = Done("kill", "a", 10, 20, {}, None)
        for other, counts in ((Done("pause", "b", 15, 30, {}, None), False), (Done("pause", "b", 1, 9, {}, None), True),
                              (Done("postgres-kill", None, 9, 11, {}, None), False),
                              (Done("service-reset", "mail", 9, 11, {}, None), True)):
            with self.subTest(other=other):
                self.assertEqual(bool(report.undisturbed([("a.1", 10)], [own, other], 8)), counts)

    def test_percentiles_are_values_that_were_seen(self):
        self.assertEqual([report.percentile(range(1, 101), p) for p in (50, 99, 100)], [50, 99, 100])
        self.assertEqual((report.percentile([3], 99), report.percentile([], 50)), (3, None))


if __name__ == "__main__":
    unittest.main(verbosity=2)
