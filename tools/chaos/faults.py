"""Carries out a plan of faults on a cluster."""
import collections
import os
import signal
import subprocess
import threading
import time

import network
from definitions import harness

STOP_SECONDS_MAX = 30
# `serve` ends so when it is started and cannot reach the database; whoever supervises it starts it again.
DATABASE_UNREACHABLE = 3
Done = collections.namedtuple("Done", "kind target began ended detail note")


class Faults:
    """Runs the events of a plan, each in a thread of its own; one at a time for one resource.

    Threads: one to run it; `done` may be read when `run` has returned.
    """

    def __init__(self, cluster, events, say=lambda text: None):
        self.cluster, self.events, self.say = cluster, events, say
        self.stopping = threading.Event()
        self.locks = collections.defaultdict(threading.Lock)
        self.done, self.errors, self.kills, self.stops = [], [], [], []
        self.restarts = 0

    def run(self, seconds):
        began, threads = time.monotonic(), [threading.Thread(target=self.supervise)]
        threads[0].start()
        try:
            for event in self.events:
                if event.at >= seconds or self.stopping.wait(max(0, began + event.at - time.monotonic())):
                    break
                threads.append(threading.Thread(target=self.one, args=(event, self.locks[event.resource])))
                threads[-1].start()
            self.stopping.wait(max(0, began + seconds - time.monotonic()))
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()

    def one(self, event, lock):
        with lock:
            if self.stopping.is_set():
                return
            self.say(f"{event.kind} {event.target or ''} {event.seconds} s {event.detail or ''}")
            began, note = time.time(), None
            try:
                note = self.method(event.kind)(event)
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(f"{event.kind} {event.target}: {error!r}")
            self.done.append(Done(event.kind, event.target, began, time.time(), event.detail, note))

    def method(self, kind):
        if kind.startswith(("postgres-", "service-")) and kind != "postgres-kill":
            return self.on_way
        return getattr(self, kind.replace("-", "_"))

    def wait(self, seconds):
        self.stopping.wait(seconds)

    # Nodes

    def supervise(self):
        """Starts again what ended by itself while no fault had it."""
        while not self.stopping.wait(0.3):
            for name, node in self.cluster.nodes.items():
                lock = self.locks[f"node:{name}"]
                if lock.acquire(blocking=False):
                    try:
                        self.revive(node)
                    finally:
                        lock.release()

    def revive(self, node):
        code = node.process.poll()
        if code is None:
            return
        if code != DATABASE_UNREACHABLE:
            self.errors.append(f"{node.incarnation} ended by itself with {code}")
        self.restarts += 1
        node.start()

    def node(self, event):
        node = self.cluster.nodes[event.target]
        self.revive(node)
        return node

    def kill(self, event):
        node = self.node(event)
        self.kills.append((node.incarnation, time.time()))
        node.kill()
        self.wait(event.seconds)
        node.start()

    def pause(self, event):
        node = self.node(event)
        node.signal(signal.SIGSTOP)
        self.wait(event.seconds)
        node.signal(signal.SIGCONT)

    def stop(self, event, clock=0):
        node, began = self.node(event), time.monotonic()
        starting = not node.was_ready()
        node.signal(signal.SIGTERM)
        try:
            code = node.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            node.kill()
            code = "killed"
        # Before it is ready it does not handle the signal yet, and has nothing to give back.
        if not (starting and code in (-signal.SIGTERM, DATABASE_UNREACHABLE)):
            self.stops.append((node.incarnation, time.monotonic() - began, code))
        self.wait(0 if clock else event.seconds)
        node.start(clock=clock)

    def clock(self, event):
        self.stop(event, clock=event.detail["off"])
        self.wait(event.seconds)
        self.stop(event._replace(seconds=0))

    def partition(self, event):
        if self.cluster.network.node == event.target:
            self.cluster.network.cut()
            self.wait(event.seconds)
            self.cluster.network.heal()
            return "network namespace"
        self.cluster.links.set(f"postgres:{event.target}", "black-hole")
        self.wait(event.seconds)
        self.cluster.links.set(f"postgres:{event.target}", "pass")
        return "black hole of the proxy"

    # PostgreSQL

    def postgres_kill(self, event):
        for _ in range(event.detail["times"]):
            self.cluster.postgres.kill()
            self.wait(event.seconds / event.detail["times"])
            self.cluster.postgres.start()

    def disk_full(self, event):
        postgres = self.cluster.postgres
        filler = network.fill(postgres.folder)
        try:
            self.wait(event.seconds)
        finally:
            os.remove(filler)
        # Full while it recovers, PostgreSQL gives up; someone has to start it again, as after a crash.
        harness.wait_until(lambda: self.answers(postgres), 30, "PostgreSQL to come back", 0.3)
        return None

    @staticmethod
    def answers(postgres):
        if postgres.process.poll() is not None:
            harness.wait_until(lambda: not postgres.has_backends(), 20, "the backends to go")
            postgres.start()
        return postgres.psql("backstitch", "select 1").returncode == 0

    # Ways and participants

    def on_way(self, event):
        place, mode = event.kind.split("-", 1)
        way = f"{place}:{event.target}"
        self.cluster.links.set(way, mode, **event.detail)
        self.wait(event.seconds)
        self.cluster.links.set(way, "pass")

    def participant(self, event):
        # The names of services are unique here, but not in their examples.
        participants = self.cluster.participants[self.cluster.services[event.target]]
        rule = {"service": event.target.removeprefix("bank-"), **event.detail}
        status, body, _ = participants.call("POST", "/faults", rule)
        self.wait(event.seconds)
        participants.clear()
        return None if status < 300 else f"{status} {body}"
