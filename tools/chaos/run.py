#!/usr/bin/env python3
"""Chaos with real processes: three nodes, PostgreSQL, participants and a proxy on every way are broken at random under load;
then the faults stop, everything has to end, and an independent checker looks for a broken promise."""
import argparse
import os
import random
import signal
import sys
import time

import checker
import faults as faults_module
import measure
import network
import plan
import report
import tables
from cluster import NODES, SHARING_SECONDS_MAX, Cluster
from definitions import harness, services
from load import Load

LEASE_SECONDS = 3
STARTS_PER_SECOND = 12
DRAIN_SECONDS_MAX = 180
SHARED = f"nodes share the shards fairly within {SHARING_SECONDS_MAX} s, before and after"


def arguments():
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__, epilog="faults:\n" + report.fault_names(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2, help="how long faults are injected (2)")
    parser.add_argument("--seed", type=int, help="of the plan of faults and of the load; printed if left out")
    parser.add_argument("--faults", help="comma-separated; all by default")
    parser.add_argument("--rate", type=float, default=STARTS_PER_SECOND, help=f"starts per second ({STARTS_PER_SECOND})")
    parser.add_argument("--json", metavar="FILE", help="writes figures and results")
    parser.add_argument("--keep", action="store_true", help="keeps the nodes' logs and what the checker saw")
    parser.add_argument("--measure", action="store_true",
                        help="instead: throughput with a kill every 5 s against none, and take-over times")
    parser.add_argument("--cycles", type=int, metavar="N", help="instead: nodes paused past their lease N times under load")
    parser.add_argument("--lease", type=int, default=LEASE_SECONDS, metavar="S",
                        help=f"of the nodes in --measure and --cycles ({LEASE_SECONDS})")
    parser.add_argument("--plan", action="store_true", help="only prints the plan of the seed")
    return parser, parser.parse_args()


def possible(names):
    """The faults of `names` that can be injected here; the others are told with their reason."""
    reasons = {"disk-full": network.disk_impossible(), "clock": network.clock_impossible()}
    for name in names:
        if reasons.get(name):
            print(f"skipped: {name} {reasons[name]}")
    return [name for name in names if not reasons.get(name)]


def say(began):
    return lambda text: print(f"  {time.monotonic() - began:6.1f} s  {text}", flush=True)


def drain(cluster, load, seed):
    """Until every saga has ended; what is suspended is retried, who waits for a decision gets one. @return seconds, or none"""
    began, chance = time.monotonic(), random.Random(seed)
    answered = load.finish(60)
    while time.monotonic() - began < DRAIN_SECONDS_MAX:
        load.decide_all(chance)
        load.retry_suspended(chance)
        left = cluster.postgres.query(
            "select (select count(*) from backstitch.saga where status in ('RUNNING', 'COMPENSATING', 'SUSPENDED'))"
            " + (select count(*) from backstitch.inbox)")
        if left == "0" and not load.waiting:
            return time.monotonic() - began if answered else None
        time.sleep(0.5)  # poll
    return None


def run_checks(found, faults, cluster, drained):
    """What the tables cannot know."""
    late = [f"{name} took {took:.1f} s, code {code}" for name, took, code in faults.stops
            if took >= faults_module.STOP_SECONDS_MAX or code != 0]
    yield checker.Result("I10", f"drained within {DRAIN_SECONDS_MAX} s", [] if drained is not None else ["it did not"])
    yield checker.Result("", "told to stop, a node ends in under 30 s", late)
    yield checker.Result("", "no node ended by itself, and every fault could be injected", faults.errors)
    bugs = [line for node in cluster.nodes.values() for line in node.events(["saga-work-failed", "reactor-stalled", "saga-not-revived"])]
    yield checker.Result("", "no node reported a broken invariant or a log that cannot be read", bugs)
    slow = found["takeOverSeconds"]["p99"]
    yield checker.Result("", f"take-over after SIGKILL, nothing else broken, within {cluster.lease + 5} s (p99)",
                         [f"{slow:.1f} s"] if slow and slow > cluster.lease + 5 else [])


def chaos(options, names):
    began = time.monotonic()
    tell = say(began)
    refused = network.Network.claim() if "partition" in names else "is not asked for"
    namespace = refused is None
    if refused and "partition" in names:
        print(f"partition: by the proxy's black hole; a network namespace {refused}")
    events = plan.make(options.seed, options.minutes * 60, names, NODES, services(), NODES[-1] if namespace else None)
    if options.plan:
        for event in events:
            print(f"{event.at:8.2f} s  {event.kind} {event.target or ''} {event.seconds} s {event.detail or ''}")
        return 0
    with Cluster(LEASE_SECONDS, limited_disk="disk-full" in names, namespace=namespace) as cluster:
        if "disk-full" in names and not cluster.postgres.mounted:
            print("skipped: disk-full, the file system cannot be mounted")
            events = [event for event in events if event.kind != "disk-full"]
        unshared = cluster.unshared()
        faults = faults_module.Faults(cluster, events, tell)
        with Load(cluster, options.seed, options.rate) as load:
            faults.run(options.minutes * 60)
            load.stop()
            tell("faults stop")
            cluster.heal()
            drained = drain(cluster, load, options.seed)
        unshared += cluster.unshared()
        tell(f"drained in {drained:.1f} s" if drained is not None else "not drained")
        return verdict(options, cluster, load, faults, drained, unshared)


def verdict(options, cluster, load, faults, drained, unshared):
    """Reads, judges, reports. @return the exit code"""
    seen = tables.read(cluster.postgres, cluster.participants)
    found = report.figures(seen, load, faults, cluster.lease)
    found["proxy"] = {name: sum(link[name] for link in cluster.links.stats().values())
                      for name in ("connections", "cuts", "resets")}
    results = checker.judge(seen, load.starts, load.said) + list(run_checks(found, faults, cluster, drained))
    results.append(checker.Result("", SHARED, unshared))
    print(f"seed {options.seed}, {options.minutes} minutes of faults")
    report.say_figures(found)
    if options.json:
        report.write_json(options.json, found, results, {"seed": options.seed, "minutes": options.minutes})
    code = report.say_results(results)
    cluster.keep = bool(code) or options.keep
    if cluster.keep:
        keep(cluster.folder, seen)
    return code


def keep(folder, seen):
    """Beside the nodes' logs, what the checker saw."""
    for name in ("sagas", "log", "keys", "inbox", "owned", "written", "ledgers", "judgements"):
        report.dump(os.path.join(folder, f"{name}.json"), getattr(seen, name))


def main():
    parser, options = arguments()
    names = options.faults.split(",") if options.faults else list(plan.NAMES)
    unknown = sorted(set(names) - set(plan.NAMES))
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    harness.require_build()
    print(f"seed {options.seed} (again with --seed {options.seed})", flush=True)
    # What is ended from outside ends what it started, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if options.measure or options.cycles:
            return measure.main(options, options.lease)
        return chaos(options, possible(names))
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
