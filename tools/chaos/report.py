"""What a run found, in figures and in sentences."""
import collections
import json
import os
import platform

from plan import KINDS


def percentile(values, share):
    """Of the values, sorted: the smallest that `share` of them do not exceed; none of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))] if ordered else None


def take_overs(owned, kills):
    """Seconds from each death until other nodes held all that the dead one held.

    A node that came back before the others could take over took its own shards back; that is none.
    """
    found = []
    for incarnation, died in kills:
        held, taken = {}, {}
        for change in owned:
            if float(change["clock"]) < died:
                held[change["shard"]] = change["owner"] if change["node"] else None
            elif held.get(change["shard"]) == incarnation:
                taken.setdefault(change["shard"], change)
        mine = [shard for shard, owner in held.items() if owner == incarnation]
        node = incarnation.rsplit(".", 1)[0]
        if mine and len(taken) == len(mine) and all(change["node"] not in (None, node) for change in taken.values()):
            found.append(max(float(change["clock"]) for change in taken.values()) - died)
    return found


def undisturbed(kills, done, seconds):
    """The kills during which, and for `seconds` after, no other node and no way to PostgreSQL was broken."""
    disturbing = {kind.name for kind in KINDS if kind.resource in ("node", "way", "postgres")}
    return [(incarnation, died) for incarnation, died in kills
            if not any(d.kind in disturbing and d.began < died + seconds and d.ended > died
                       and not (d.kind == "kill" and abs(d.began - died) < 1 and d.target == incarnation.rsplit(".", 1)[0])
                       for d in done)]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{os.cpu_count()} cores, {models[0] if models else platform.machine()}"


def figures(tables, load, faults, lease):
    """Everything countable of a run."""
    ends, ways = collections.Counter(), collections.Counter()
    for saga in tables.sagas:
        ends[saga["definition"], saga["status"]] += 1
    for start in load.starts:
        ways[f"{start.way}{' rolled back' if start.rolled_back else ''}"] += 1
    log = collections.Counter(row["type"] for rows in tables.log.values() for row in rows)
    times = take_overs(tables.owned, faults.kills)
    alone = take_overs(tables.owned, undisturbed(faults.kills, faults.done, lease + 5))
    return {
        "faults": dict(sorted(collections.Counter(d.kind for d in faults.done).items())),
        "starts": dict(ways), "startsRepeated": sum(s.tries > 1 for s in load.starts),
        "ends": {f"{name} {status}": count for (name, status), count in sorted(ends.items())},
        "signalsAndCancels": dict(collections.Counter(f"{s.kind} {s.status}" for s in load.said)),
        "retriesByOperator": load.retries,
        "events": sum(log.values()), "resumed": log["Resumed"], "suspended": log["SagaSuspended"],
        "unknownAttempts": sum(row["type"] == "AttemptFailed" and row["data"].get("outcome") == "unknown"
                               for rows in tables.log.values() for row in rows),
        "takeOverSeconds": {"count": len(alone), "p50": percentile(alone, 50), "p99": percentile(alone, 99),
                            "allowed": lease + 5},
        "takeOverSecondsAmongOtherFaults": {"count": len(times), "p50": percentile(times, 50),
                                            "p99": percentile(times, 99)},
        "stopSeconds": {"count": len(faults.stops), "max": max((s[1] for s in faults.stops), default=None)},
        "restartsBySupervisor": faults.restarts,
        "machine": machine(),
    }


def say_figures(found):
    for name, value in found.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {round(v, 2) if isinstance(v, float) else v}" for k, v in value.items())
        print(f"  {name}: {value}")


def say_results(results, shown=5):
    """One line a check, and the last line. @return the exit code"""
    failed = 0
    for result in results:
        failed += bool(result.violations)
        print(f"  {'FAILED' if result.violations else 'passed'}  {result.promise:<12} {result.name}"
              + (f": {len(result.violations)}" if result.violations else ""))
        for violation in result.violations[:shown]:
            print(f"            {str(violation)[:600]}")
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


def write_json(path, found, results, more):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**more, "figures": found, "checks": [r._asdict() for r in results]}, file, indent=1, default=str)


def dump(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, default=str)


def fault_names():
    return "\n".join(f"  {kind.name:<20} {kind.about}" for kind in KINDS)
