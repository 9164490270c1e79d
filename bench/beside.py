#!/usr/bin/env python3
"""What W1 loses beside other things in the same store, each against the empty store of the same run.

    python3 bench/beside.py [--ended N] [--removed N] [--seconds S] [--runs R] [--json FILE]

In this order: an empty store; a reader's transaction that stays open all the time; N sagas that ended long ago and are being
removed; N ended sagas in the store, with the first page of the list for every filter. Ended sagas are copies of the rows and the
log of a real one. Printed are the median of R runs and the share of the empty store's rate.
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


def w1(options, participants, server):
    """Sagas a second, by run."""
    rates = []
    for _ in range(options.runs):
        out = subprocess.run([harness.PROGRAM, "bench", "--participants", participants.urls["orders"], "--server", server.url,
                              "--workload", "W1", "--in-flight", "1000", "--seconds", str(options.seconds), "--json"],
                             check=True, capture_output=True, text=True).stdout
        rates.append(json.loads(out)[0]["sagasPerSecond"])
    return rates


@contextlib.contextmanager
def open_transaction(postgres):
    """What a forgotten report or a dump does: a snapshot from before everything that follows."""
    reader = subprocess.Popen([postgres.binaries() + "/psql", "-qAtX", postgres.url], stdin=subprocess.PIPE,
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
    postgres.query("checkpoint")


def expired(postgres):
    return int(postgres.query("select count(*) from backstitch.saga where expires_at <= now()"))


def beside_removal(options, postgres, participants, server):
    waiting.ended(postgres, server, options.removed, "now()")
    before = harness.wait_until(lambda: (left := expired(postgres)) < options.removed and left, 60, "the removal to begin")
    began = time.monotonic()
    rates = w1(options, participants, server)
    left = expired(postgres)
    return rates, {"removedPerSecond": round((before - left) / (time.monotonic() - began)), "left": left}


def measure(options, postgres, participants, server):
    server.register_text(waiting.sleeper("bench.until", {"until": "${input.at}"}))
    empty = w1(options, participants, server)
    results = {}

    def report(name, rates, **more):
        share = round(statistics.median(rates) / statistics.median(empty), 3)
        results[name] = {"sagasPerSecond": rates, "ofEmpty": share, **more}
        print(f"{name:32} {statistics.median(rates):7.0f} sagas/s  {100 * share:5.1f} %  {json.dumps(more) if more else ''}",
              flush=True)

    report("an empty store", empty)
    with open_transaction(postgres):
        report("a transaction that stays open", w1(options, participants, server))
    if options.removed:
        rates, more = beside_removal(options, postgres, participants, server)
        report("removal of ended sagas", rates, **more)
    if options.ended:
        waiting.ended(postgres, server, options.ended)
        settle(postgres)
        report(f"{options.ended:,} ended sagas", w1(options, participants, server), firstPageMs=waiting.first_pages(server))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ended", type=int, default=1_000_000)
    parser.add_argument("--removed", type=int, default=300_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", help="also write the result there")
    options = parser.parse_args()
    harness.require_build()
    with harness.Postgres(harness.POSTGRES_TO_MEASURE) as postgres, \
            harness.Participants() as participants, harness.Server(postgres.url) as server:
        result = measure(options, postgres, participants, server)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
