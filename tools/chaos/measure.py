"""The two modes that measure: throughput and take-over while nodes are killed, and writes of nodes that were paused."""
import http.client
import random as randoms
import signal
import threading
import time

import checker
import report
import tables
from cluster import NODES, Cluster
from definitions import ORDER, harness
from load import CALL_SECONDS_MAX, Load

KILL_EVERY = 5
BATCH, IN_FLIGHT_MAX, CLIENTS = 25, 1000, 4
TAKE_OVERS = 20
# Under chaos the nodes share the machine with their load: they need not be fast, only half as fast as undisturbed.
SHARE_MIN = 0.5


class Pressure:
    """As many orders as the nodes can take, in batches; repeated until answered."""

    def __init__(self, cluster, name):
        self.cluster, self.name, self.stopping = cluster, name, threading.Event()
        self.free = threading.Semaphore(IN_FLIGHT_MAX // BATCH)
        self.asked = 0
        self.threads = [threading.Thread(target=self.work, args=(n,)) for n in range(CLIENTS)]
        self.threads.append(threading.Thread(target=self.watch))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def ended(self):
        return int(self.cluster.postgres.query("select count(*) from backstitch.saga where ended_at is not null"))

    def watch(self):
        """Lets another batch go for every batch that has ended."""
        let = 0
        before = self.ended()
        while not self.stopping.wait(0.1):
            done = (self.ended() - before) // BATCH
            for _ in range(done - let):
                self.free.release()
            let = max(let, done)

    def work(self, number):
        random, count = randoms.Random(number), 0
        while not self.stopping.is_set():
            if not self.free.acquire(timeout=0.2):
                continue
            keys = [f"{self.name}-{number}-{count + i}" for i in range(BATCH)]
            count += BATCH
            sagas = [{"definition": ORDER, "input": {
                "orderId": key, "customerId": "c-4", "cardToken": "tok-visa-4242",
                "items": [{"sku": "needle-90", "qty": 2, "unitCents": 450}]}} for key in keys]
            while not self.stopping.is_set() and not self.started(random, sagas):
                self.stopping.wait(0.05)

    def started(self, random, sagas):
        node = random.choice(list(self.cluster.nodes.values()))
        try:
            status, body, _ = harness.request(node.url, "POST", "/v1/sagas/batch", {"sagas": sagas}, None, CALL_SECONDS_MAX)
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return status < 300 and all(one.get("status", 500) < 300 for one in body["results"])


def rate(cluster, pressure, seconds, meanwhile=lambda: None):
    """Sagas that ended per second, while `meanwhile` is called again and again."""
    before, began = pressure.ended(), time.monotonic()
    while time.monotonic() < began + seconds:
        meanwhile()
        time.sleep(0.05)  # poll
    return (pressure.ended() - before) / (time.monotonic() - began)


class Killer:
    """Kills a node every few seconds and starts it again at once, as a supervisor does."""

    def __init__(self, cluster, seed):
        self.cluster, self.random, self.due, self.count = cluster, randoms.Random(seed), time.monotonic(), 0

    def __call__(self):
        if time.monotonic() < self.due:
            return
        self.due += KILL_EVERY
        node = self.random.choice(list(self.cluster.nodes.values()))
        node.kill()
        node.start()
        self.count += 1


def take_over(cluster, node, unshared):
    """Seconds from SIGKILL until the others hold every shard. @param unshared gets what was not fair afterwards"""
    node.kill()
    began = time.monotonic()
    harness.wait_until(lambda: cluster.shards().get(node.node, 0) == 0, 60, "the take-over", 0.02)
    took = time.monotonic() - began
    node.start(ready=True)
    unshared += cluster.unshared()
    return took


def measure(options, lease):
    """Throughput with a kill every few seconds against none, and take-over times, both without proxies."""
    seconds = options.minutes * 60 / 2
    with Cluster(lease, proxied=False) as cluster:
        unshared = cluster.unshared()
        with Pressure(cluster, f"m{options.seed}") as pressure:
            rate(cluster, pressure, min(5, seconds))
            calm = rate(cluster, pressure, seconds)
            killer = Killer(cluster, options.seed)
            killed = rate(cluster, pressure, seconds, killer)
        cluster.heal()
        unshared += cluster.unshared()
        print(f"  fault-free {calm:.0f} sagas/s, with a kill every {KILL_EVERY} s ({killer.count}) {killed:.0f} sagas/s", flush=True)
        with Load(cluster, options.seed, options.rate, prefix="t") as load:
            random = randoms.Random(options.seed)
            times = [take_over(cluster, cluster.nodes[random.choice(NODES)], unshared) for _ in range(TAKE_OVERS)]
            load.stop()
            drained = load.finish(60) and wait_for_end(cluster, load, options.seed)
        found = {"sagasPerSecond": calm, "sagasPerSecondKilled": killed, "share": killed / calm, "kills": killer.count,
                 "takeOverSeconds": {"count": len(times), "p50": report.percentile(times, 50),
                                     "p99": report.percentile(times, 99), "allowed": lease + 5},
                 "lease": lease, "machine": report.machine()}
        results = checker.judge(tables.read(cluster.postgres, cluster.participants), load.starts, load.said) + [
            checker.Result("", f"at least half the throughput with a kill every {KILL_EVERY} s",
                           [] if killed >= SHARE_MIN * calm else [f"{killed:.0f} of {calm:.0f} sagas/s"]),
            checker.Result("", f"take-over within {lease + 5} s (p99)",
                           [] if found["takeOverSeconds"]["p99"] <= lease + 5 else [str(max(times))]),
            checker.Result("", "after every take-over the shards were shared fairly again", unshared),
            checker.Result("I10", "everything ended afterwards", [] if drained else ["it did not"])]
        cluster.keep = options.keep or any(r.violations for r in results)
    return found, results


def wait_for_end(cluster, load, seed, seconds=120):
    random, deadline = randoms.Random(seed), time.monotonic() + seconds
    while time.monotonic() < deadline:
        load.decide_all(random)
        load.retry_suspended(random)
        if cluster.postgres.query("select count(*) from backstitch.saga where ended_at is null") == "0" and not load.waiting:
            return True
        time.sleep(0.3)  # poll
    return False


def pause_past_lease(cluster, node, held):
    """Stops a node until the others have all its shards. @param held its appends wait in the proxy and arrive in between"""
    way = f"postgres:{node.node}"
    if held:
        cluster.links.set(way, "black-hole")
        time.sleep(0.05)  # poll: some appends set out
    node.signal(signal.SIGSTOP)
    try:
        harness.wait_until(lambda: cluster.shards().get(node.node, 0) == 0, 60, f"{node.node}'s shards to be taken", 0.05)
        if held:
            cluster.links.set(way, "pass")
    finally:
        node.signal(signal.SIGCONT)
    harness.wait_until(lambda: cluster.shards().get(node.node, 0) > 60, 60, f"{node.node} to have shards again", 0.05)


def cycles(options, lease):
    """Nodes paused past their lease, again and again under load: what they write afterwards has to be refused."""
    with Cluster(lease) as cluster:
        cluster.unshared()
        random = randoms.Random(options.seed)
        with Load(cluster, options.seed, options.rate, prefix="p") as load:
            for number in range(options.cycles):
                pause_past_lease(cluster, cluster.nodes[random.choice(NODES)], held=number % 2 == 1)
                if number % 50 == 49:
                    print(f"  {number + 1} cycles", flush=True)
            load.stop()
            cluster.heal()
            drained = load.finish(60) and wait_for_end(cluster, load, options.seed)
        seen = tables.read(cluster.postgres, cluster.participants)
        stale = list(checker.stale_writes(seen))
        found = {"cycles": options.cycles, "staleWritesAccepted": len(stale), "refused": refused(cluster), "lease": lease,
                 "sagas": len(seen.sagas), "events": len(seen.written), "machine": report.machine()}
        results = checker.judge(seen, load.starts, load.said) + [
            checker.Result("I10", "everything ended afterwards", [] if drained else ["it did not"]),
            checker.Result("I7", "some stale writes were tried, so that there was something to refuse",
                           [] if found["refused"] else ["none was"])]
        cluster.keep = options.keep or any(r.violations for r in results)
    return found, results


def refused(cluster):
    """Appends that the nodes report as not written."""
    return sum(len(node.events(["append-not-written"])) for node in cluster.nodes.values())


def main(options, lease):
    found, results = cycles(options, lease) if options.cycles else measure(options, lease)
    report.say_figures(found)
    if options.json:
        report.write_json(options.json, found, results, {"seed": options.seed})
    return report.say_results(results)
