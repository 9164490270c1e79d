"""The checker of the kill loop finds each kind of disorder in a run that was in order."""
import copy
import unittest

import checker


class Scenario:
    def __init__(self, status):
        self.status = status

    @staticmethod
    def definitions():
        return [{"steps": [{"name": "a"}, {"name": "b"}, {"name": "all", "parallel": {"branches": {
            "left": [{"name": "l"}], "right": [{"name": "r"}]}}}]}]


STEPS = ["a", "b", "all/left/l", "all/right/r"]


def entry(step, effect, **more):
    return {"saga": "s", "step": step, "effect": effect, "service": "x", "subject": step, "key": f"{step}-f",
            "undoable": True, **more}


def undone(step):
    return entry(step, "undone", key=f"{step}-c", compensates=f"{step}-f")


def event(kind, path="", **data):
    return {"type": kind, "path": path, "data": data}


def run(status):
    """(saga, logs, ledger) of one that is in order."""
    events = [event("SagaStarted")]
    ledger = []
    for step in STEPS:
        events += [event("StepScheduled", step, request={"method": "PUT"}), event("StepSucceeded", step)]
        ledger.append(entry(step, "done"))
    if status == "FAILED":
        for step in reversed(STEPS):
            events += [event("StepCompensationScheduled", step), event("StepCompensated", step)]
            ledger.append(undone(step))
    events.append(event("SagaEnded", status=status))
    for number, one in enumerate(events, 1):
        one["sequence"] = number
    return {"id": "s", "status": status, "failure": None}, {"s": events}, ledger


def double(ledger, at, **changes):
    ledger.insert(at + 1, {**ledger[at], **changes})


def renumber(logs):
    for number, one in enumerate(logs["s"], 1):
        one["sequence"] = number


def drop_event(logs, kind):
    logs["s"].remove(next(one for one in logs["s"] if one["type"] == kind))


def double_event(logs, kind):
    at = next(i for i, one in enumerate(logs["s"]) if one["type"] == kind)
    logs["s"].insert(at, copy.deepcopy(logs["s"][at]))
    renumber(logs)


def swap(ledger, one, other):
    ledger[one], ledger[other] = ledger[other], ledger[one]


# What goes wrong, in which of the two runs, and what the checker says.
DISORDERS = [
    ("another end", "COMPLETED", lambda saga, logs, ledger: saga.update(status="SUSPENDED"), "it ended SUSPENDED"),
    ("a gap in the log", "COMPLETED", lambda saga, logs, ledger: drop_event(logs, "StepSucceeded"), "has the sequences"),
    ("two ends", "COMPLETED", lambda saga, logs, ledger: double_event(logs, "SagaEnded"), "ends 2 times"),
    ("two starts", "COMPLETED", lambda saga, logs, ledger: double_event(logs, "SagaStarted"), "begins"),
    ("an end that the row does not show", "COMPLETED",
     lambda saga, logs, ledger: logs["s"][-1]["data"].update(status="FAILED"), "ends with"),
    ("a step that succeeds twice", "COMPLETED", lambda saga, logs, ledger: double_event(logs, "StepSucceeded"), "StepSucceeded twice"),
    ("a step undone twice in the log", "FAILED", lambda saga, logs, ledger: double_event(logs, "StepCompensated"), "StepCompensated twice"),
    ("an effect twice under its key", "COMPLETED", lambda saga, logs, ledger: double(ledger, 0), "two effects under the key"),
    ("an effect twice under two keys", "COMPLETED", lambda saga, logs, ledger: double(ledger, 0, key="other"), "two effects at"),
    ("an effect that never came", "COMPLETED", lambda saga, logs, ledger: ledger.pop(0), "succeeded without an effect: a"),
    ("an effect that nobody asked for", "COMPLETED",
     lambda saga, logs, ledger: ledger.append(entry("stray", "done")), "an effect that no log knows"),
    ("an undo of what completed", "COMPLETED", lambda saga, logs, ledger: ledger.append(undone("b")), "undone although it completed"),
    ("an effect left after a failure", "FAILED", lambda saga, logs, ledger: ledger.pop(), "left done: a-f"),
    ("an undo twice", "FAILED", lambda saga, logs, ledger: double(ledger, 5), "undone twice"),
    ("an effect after its undo", "FAILED", lambda saga, logs, ledger: swap(ledger, 3, 4), "an effect after its undo"),
    ("money taken though it failed", "FAILED",
     lambda saga, logs, ledger: ledger[1].update(effect="captured", undoable=False), "captured although it failed"),
    ("undos out of order", "FAILED", lambda saga, logs, ledger: swap(ledger, 6, 7), "a was undone before b"),
]


class Checker(unittest.TestCase):
    def judge(self, status, change):
        saga, logs, ledger = run(status)
        change(saga, logs, ledger)
        return checker.judge(Scenario(status), saga, logs, ledger)

    def test_a_run_in_order_has_no_violation(self):
        for status in ("COMPLETED", "FAILED"):
            self.assertEqual(self.judge(status, lambda *_: None), [])

    def test_branches_may_be_undone_in_any_order(self):
        self.assertEqual(self.judge("FAILED", lambda saga, logs, ledger: swap(ledger, 4, 5)), [])

    def test_a_callback_that_came_too_late_is_noted_after_the_end_once_a_step(self):
        def late(times):
            def change(saga, logs, _):
                log = logs[saga["id"]]
                for _ in range(times):
                    log.append({**event("CallbackRefused", "a"), "sequence": len(log) + 1})
            return change
        self.assertEqual(self.judge("COMPLETED", late(1)), [])
        self.assertNotEqual(self.judge("COMPLETED", late(2)), [])

    def test_each_disorder_is_found(self):
        for name, status, change, says in DISORDERS:
            with self.subTest(name):
                found = self.judge(status, change)
                self.assertTrue(any(says in violation for violation in found), found)


if __name__ == "__main__":
    unittest.main(verbosity=2)
