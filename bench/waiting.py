#!/usr/bin/env python3
"""What waiting costs: a node with very many sleeping sagas, of which thousands wake in the same second.

    python3 bench/waiting.py [--sleeping N] [--due N] [--ended N] [--json FILE]

Two real sagas are started and put to sleep; the rest are copies of their rows and logs made by SQL, because starting a million
one by one would measure something else. Printed: the node's resident memory with all of them asleep, how late the due ones ended
(against their `until`, by the database's clock), and, with --ended, the first page of the list for each filter.
"""
import argparse
import datetime
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))
import harness  # noqa: E402

COLUMNS = ["version", "last_sequence", "started_at", "ended_at", "deadline", "wake_at", "parent", "pivot_passed", "status",
           "definition", "business_key", "failure_code", "labels", "input", "output", "failure", "expires_at"]
COPIES_AT_ONCE = 1_000_000
DUE_AFTER_SECONDS = 60
# As a store looks that has been used: one in a hundred failed, a million business keys, all with a label.
VARIED = {"business_key": "'key-' || i.n % 1000000", "labels": """'{"channel": "web"}'::jsonb""",
          "status": "case when i.n % 100 = 0 then 'FAILED' else status end",
          "failure_code": "case when i.n % 100 = 0 then 'NO_STOCK' end"}
FILTERS = ["", "?status=COMPLETED", "?status=FAILED", "?status=FAILED&status=SUSPENDED", "?status=RUNNING", "?status=SUSPENDED",
           "?definition=bench.until", "?definition=bench.until&status=FAILED", "?definition=no.such", "?businessKey=key-1",
           "?businessKey=none", "?label.channel=web", "?label.channel=web&status=FAILED", "?label.channel=none",
           "?failureCode=NO_STOCK", "?failureCode=NONE", "?startedAfter=2020-01-01T00:00:00Z", "?startedBefore=2020-01-01T00:00:00Z"]


def sleeper(name, sleep):
    return json.dumps({"dsl": 1, "name": name, "version": 1, "timeout": "23h", "input": {"type": "object"},
                       "steps": [{"name": "z", "sleep": sleep}]})


def copies(postgres, saga, count, changes="", varied=False):
    """`count` more sagas like that one, each with an id and a shard of its own."""
    columns = ", ".join(COLUMNS)
    values = ", ".join(VARIED.get(column, column) if varied else column for column in COLUMNS)
    postgres.query(
        f"create temp table ids as select n, backstitch.new_saga_id() as id from generate_series(1, {int(count)}) n;"
        f"insert into backstitch.saga (id, shard, {columns}) select i.id, backstitch.shard_of(i.id), {values}"
        f"  from ids i cross join backstitch.saga t where t.id = '{saga}';"
        f"insert into backstitch.saga_label (label, saga_id) select backstitch.label_hash(l.key, l.value), i.id"
        f"  from ids i join backstitch.saga s on s.id = i.id cross join lateral jsonb_each_text(s.labels) l"
        f"  where s.labels <> '{{}}';"
        f"insert into backstitch.saga_log (saga_id, sequence, at, type, path, data)"
        f"  select i.id, l.sequence, l.at, l.type, l.path, l.data from ids i cross join backstitch.saga_log l"
        f"  where l.saga_id = '{saga}';" + changes)


def ended(postgres, server, count, expires="null"):
    """`count` sagas more that have ended, copies of one that did. @param expires an SQL expression"""
    saga = start(server, "bench.until", {"at": "2020-01-01T00:00:00Z"})
    harness.wait_until(lambda: server.saga(saga)["status"] == "COMPLETED", 20, "the saga to end")
    postgres.query(f"update backstitch.saga set expires_at = {expires} where id = '{saga}'")
    for first in range(0, count, COPIES_AT_ONCE):
        copies(postgres, saga, min(COPIES_AT_ONCE, count - first), varied=True)
        print(f"{min(first + COPIES_AT_ONCE, count):,} ended sagas copied", file=sys.stderr)
    postgres.query("analyze backstitch.saga; analyze backstitch.saga_log; analyze backstitch.saga_label")


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def asleep(postgres):
    return int(postgres.query("select count(*) from backstitch.saga where wake_at is not null and status = 'RUNNING'"))


def start(server, definition, value):
    status, body, _ = server.start_saga(definition, value)
    assert status == 201, body
    return body["id"]


def first_pages(server):
    pages = {}
    for query in FILTERS:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            status, body, _ = server.api("GET", "/v1/sagas" + query)
            times.append((time.perf_counter() - began) * 1000)
            assert status == 200, body
        pages[query or "no filter"] = round(statistics.median(times), 1)
    return pages


def measure(options, postgres, server):
    result = {"sleeping": options.sleeping, "due": options.due}
    server.register_text(sleeper("bench.far", {"for": "20h"}))
    server.register_text(sleeper("bench.until", {"until": "${input.at}"}))
    far = start(server, "bench.far", {})
    harness.wait_until(lambda: asleep(postgres) == 1, 20, "the saga to fall asleep")
    print(f"copying {options.sleeping:,} sleeping sagas", file=sys.stderr)
    copies(postgres, far, options.sleeping)
    if options.ended:
        ended(postgres, server, options.ended)
    postgres.query("analyze backstitch.saga; analyze backstitch.saga_log")
    if options.ended:
        result["firstPageMs"] = first_pages(server)
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=DUE_AFTER_SECONDS)
    until = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    due = start(server, "bench.until", {"at": until})
    harness.wait_until(lambda: asleep(postgres) == options.sleeping + 2, 20, "the saga to fall asleep")
    copies(postgres, due, options.due - 1)
    result["residentMb"] = round(resident_mb(server.process.pid), 1)
    waking = f"from backstitch.saga where definition = 'bench.until' and input ->> 'at' = '{until}'"
    harness.wait_until(lambda: postgres.query(f"select count(*) {waking} and status <> 'COMPLETED'") == "0",
                       DUE_AFTER_SECONDS + 120, "the due sagas to end", every=1)
    result["lateSeconds"] = [float(x) for x in postgres.query(
        f"select percentile_cont(array[0, 0.5, 0.99, 1]) within group (order by extract(epoch from ended_at - '{until}'))"
        f" {waking}").strip("{}").split(",")]
    result["residentMbAfter"] = round(resident_mb(server.process.pid), 1)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sleeping", type=int, default=1_000_000)
    parser.add_argument("--due", type=int, default=5_000)
    parser.add_argument("--ended", type=int, default=0)
    parser.add_argument("--json", help="also write the result there")
    options = parser.parse_args()
    with harness.Postgres(harness.POSTGRES_TO_MEASURE) as postgres, harness.Server(postgres.url) as server:
        result = measure(options, postgres, server)
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
