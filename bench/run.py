#!/usr/bin/env python3
"""`./dev bench`: a private durable PostgreSQL, the participants and the server, loaded by `backstitch bench`.

Everything shares the machine's cores, the load generator included. Also measures, beside it and in the same run, what
one durable commit and one call cost by themselves. bench/README.md says how to read the table.
"""
import argparse
import contextlib
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))
import harness  # noqa: E402

COMMITS = 300
CALLS = 2000


def commit_ms(postgres):
    """Median time of one durable single-row commit, by the server's own pgbench, without a client in the way."""
    postgres.query("create table if not exists public.commit_probe (id bigserial primary key, data jsonb)")
    script = os.path.join(postgres.folder, "commit.sql")
    with open(script, "w", encoding="utf-8") as file:
        file.write("insert into public.commit_probe (data) values ('{\"a\": 1}');\n")
    out = subprocess.run([postgres.program("pgbench"), "-n", "-M", "prepared", "-c", "1", "-t", str(COMMITS), "-f",
                          script, "-h", "127.0.0.1", "-p", str(postgres.port), "-U", "backstitch", "-l", "--log-prefix",
                          os.path.join(postgres.folder, "commit"), "backstitch"], capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(out.stderr)
    log = next(f for f in os.listdir(postgres.folder) if f.startswith("commit."  ) and f != "commit.sql")
    with open(os.path.join(postgres.folder, log), encoding="utf-8") as file:
        return statistics.median(int(line.split()[2]) for line in file) / 1000


def call_ms(base):
    """Median time of one call on a kept connection."""
    parts = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    times = []
    for i in range(CALLS):
        began = time.perf_counter()
        connection.request("PUT", f"/bench/{i}", b'{"amount":100}', {"Content-Type": "application/json"})
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return statistics.median(times) * 1000


def nodes(stack, postgres, options):
    """Servers on one database, once they have shared the shards."""
    servers = [stack.enter_context(harness.Server(postgres.url, arguments=options.serve, node=f"node-{n}"))
               for n in range(options.nodes)]
    harness.wait_until(lambda: min(n["shards"] for n in servers[0].api("GET", "/v1/nodes")[1]["nodes"]) >= 256 // len(servers) - 1,
                       30, "the shards to be shared")
    return servers


def run(options):
    levels = options.in_flight or [1, 128, 1000, 4000]
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(harness.Postgres(harness.POSTGRES_TO_MEASURE, tcp=True))
        participants = stack.enter_context(harness.Participants())
        commit, call = commit_ms(postgres), call_ms(participants.urls["orders"])
        print(f"one durable commit {commit:.2f} ms, one call {call:.2f} ms (medians); "
              f"4 commits + 3 calls = {4 * commit + 3 * call:.2f} ms", file=sys.stderr)
        command = [harness.PROGRAM, "bench", "--participants", participants.urls["orders"],
                   "--seconds", str(options.seconds), "--warm-up", str(options.warm_up),
                   "--postgres-pid", str(postgres.process.pid), "--json"]
        if options.embedded:
            subprocess.run([harness.PROGRAM, "migrate", "--database", postgres.url], check=True, stdout=subprocess.DEVNULL)
            command += ["--embedded", "--database", postgres.url]
        else:
            first, *others = servers = nodes(stack, postgres, options)
            command += ["--server", first.url]
            for server in others:
                command += ["--other-node", server.url]
            for server in servers:
                command += ["--engine-pid", str(server.process.pid)]
        for workload in options.workload or ["W1", "W2"]:
            command += ["--workload", workload]
        for level in levels:
            command += ["--in-flight", str(level)]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        recorder = None
        if options.profile:
            engine = load.pid if options.embedded else first.process.pid
            recorder = subprocess.Popen(["perf", "record", "-q", "-g", "-p", str(engine), "-o", options.profile])
        out, _ = load.communicate()
        if recorder:
            harness.stop_process(recorder, signal.SIGINT)
        if load.returncode != 0:
            sys.exit(load.returncode)
    return json.loads(out)


def table(results):
    print(f"{'workload':9} {'in flight':>9} {'sagas/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'engine ms':>10} {'pg ms':>8} "
          f"{'appends':>8} {'commits':>8} {'batch':>7}")
    for r in results:
        print(f"{r['workload']:9} {r['inFlight']:9} {r['sagasPerSecond']:9.0f} {r['p50Ms']:9.2f} {r['p99Ms']:9.2f} "
              f"{r['cpuMsPerSaga']['engine']:10.3f} {r['cpuMsPerSaga']['postgres']:8.3f} {r['appendsPerSaga']:8.2f} "
              f"{r['commitsPerSaga']:8.3f} {r['meanBatch']:7.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", choices=["W1", "W2"])
    parser.add_argument("--in-flight", action="append", type=int)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm-up", type=float, default=2)
    parser.add_argument("--embedded", action="store_true", help="the engine inside the load generator, without REST")
    parser.add_argument("--nodes", type=int, default=1, help="servers on one database, which share the load")
    parser.add_argument("--json", metavar="FILE", help="also write the results there")
    parser.add_argument("--profile", metavar="FILE", help="record a perf profile of the (first) engine (Debian package linux-perf)")
    parser.add_argument("--serve", action="append", default=[], metavar="OPTION", help="passed on to the server")
    options = parser.parse_args()
    if options.embedded and options.nodes > 1:
        parser.error("--embedded is one node: the load generator")
    harness.require_build()
    results = run(options)
    table(results)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
