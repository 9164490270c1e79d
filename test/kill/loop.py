#!/usr/bin/env python3
"""The n-th-kill loop: the engine dies at its n-th failpoint, for n = 1, 2, … until a run is untouched.

Failpoints stand around every append and every call (adapters/system/failpoint.hpp). After each death the engine is
started again, or with three nodes another one takes over; the saga must come to its end, and a checker that knows
only the participants' ledgers and the log must find everything done once or everything undone once.
"""
import argparse
import contextlib
import http.server
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools"))
sys.path.insert(0, HERE)
import checker  # noqa: E402
import harness  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402

KILLED = re.compile(r"killed at failpoint (\d+): (\S+)")
LEASE = "2s"
# A word between a parent and its child that got lost with a node is asked for again within a minute.
END_SECONDS = 90
SHARDS = 256
RUNS_MAX = 2000


class Node(harness.Server):
    """A server that can be told at which failpoint to die."""

    def __init__(self, database, name, arguments, log):
        super().__init__(database, arguments=arguments, log=log, node=name)

    def begin(self, kill_at=0):
        """Does not wait for it to be ready: of several nodes, only those that hold shards are."""
        environment = {**os.environ, "BACKSTITCH_KILL_AT": str(kill_at)} if kill_at else None
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [harness.PROGRAM, "serve", "--database", self.database, "--listen", f"127.0.0.1:{self.port}",
                 "--node", self.node, "--allow-host", "127.0.0.1", "--reactors", "1", *self.arguments],
                stderr=log, env=environment)

    def close(self):
        harness.stop_process(self.process)

    def is_dead(self):
        return self.process.poll() is not None

    def is_ready(self):
        try:
            return self.api("GET", "/readyz")[0] == 200
        except OSError:
            return False


