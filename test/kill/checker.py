"""Judges one run by what the participants did and what the log says. Shares no code with the engine.

Each function returns the violations it found, in words; an empty list is a run in order.
"""
import re

EFFECTS = ("done", "captured")
INDEX = re.compile(r"\[[^\]]*\]")


def judge(scenario, saga, logs, ledger):
    """`saga`: the ended saga as the API shows it. `logs`: id -> events of it and its children. `ledger`: all entries."""
    found = []
    if saga["status"] != scenario.status:
        found.append(f"it ended {saga['status']}, not {scenario.status}: {saga.get('failure')}")
    for saga_id, events in logs.items():
        found += log_in_order(saga_id, events, saga["status"] if saga_id == saga["id"] else None)
    found += effects_once(ledger)
    found += nothing_after_its_undo(ledger)
    found += known_to_the_log(logs, ledger)
    if scenario.status == "COMPLETED":
        found += all_done(logs, ledger)
    else:
        found += all_undone(ledger)
        found += in_mirror_order(scenario.definitions(), ledger)
    return found


def log_in_order(saga_id, events, status):
    """Without gaps, begun once, ended once at the end, no step succeeding or undone twice."""
    found = []
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        found.append(f"the log of {saga_id} has the sequences {sequences}")
    types = [event["type"] for event in events]
    if types.count("SagaStarted") != 1 or types[0] != "SagaStarted":
        found.append(f"the log of {saga_id} begins {types[:3]}")
    # A child that is taken back is reopened: it ends twice. That a callback came too late is noted after the end, too.
    ends, reopened = types.count("SagaEnded"), types.count("SagaReopened")
    last = [event for event in events if event["type"] != "CallbackRefused"][-1]
    if ends != 1 + reopened or last["type"] != "SagaEnded":
        found.append(f"the log of {saga_id} ends {ends} times, reopened {reopened} times, last {last['type']}")
    if status and last["data"].get("status") != status:
        found.append(f"the log of {saga_id} ends with {last['data']}, the saga with {status}")
    for kind in ("StepSucceeded", "StepCompensated", "StepFailed", "CallbackRefused"):
        paths = [event["path"] for event in events if event["type"] == kind]
        found += [f"{kind} twice at {path} of {saga_id}" for path in sorted(set(paths)) if paths.count(path) > 1]
    return found


def effects_once(ledger):
    found = []
    keys = [entry["key"] for entry in ledger if entry["effect"] in EFFECTS]
    found += [f"two effects under the key {key}" for key in sorted(set(keys)) if keys.count(key) > 1]
    places = [(entry["service"], entry["subject"]) for entry in ledger if entry["effect"] in EFFECTS]
    found += [f"two effects at {place}" for place in sorted(set(places)) if places.count(place) > 1]
    undone = [entry["compensates"] for entry in ledger if entry["effect"] == "undone"]
    found += [f"undone twice: {key}" for key in sorted(set(undone)) if undone.count(key) > 1]
    return found


def nothing_after_its_undo(ledger):
    closed, found = set(), []
    for entry in ledger:
        if entry["effect"] in ("undone", "noop-undo"):
            closed.add(entry["compensates"])
        elif entry["effect"] in EFFECTS and entry["key"] in closed:
            found.append(f"an effect after its undo: {entry['key']}")
    return found


def known_to_the_log(logs, ledger):
    """Every effect was asked for by an event that was committed before the call left."""
    asked = {(saga_id, event["path"]) for saga_id, events in logs.items() for event in events
             if event["type"] == "StepScheduled"}
    return [f"an effect that no log knows: {entry['step']} of {entry['saga']}" for entry in ledger
            if entry["effect"] in EFFECTS and (entry["saga"], entry["step"]) not in asked]


def undone_keys(ledger):
    return [entry["compensates"] for entry in ledger if entry["effect"] == "undone"]


def all_done(logs, ledger):
    """What succeeded has its effect, and nothing was taken back."""
    found = [f"undone although it completed: {key}" for key in undone_keys(ledger)]
    standing = {(entry["saga"], entry["step"]) for entry in ledger if entry["effect"] in EFFECTS}
    for saga_id, events in logs.items():
        acting = {event["path"] for event in events
                  if event["type"] == "StepScheduled" and event["data"]["request"]["method"] != "GET"}
        found += [f"succeeded without an effect: {event['path']}" for event in events
                  if event["type"] == "StepSucceeded" and event["path"] in acting
                  and (saga_id, event["path"]) not in standing]
    return found


def all_undone(ledger):
    undoable = {entry["key"] for entry in ledger if entry["effect"] == "done" and entry.get("undoable")}
    found = [f"left done: {key}" for key in sorted(undoable - set(undone_keys(ledger)))]
    found += [f"captured although it failed: {entry['step']}" for entry in ledger if entry["effect"] == "captured"]
    return found


def in_mirror_order(definitions, ledger):
    """Of two effects of one saga that cannot be at the same time, the later is undone first."""
    steps = {}
    for definition in definitions:
        collect(definition["steps"], steps)
    done = [entry for entry in ledger if entry["effect"] == "done" and entry.get("undoable")]
    order = {key: at for at, key in enumerate(undone_keys(ledger))}
    found = []
    for at, first in enumerate(done):
        for second in done[at + 1:]:
            if first["saga"] != second["saga"] or at_once(first["step"], second["step"], steps):
                continue
            if order.get(first["key"], -1) < order.get(second["key"], -1):
                found.append(f"{first['step']} was undone before {second['step']}")
    return found


def collect(steps, into):
    for step in steps:
        into[step["name"]] = step
        for block in ("parallel", "switch", "forEach", "try"):
            if block in step:
                collect_lists(step[block], into)


def collect_lists(value, into):
    if isinstance(value, dict):
        for member in value.values():
            collect_lists(member, into)
    elif isinstance(value, list):
        if value and all(isinstance(one, dict) and "name" in one for one in value):
            collect(value, into)
        else:
            for member in value:
                collect_lists(member, into)


def at_once(one, other, steps):
    """Whether two steps stand in different branches, or in different rounds of a loop."""
    first, second = one.split("/"), other.split("/")
    for at, (a, b) in enumerate(zip(first, second)):
        if a == b:
            continue
        if INDEX.sub("", a) == INDEX.sub("", b):
            return True
        around = steps.get(INDEX.sub("", first[at - 1])) if at else None
        return around is not None and "parallel" in around
    return False
