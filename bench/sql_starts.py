#!/usr/bin/env python3
"""What starts by SQL cost their callers, how soon they begin, and what finding them costs the database.

Four figures on a private durable PostgreSQL: `start_saga` beside the same inserts alone, where a commit takes 5 ms; the time
from a commit to the first request of its saga, under traffic and after idleness; and the duration of a poll at 1,000 starts a
second beside an old snapshot.
"""
import argparse
import http.server
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
import harness  # noqa: E402

CALLS = {"dsl": 1, "name": "bench.calls", "version": 1, "timeout": "1h",
         "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
         "services": {"s": {"baseUrl": "http://127.0.0.1:0"}},
         "steps": [{"name": "a", "action": {"service": "s", "http": "PUT /a/${input.id}"}, "compensation": "none"}]}
EMPTY = {"dsl": 1, "name": "bench.empty", "version": 1, "steps": [{"name": "v", "value": "${1 + 1}"}],
         "output": "${steps.v.output}"}
START = "select backstitch.start_saga('bench.empty', '{\"x\": 1}');"
INSERT = ("insert into backstitch.inbox (saga_id, shard, kind, definition, version, data)"
          " select id, backstitch.shard_of(id), 'start', 'bench.empty', 1, jsonb_build_object('stated', null,"
          " 'input', '{\"x\": 1}'::jsonb, 'businessKey', null, 'idempotencyKey', null, 'labels', '{}'::jsonb)"
          " from backstitch.new_saga_id() id;")


def pgbench(postgres, statement, *options):
    """@return transactions a second"""
    script = os.path.join(postgres.folder, "statement.sql")
    with open(script, "w", encoding="utf-8") as file:
        file.write(statement + "\n")
    done = subprocess.run([postgres.program("pgbench"), "-n", "-M", "prepared", "-f", script, *options, postgres.url],
                          capture_output=True, text=True, check=True)
    return float(re.search(r"tps = ([\d.]+)", done.stdout).group(1))


class Participant(http.server.ThreadingHTTPServer):
    """Answers 200 and keeps when each path was first requested."""
    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        requested = self.requested = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                requested.setdefault(self.path.rsplit("/", 1)[-1], time.time())
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Starter:
    """A session of psql that starts sagas one after the other."""

    def __init__(self, postgres):
        self.psql = subprocess.Popen(postgres.psql_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.committed = {}

    def start(self, name):
        self.psql.stdin.write(f"select backstitch.start_saga('bench.calls', '{{\"id\": \"{name}\"}}');\n")
        self.psql.stdin.flush()
        self.psql.stdout.readline()
        self.committed[name] = time.time()

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantiles(values):
    values = sorted(values)
    return (f"{len(values)} starts: p50 {statistics.median(values) * 1000:.0f} ms, "
            f"p99 {values[min(len(values) - 1, int(len(values) * 0.99))] * 1000:.0f} ms, max {values[-1] * 1000:.0f} ms")


def callers(seconds):
    settings = {"commit_delay": "5000", "commit_siblings": "0"}
    with harness.Postgres(settings) as postgres:
        with harness.Server(postgres.url) as server:
            server.register_text(json.dumps(EMPTY))
        rates = {START: [], INSERT: []}
        for _ in range(3):
            for statement, measured in rates.items():
                measured.append(pgbench(postgres, statement, "-c", "32", "-j", "2", "-T", str(seconds)))
        starts, inserts = (statistics.median(measured) for measured in rates.values())
        print(f"start_saga, 32 clients, commits of 5 ms: {starts:.0f}/s; the same inserts alone {inserts:.0f}/s; ratio {starts / inserts:.2f}")


def latencies(seconds):
    with harness.Postgres() as postgres, harness.Server(postgres.url) as server:
        participant = Participant()
        calls = json.loads(json.dumps(CALLS))
        calls["services"]["s"]["baseUrl"] = f"http://127.0.0.1:{participant.server_address[1]}"
        server.register_text(json.dumps(calls))
        starters = [Starter(postgres) for _ in range(4)]

        def measure(names, pause):
            def run(starter, own):
                for name in own:
                    starter.start(name)
                    time.sleep(pause)
            threads = [threading.Thread(target=run, args=(s, names[i::len(starters)])) for i, s in enumerate(starters)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            harness.wait_until(lambda: all(name in participant.requested for name in names), 30, "every saga to begin")
            committed = {k: v for s in starters for k, v in s.committed.items()}
            return [participant.requested[name] - committed[name] for name in names]

        measure([f"warm{i}" for i in range(20)], 0.01)
        print("commit to first request under traffic,", quantiles(measure([f"t{i}" for i in range(seconds * 50)], 0.08)))
        idle = []
        for i in range(max(3, seconds // 3)):
            time.sleep(11 + 0.1 * i)
            idle += measure([f"i{i}"], 0)
        print("commit to first request after idleness,", quantiles(idle))
        for starter in starters:
            starter.close()


def polls(seconds):
    with harness.Postgres({"log_min_duration_statement": "0", "autovacuum_naptime": "5"}) as postgres, \
            harness.Server(postgres.url) as server:
        server.register_text(json.dumps(EMPTY))
        old = subprocess.Popen(postgres.psql_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        old.stdin.write("begin isolation level repeatable read; select 1;\n")
        old.stdin.flush()
        old.stdout.readline()
        poller = int(postgres.query("select pid from pg_stat_activity where query like '%pg_current_snapshot%' and pid <> pg_backend_pid()"))
        used = cpu_seconds(poller)
        rate = pgbench(postgres, START, "-c", "8", "-j", "2", "-R", "1000", "-T", str(seconds))
        used = cpu_seconds(poller) - used
        with open(os.path.join(postgres.folder, "log"), encoding="utf-8", errors="replace") as log:
            took = sorted(float(ms) for ms in re.findall(r"duration: ([\d.]+) ms  (?:bind|execute) poll_inbox", log.read()))
        left = postgres.query("select count(*) from backstitch.inbox")
        old.stdin.close()
        old.wait()
        print(f"polls at {rate:.0f} starts/s beside an old snapshot of {seconds} s, {left} waiting at the end: {len(took)} polls, "
              f"CPU {used / len(took) * 1000:.2f} ms each; duration median {statistics.median(took):.2f} ms, p90 {took[int(len(took) * 0.9)]:.2f} ms, p99 {took[int(len(took) * 0.99)]:.2f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="of each measurement")
    parser.add_argument("--only", choices=["callers", "latencies", "polls"])
    arguments = parser.parse_args()
    harness.end_on_signals()
    for measure in (callers, latencies, polls):
        if arguments.only in (None, measure.__name__):
            measure(arguments.seconds)


if __name__ == "__main__":
    main()