class Front(harness.HttpService):
    """Where participants post their answers, as a load balancer would stand there: whichever node takes it, takes it."""

    def __init__(self, nodes):
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(front.pass_on(self.path, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.nodes = nodes
        self.serve(Handler)

    def pass_on(self, path, body):
        for node in self.nodes:
            try:
                status = node.api("POST", path, body)[0]
            except OSError:
                continue
            if status < 500:
                return status
        return 503


class World:
    """One database, the participants of one example, and the nodes; a scenario is run in it again and again."""

    def __init__(self, postgres, scenario, nodes, database):
        self.postgres, self.scenario = postgres, scenario
        self.folder = tempfile.TemporaryDirectory(prefix="backstitch-kill-")
        self.participants = harness.Participants(harness.participants_program(scenario.example))
        self.database, url = database, postgres.copy_database(database, "migrated")
        self.nodes = []
        self.front = Front(self.nodes)
        arguments = ["--callback-url", self.front.url, *(["--lease", LEASE] if nodes > 1 else [])]
        self.nodes += [Node(url, f"node-{n}", arguments, os.path.join(self.folder.name, f"node-{n}.log"))
                       for n in range(nodes)]
        self.number = 0

    def __enter__(self):
        with contextlib.ExitStack() as opening:
            opening.callback(self.front.stop)
            for part in (self.participants, *map(contextlib.closing, self.nodes)):
                opening.enter_context(part)
            self.prepare()
            self.opened = opening.pop_all()
        return self

    def __exit__(self, *_):
        self.opened.close()
        self.folder.cleanup()

    def prepare(self):
        """What runs begin with: services and definitions registered, nobody at work."""
        first = self.nodes[0]
        first.begin()
        first.ready()
        first.put_services(self.participants)
        for text in self.scenario.texts():
            first.register_text(text)
        harness.stop_process(first.process)

    def run(self, kill_at):
        """One run. @return (the failpoint's name, or None if it was not reached; violations)"""
        self.number += 1
        self.participants.clear()
        self.participants.forget()
        for fault in self.scenario.faults:
            self.participants.fault(**fault)
        victim, *others = self.nodes
        open(victim.log, "wb").close()
        try:
            victim.begin(kill_at)
            victim.ready()
            for node in others:
                node.begin()
            harness.wait_until(self.is_shared, 30, "the shards to be shared")
            saga_id = self.start(victim, others)
            alive = self.until_ended(victim, others, saga_id)
            try:
                violations = self.judge(alive, saga_id)
            except OSError:
                # The last failpoints are behind the saga's end.
                violations = self.judge(self.until_ended(victim, others, saga_id), saga_id)
            died_at = self.died_at(victim)
        finally:
            self.stop()
        return died_at, violations

    def stop(self):
        """The next victim finds shards that nobody holds: who holds some gives them back, the others just go."""
        for node in self.nodes:
            if node.process is not None and not node.is_dead():
                node.process.send_signal(signal.SIGTERM if node.is_ready() else signal.SIGKILL)
        for node in self.nodes:
            if node.process is not None:
                node.process.wait(30)

    def is_shared(self):
        """Each node has its part. Before that, a saga may leave the victim's hands before it dies."""
        _, body, _ = self.nodes[0].api("GET", "/v1/nodes")
        held = [node["shards"] for node in body["nodes"]]
        return len(held) == len(self.nodes) and max(held) <= -(-SHARDS // len(held))

    def start(self, victim, others):
        """Asks again under the same key until there is an answer, as a client would."""
        def started():
            for node in [victim, *others]:
                if node.is_dead():
                    continue
                try:
                    status, body, _ = node.start_saga(self.scenario.definition()["name"], self.input(), key=self.key())
                except OSError:
                    continue
                if status in (200, 201):
                    return body["id"]
            self.revive(victim, others)
            return None
        return harness.wait_until(started, END_SECONDS, "the answer to the start")

    def key(self):
        return f"{self.scenario.name}-{self.number}"

    def input(self):
        """A business key of its own, whatever member of the input it is made of."""
        fresh = dict(self.scenario.saga_input)
        for member in ("orderId", "tripId", "transferId", "id"):
            if member in fresh:
                fresh[member] = f"r-{self.number}"
        return fresh

    def revive(self, victim, others):
        """A single node is started again; of several, the others take over."""
        if victim.is_dead() and not others:
            victim.begin()
            victim.ready()

    def until_ended(self, victim, others, saga_id):
        """@return a node that knows the saga's end"""
        def ended():
            self.revive(victim, others)
            for node in [victim, *others]:
                try:
                    status, saga, _ = node.api("GET", f"/v1/sagas/{saga_id}")
                except OSError:
                    continue
                if status == 200 and saga["status"] not in ("RUNNING", "COMPENSATING"):
                    return node
            return None
        return harness.wait_until(ended, END_SECONDS, f"the end of saga {saga_id}", every=0.01)

    @staticmethod
    def died_at(victim):
        with open(victim.log, encoding="utf-8", errors="replace") as log:
            found = KILLED.search(log.read())
        return found[2] if found else None

    def judge(self, node, saga_id):
        saga = node.saga(saga_id)
        logs = {one: self.history(node, one) for one in [saga_id, *self.children(saga_id)]}
        return checker.judge(self.scenario, saga, logs, self.participants.ledger())

    def children(self, saga_id):
        rows = self.postgres.psql(self.database,
                                  f"select id from backstitch.saga where parent = '{saga_id}'").stdout
        return rows.split()

    @staticmethod
    def history(node, saga_id):
        events, after = [], 0
        while True:
            _, page, _ = node.api("GET", f"/v1/sagas/{saga_id}/history?limit=500&after={after}")
            events += page["events"]
            if len(page["events"]) < 500:
                return events
            after = page["events"][-1]["sequence"]


def run_scenario(postgres, scenario, nodes, options, say):
    """@return (deaths, violations)"""
    deaths, violations = 0, []
    database = f"kill_{scenario.name.replace('-', '_')}_{nodes}"
    begun = time.monotonic()
    with World(postgres, scenario, nodes, database) as world:
        for n in options.points(scenario, nodes):
            started = time.monotonic()
            died_at, found = world.run(n)
            for violation in found:
                violations.append(f"{scenario.name}, {nodes} node(s), kill at {n} ({died_at}): {violation}")
            if options.verbose:
                say(f"  {scenario.name:16} {nodes} node(s)  {n:4}  {died_at or 'untouched':16}  "
                    f"{time.monotonic() - started:5.1f} s  {'; '.join(found) or 'in order'}")
            if died_at is None:
                break
            deaths += 1
    say(f"{scenario.name:16} {nodes} node(s)  {deaths:4} kills  {len(violations)} violations  "
        f"{time.monotonic() - begun:6.1f} s")
    return deaths, violations


class Options:
    def __init__(self, verbose=False, first=1, only=None, spread=None):
        self.verbose, self.first, self.only, self.spread = verbose, first, only, spread

    def points(self, _scenario, _nodes):
        if self.only:
            return [self.only]
        if self.spread:
            return self.spread
        return range(self.first, self.first + RUNS_MAX)


def run_all(work, options, workers, say=print):
    """`work`: (scenario, number of nodes) pairs, run `workers` at a time on one PostgreSQL."""
    todo, results, failures = queue.Queue(), [], []
    for item in work:
        todo.put(item)
    with harness.Postgres({"max_connections": 300}) as postgres:
        subprocess.run([harness.PROGRAM, "migrate", "--database", postgres.url], check=True, stdout=subprocess.DEVNULL)
        postgres.administer("alter database backstitch rename to migrated")

        def worker():
            while True:
                try:
                    scenario, nodes = todo.get_nowait()
                except queue.Empty:
                    return
                try:
                    results.append(run_scenario(postgres, scenario, nodes, options, say))
                except Exception as error:  # of one scenario; the others go on
                    failures.append(f"{scenario.name}, {nodes} node(s): {type(error).__name__}: {error}")
                    say(failures[-1])
        threads = [threading.Thread(target=worker) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(deaths for deaths, _ in results), [v for _, found in results for v in found] + failures


def main():
    parser = argparse.ArgumentParser(prog="./dev kill-loop", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, choices=(1, 3), action="append", help="default: both")
    parser.add_argument("--saga", action="append", choices=[s.name for s in SCENARIOS], help="default: all")
    parser.add_argument("--at", type=int, help="only this failpoint: how a violation is seen again")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first failpoint")
    parser.add_argument("--workers", type=int, default=4, help="scenarios at a time")
    parser.add_argument("--verbose", action="store_true", help="a line for every run")
    given = parser.parse_args()
    harness.require_build()
    begun = time.monotonic()
    work = [(scenario, nodes) for nodes in sorted(set(given.nodes or (3, 1)), reverse=True) for scenario in SCENARIOS
            if not given.saga or scenario.name in given.saga]
    options = Options(given.verbose, given.first, given.at)
    deaths, violations = run_all(work, options, given.workers, lambda line: print(line, flush=True))
    for violation in violations:
        print(violation)
    print(f"{deaths} kills, {len(violations)} violations, {time.monotonic() - begun:.0f} s")
    return 1 if violations or (deaths == 0 and not given.at) else 0


if __name__ == "__main__":
    sys.exit(main())
