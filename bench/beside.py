#!/usr/bin/env python3
"""What W1 loses beside other things in the same store, against a second store that has nothing but W1's own sagas.

    python3 bench/beside.py [--ended N] [--removed N] [--seconds S] [--runs R] [--json FILE]

In this order: a reader's transaction that stays open all the time; N sagas that ended long ago and are being removed; N ended
sagas in the store, with the first page of the list for every filter. Ended sagas are copies of the rows and the log of a real one.
Each run in the store has one in the other beside it, because the speed of a machine drifts by more than what is to be
seen: turn about, or, with removal, as many before and after. Printed are medians and their ratio.
"""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import waiting  # noqa: E402  (also makes the harness known)
import harness  # noqa: E402


class Store:
    """A PostgreSQL and a server of its own."""

    def __init__(self, stack, participants):
        self.postgres = stack.enter_context(harness.Postgres(harness.POSTGRES_TO_MEASURE))
        self.server = stack.enter_context(harness.Server(self.postgres.url))
        self.participants = participants

    def w1(self, seconds):
        """Sagas a second."""
        out = subprocess.run([harness.PROGRAM, "bench", "--participants", self.participants.urls["orders"], "--server",
                              self.server.url, "--workload", "W1", "--in-flight", "1000", "--seconds", str(seconds), "--json"],
                             check=True, capture_output=True, text=True).stdout
        return json.loads(out)[0]["sagasPerSecond"]


@contextlib.contextmanager
def open_transaction(postgres):
    """What a forgotten report or a dump does: a snapshot from before everything that follows."""
    reader = subprocess.Popen([postgres.program("psql"), "-qAtX", postgres.url], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    reader.stdin.write("begin isolation level repeatable read; select count(*) >= 0 from backstitch.saga;\n")
    reader.stdin.flush()
    reader.stdout.readline()
    try:
        yield
    finally:
        reader.communicate("rollback;\n", 30)


def settle(postgres):
    """Nothing of the copying is to be paid for by what follows."""
    postgres.query("vacuum analyze backstitch.saga")
    postgres.query("vacuum analyze backstitch.saga_log")
    postgres.query("vacuum analyze backstitch.saga_label")
    postgres.administer("checkpoint")


def expired(postgres):
    return int(postgres.query("select count(*) from backstitch.saga where expires_at <= now()"))


def in_turn(options, store, reference):
    """([rate in the store], [rate in the other])"""
    pairs = [(store.w1(options.seconds), reference.w1(options.seconds)) for _ in range(options.runs)]
    return [list(rates) for rates in zip(*pairs)]


def beside_removal(options, store, reference):
    """As in_turn, and how fast it removed."""
    others = [reference.w1(options.seconds) for _ in range(options.runs)]
    waiting.ended(store.postgres, store.server, options.removed, "now()")
    before = harness.wait_until(lambda: (left := expired(store.postgres)) < options.removed and left, 60, "the removal to begin")
    began = time.monotonic()
    rates = [store.w1(options.seconds) for _ in range(options.runs)]
    left, took = expired(store.postgres), time.monotonic() - began
    harness.wait_until(lambda: expired(store.postgres) == 0, 600, "the removal to end", 1)
    others += [reference.w1(options.seconds) for _ in range(options.runs)]
    return rates, others, {"removedPerSecond": round((before - left) / took), "left": left}


def measure(options, store, reference):
    store.server.register_text(waiting.sleeper("bench.until", {"until": "${input.at}"}))
    results = {}

    def report(name, rates, others, **more):
        rate, other = statistics.median(rates), statistics.median(others)
        results[name] = {"sagasPerSecond": rates, "without": others, "share": round(rate / other, 3), **more}
        print(f"{name:32} {rate:7.0f} of {other:7.0f} sagas/s  {100 * rate / other:5.1f} %  {json.dumps(more) if more else ''}",
              flush=True)

    for either in store, reference:
        either.w1(options.seconds)  # warm
    with open_transaction(store.postgres):
        report("a transaction that stays open", *in_turn(options, store, reference))
    if options.removed:
        rates, others, more = beside_removal(options, store, reference)
        report("removal of ended sagas", rates, others, **more)
    if options.ended:
        waiting.ended(store.postgres, store.server, options.ended)
        settle(store.postgres)
        report(f"{options.ended:,} ended sagas", *in_turn(options, store, reference), firstPageMs=waiting.first_pages(store.server))
    return results


def compare(parser, measure):
    """Adds what every comparison takes, opens two stores with the same participants, and writes what
    `measure(options, store, reference)` returns."""
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", help="also write the result there")
    options = parser.parse_args()
    harness.require_build()
    with contextlib.ExitStack() as stack:
        participants = stack.enter_context(harness.Participants())
        result = measure(options, Store(stack, participants), Store(stack, participants))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ended", type=int, default=1_000_000)
    parser.add_argument("--removed", type=int, default=300_000)
    compare(parser, measure)


if __name__ == "__main__":
    main()
