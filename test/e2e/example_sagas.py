"""What the tests of the example sagas share: definitions with short times, and judging an end by the ledger."""
import collections
import json
import os
import unittest

from support import World, harness

# A call of a definition: its name here, the service, how its path begins, and how its undo's path begins.
Call = collections.namedtuple("Call", "name service path undo", defaults=(None,))


def definition(example, name):
    path = os.path.join(harness.ROOT, "examples", example, f"{name}.json")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def steps_of(value):
    """Every step of a definition, by name, however deep."""
    found = {}
    if isinstance(value, dict):
        if "name" in value and any(kind in value for kind in ("action", "wait", "saga", "sleep")):
            found[value["name"]] = value
        value = list(value.values())
    for member in value if isinstance(value, list) else ():
        found.update(steps_of(member))
    return found


def undo_keys(entries):
    return [e["compensates"] for e in entries if e["effect"] == "undone"]


def effects(entries):
    return [e for e in entries if e["effect"] in ("done", "captured")]


def label(entry):
    """The service, and what is done there: "air-gds holds", "hotels bookings confirmation"."""
    parts = entry["subject"].split("/")
    return " ".join([entry["service"], parts[0], *parts[2:]])


class ExampleSagas(unittest.TestCase):
    """One world a class; one saga at a time, so that the whole ledger is that saga's and its children's."""
    EXAMPLE = None
    NAME = None
    CALLS = ()

    @classmethod
    def definitions(cls):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.world = World(example=cls.EXAMPLE, definitions=[json.dumps(d) for d in cls.definitions()]).open()
        cls.addClassCleanup(cls.world.close)
        cls.number = 0

    def saga_input(self, number, **changes):
        raise NotImplementedError

    def setUp(self):
        self.fresh()

    def fresh(self):
        """Nothing done, no faults. Every saga before this has ended."""
        self.world.participants.clear()
        self.world.participants.forget()

    def start(self, **changes):
        type(self).number += 1
        status, body, _ = self.world.server.start_saga(self.NAME, self.saga_input(self.number, **changes))
        self.assertEqual(status, 201, body)
        return body["id"]

    def finish(self, saga_id):
        """The ended saga; what the participants say of it must be in order whichever way it ended."""
        saga = self.world.server.ended(saga_id)
        self.assertEqual(self.world.participants.violations(), [])
        return saga

    def run_saga(self, **changes):
        return self.finish(self.start(**changes))

    def fault(self, call, mode, phase="forward", times=1, **more):
        path = call.undo if phase == "compensate" else call.path
        self.world.fault(service=call.service, path=path, phase=phase, mode=mode, times=times, **more)

    def ledger(self):
        return self.world.participants.ledger()

    def call(self, name):
        return next(call for call in self.CALLS if call.name == name)

    def assert_fault_met(self):
        _, rules, _ = self.world.participants.call("GET", "/faults")
        self.assertTrue(all(rule["applied"] for rule in rules), f"a fault met no request: {rules}")

    def assert_completed(self, saga, expected):
        """Each effect of `expected` once and nothing undone but what `expected` leaves out."""
        self.assertEqual((saga["status"], saga["failure"]), ("COMPLETED", None))
        self.assertTrue(saga["pivotPassed"])
        undone = set(undo_keys(self.ledger()))
        standing = [label(e) for e in effects(self.ledger()) if e["key"] not in undone]
        self.assertEqual(sorted(standing), sorted(expected))
        self.assert_nothing_undone_after_the_pivot()

    def assert_failed(self, saga, code=None):
        """Every effect that can be undone is undone, and no money moved."""
        self.assertEqual(saga["status"], "FAILED", saga["failure"])
        if code:
            self.assertEqual(saga["failure"]["code"], code)
        self.assertFalse(saga["pivotPassed"])
        entries = self.ledger()
        undoable = [e["key"] for e in effects(entries) if e.get("undoable")]
        self.assertEqual(sorted(undo_keys(entries)), sorted(undoable))
        self.assertEqual([label(e) for e in entries if e["effect"] == "captured"], [])

    def assert_nothing_undone_after_the_pivot(self):
        seen = [e["effect"] for e in self.ledger()]
        if "captured" in seen:
            after = seen[seen.index("captured"):]
            self.assertNotIn("undone", after)
            self.assertNotIn("noop-undo", after)

    def assert_mirror_order(self):
        """What was undone was undone last first."""
        entries = self.ledger()
        done = [e["key"] for e in effects(entries)]
        undone = undo_keys(entries)
        self.assertEqual(undone, [key for key in reversed(done) if key in set(undone)])

    def lose(self, call, mode, phase="forward", times=1):
        self.fresh()
        self.fault(call, mode, phase, times)
