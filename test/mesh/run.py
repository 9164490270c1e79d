#!/usr/bin/env python3
"""Real proxies between the engine and a participant, and in front of two nodes. The participant's ledger is held against the end
of every saga: with `answers` no end may be wrong, without it none but those that docs/guide/behind-a-proxy.md names."""
import argparse
import collections
import sys
import time

from world import Outcome, World, harness  # first: it says where the helpers of the end-to-end tests are
from cases import CASES, Skipped, statuses
from fronts import FRONTS
from guide import KNOWN_WRONGS
from ingress import ingress

SAGAS = 90
DETAILS_MAX = 5
# Cases that do not depend on `answers`, and their row in the table.
NEITHER = {ingress: "before two nodes", statuses: "alone"}


class Row:
    """A line of the table: a proxy before the participant, with or without `answers`, or before the nodes."""

    def __init__(self):
        self.sagas = self.completed = self.failed = self.resumed = self.open = self.unheard = 0
        self.wrong, self.unnamed = collections.Counter(), 0

    def add(self, outcome, known):
        self.sagas += outcome.sagas
        self.completed += outcome.ends["COMPLETED"]
        self.failed += outcome.ends["FAILED"]
        self.resumed += outcome.resumed
        self.open += outcome.sagas - outcome.ends["COMPLETED"] - outcome.ends["FAILED"]
        self.unheard += len(outcome.unheard)
        self.wrong.update(name for name, _ in outcome.wrong if name in known)
        self.unnamed += len(outcome.unknown_wrongs(known))

    HEAD = ("sagas", "completed", "failed", "resumed", "open", "not heard", "wrong, named", "wrong")

    def cells(self):
        return (self.sagas, self.completed, self.failed, self.resumed, self.open, self.unheard, sum(self.wrong.values()), self.unnamed)


class Run:
    def __init__(self, count, say=print):
        self.count, self.say = count, say
        self.rows, self.skipped, self.problems, self.unheard = {}, [], [], []
        self.passed = self.failed = 0

    def everything(self, fronts, cases):
        with World() as world:
            for front in fronts:
                if front.why_not():
                    self.skip(front.why_not(), sum(1 if case in NEITHER else 2 for case in cases))
                    continue
                for case in cases:
                    for marked in (None,) if case in NEITHER else (True, False):
                        self.one(world, front, case, marked)

    def skip(self, reason, cases=1):
        self.skipped += [reason] * cases
        self.say(f"skipped: {reason}")

    def one(self, world, front, case, marked):
        began, place = time.monotonic(), NEITHER.get(case) or ("with answers" if marked else "without answers")
        name = f"{front.NAME} {case.__name__}{'' if case in NEITHER else ' ' + place}"
        try:
            outcome = case(world, front, marked, self.count)
        except Skipped as reason:
            return self.skip(str(reason))
        except Exception as error:  # of one case; the others go on
            outcome = Outcome(broken=[f"{type(error).__name__}: {error}"])
        known = KNOWN_WRONGS if marked is False else frozenset()
        problems = outcome.broken + outcome.unknown_wrongs(known)
        if outcome.sagas:
            self.rows.setdefault((front.NAME, front.version(), place), Row()).add(outcome, known)
        self.passed, self.failed = self.passed + (not problems), self.failed + bool(problems)
        self.unheard += [f"{name}: {call}" for call in outcome.unheard]
        self.problems += [f"{name}: {problem}" for problem in problems]
        self.say(f"{'failed' if problems else 'ok'}: {name}, {outcome.sagas} sagas, {time.monotonic() - began:.1f} s")
        for problem in problems[:DETAILS_MAX]:
            self.say(f"  {problem}")
        return None

    def report(self):
        lines = [("proxy", "version", "", *Row.HEAD), *((*key, *map(str, row.cells())) for key, row in self.rows.items())]
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        for line in lines:
            self.say("  ".join(text.ljust(width) if at < 3 else text.rjust(width) for at, (text, width) in enumerate(zip(line, widths))))
        for call in self.unheard:
            self.say(f"not heard: {call}")
        for place in dict.fromkeys(place for _, _, place in self.rows):
            rows = [row for (_, _, of), row in self.rows.items() if of == place]
            named = sum(sum(row.wrong.values()) for row in rows)
            self.say(f"{place}: {sum(row.unnamed for row in rows)} wrong of {sum(row.sagas for row in rows)} sagas"
                     + (f", beside {named} that the guide names" if named else ""))
        self.report_named()
        self.say(f"{self.passed} passed, {self.failed} failed" + (f", {len(self.skipped)} skipped" if self.skipped else ""))

    def report_named(self):
        seen = sum((row.wrong for row in self.rows.values()), collections.Counter())
        for name in sorted(KNOWN_WRONGS):
            self.say(f"named by the guide: {name}, " + (f"seen {seen[name]} times" if seen[name] else "not seen"))


def main():
    parser = argparse.ArgumentParser(prog="./dev mesh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = {**CASES, ingress.__name__: ingress}
    parser.add_argument("--proxy", action="append", choices=FRONTS, help="default: all")
    parser.add_argument("--case", action="append", choices=cases, help="default: all")
    parser.add_argument("--sagas", type=int, default=SAGAS, help=f"of a storm and its like ({SAGAS})")
    given = parser.parse_args()
    harness.require_build()
    run = Run(given.sagas, lambda line: print(line, flush=True))
    run.everything([FRONTS[name] for name in given.proxy or FRONTS], [cases[name] for name in given.case or cases])
    run.report()
    return 1 if run.failed or not run.passed else 0


if __name__ == "__main__":
    sys.exit(main())
