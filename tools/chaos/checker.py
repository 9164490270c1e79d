"""Judges a run by what the database and the participants say, sharing no code with the engine.

Each check is a function of the tables and of what the clients recorded; it yields a sentence for every violation.
The numbers are the promises of docs/reliability.md.
"""
import collections

ENDED = ("COMPLETED", "FAILED", "FAILED_INCOMPLETE")
EFFECTS = ("done", "captured")
# Of a save-point: undone inside a saga that goes on.
SAVE_POINTS = ("cars-primary",)
# Branches that ran at once are also undone at once.
UNORDERED = ("travel",)

CHECKS = []
Check = collections.namedtuple("Check", "promise name judge")
Result = collections.namedtuple("Result", "promise name violations")


def check(promise, name):
    def add(judge):
        CHECKS.append(Check(promise, name, judge))
        return judge
    return add


def judge(tables, starts=(), said=()):
    """A result for every check."""
    world = World(tables, list(starts), list(said))
    return [Result(c.promise, c.name, list(c.judge(world))) for c in CHECKS]


class World:
    """The tables, indexed."""

    def __init__(self, tables, starts, said):
        self.tables, self.starts, self.said = tables, starts, said
        self.sagas = {s["id"]: s for s in tables.sagas}
        self.entries = [dict(e, example=x) for x, ledger in tables.ledgers.items() for e in ledger]
        self.effects = [e for e in self.entries if e["effect"] in EFFECTS]
        self.undone = {(e["service"], e["compensates"]): e for e in self.entries if e["effect"] == "undone"}

    def stands(self, effect):
        return (effect["service"], effect["key"]) not in self.undone


@check("I1", "every answered start is there")
def answered_starts_exist(world):
    for start in world.starts:
        for saga in start.ids - world.sagas.keys():
            yield f"{start.way} start {start.key} was answered {saga}, which is not there"


@check("I1", "no start was turned away")
def no_start_refused(world):
    for start in world.starts:
        if start.refused:
            yield f"{start.way} start {start.key}: {start.refused}"


@check("I1", "every saga has ended")
def every_saga_ended(world):
    for saga in world.tables.sagas:
        if saga["status"] not in ENDED:
            yield f"{saga['id']} ({saga['definition']}) is {saga['status']}: {saga['failure'] or 'no reason'}"
        if saga["status"] == "FAILED_INCOMPLETE":
            yield f"{saga['id']} ({saga['definition']}) could not be undone: {saga['failure']}"


@check("I2", "one saga for each key")
def one_saga_per_key(world):
    for start in world.starts:
        if len(start.ids) > 1:
            yield f"{start.way} start {start.key} was answered with {sorted(start.ids)}"
    by_key = collections.defaultdict(set)
    for saga in world.tables.sagas:
        if saga["business_key"]:
            by_key[saga["definition"], saga["business_key"]].add(saga["id"])
    for key, sagas in by_key.items():
        if len(sagas) > 1:
            yield f"{key} has {sorted(sagas)}"
    for key in world.tables.keys:
        if key["saga_id"] not in world.sagas:
            yield f"the key {key['key']} belongs to {key['saga_id']}, which is not there"


@check("I2", "nothing is left of what was rolled back")
def rolled_back_is_gone(world):
    keys = {start.key for start in world.starts if start.rolled_back}
    for saga in world.tables.sagas:
        if saga["business_key"] in keys:
            yield f"{saga['id']} was started by a transaction that was rolled back"
    for key in world.tables.keys:
        if key["key"] in keys:
            yield f"the key {key['key']} was taken by a transaction that was rolled back"


@check("I3", "at most one effect for each step")
def one_effect_per_step(world):
    keys, steps = {}, {}
    for effect in world.effects:
        first = keys.setdefault((effect["service"], effect["key"]), effect)
        if first is not effect:
            yield f"{effect['key']} took effect twice: {first['seq']} and {effect['seq']} of {effect['example']}"
            continue
        # The rounds of a loop are about different things.
        first = steps.setdefault((effect["service"], effect["saga"], effect["step"], effect["subject"]), effect)
        if first is not effect:
            yield f"{effect['saga']} {effect['step']} took effect under two keys: {first['key']} and {effect['key']}"


@check("I4", "what a saga calls done was done, and stands unless it was undone")
def done_means_done(world):
    by_key = {e["key"]: e for e in world.effects}
    for saga_id, log in world.tables.log.items():
        request, succeeded, compensated = {}, [], set()
        for row in log:
            if row["type"] == "StepScheduled":
                request[row["path"]] = row["data"].get("request") or {}
            elif row["type"] == "StepSucceeded" and row["path"] in request:
                succeeded.append(row["path"])
            elif row["type"] == "StepCompensated":
                compensated.add(row["path"])
        for path in succeeded:
            if request[path].get("method") in (None, "GET"):
                continue
            effect = by_key.get(request[path]["key"])
            if effect is None:
                yield f"{saga_id} {path} succeeded without an effect"
            elif path in compensated and effect["undoable"] and world.stands(effect):
                yield f"{saga_id} {path} is called undone but stands"
            elif path not in compensated and not world.stands(effect):
                yield f"{saga_id} {path} was undone, and the log does not say so"


@check("I4", "a saga that failed left nothing, one that completed keeps what it did")
def all_or_nothing(world):
    for effect in world.effects:
        saga = world.sagas.get(effect["saga"])
        if saga is None:
            yield f"{effect['key']} took effect for a saga that is not there"
        elif saga["status"] == "FAILED" and effect["effect"] == "captured":
            yield f"{saga['id']} failed after {effect['step']} took the money"
        elif saga["status"] == "FAILED" and effect["undoable"] and world.stands(effect):
            yield f"{saga['id']} failed, but {effect['step']} ({effect['subject']}) stands"
        elif (saga["status"] == "COMPLETED" and not world.stands(effect)
              and effect["service"] not in SAVE_POINTS):
            yield f"{saga['id']} completed, but {effect['step']} ({effect['subject']}) was undone"


@check("I4", "undone last first")
def mirror_order(world):
    done, last = {}, {}
    for entry in world.entries:
        if entry["example"] in UNORDERED:
            continue
        if entry["effect"] in EFFECTS:
            done[entry["service"], entry["key"]] = entry["seq"]
        elif entry["effect"] == "undone":
            at = done.get((entry["service"], entry["compensates"]))
            if at is None:
                yield f"{entry['compensates']} was undone but never done"
                continue
            before = last.get((entry["example"], entry["saga"]))
            if before is not None and at > before:
                yield f"{entry['saga']}: {entry['step']} was undone after something older ({entry['seq']})"
            last[entry["example"], entry["saga"]] = at


@check("I5", "no effect after its undo")
def no_effect_after_undo(world):
    shut = {}
    for entry in world.entries:
        if entry["effect"] in ("undone", "noop-undo"):
            shut.setdefault((entry["service"], entry["compensates"]), entry["seq"])
        elif entry["effect"] == "closed":
            shut.setdefault((entry["service"], entry["key"]), entry["seq"])
        elif entry["effect"] in EFFECTS and (entry["service"], entry["key"]) in shut:
            yield f"{entry['key']} took effect ({entry['seq']}) after it was closed"


@check("I3 I4 I5 I9", "the participants' own judgement")
def participants_agree(world):
    for found in world.tables.judgements:
        yield f"{found['example']}: {found['promise']} {found['code']} {found['saga']}: {found['message']}"


def without_late_callbacks(log):
    """That a callback came too late is noted once a step, also after the end."""
    return [row for row in log if row["type"] != "CallbackRefused"]


@check("I6", "every log is without gaps and agrees with its saga's row")
def log_is_whole(world):
    for saga in world.tables.sagas:
        log = world.tables.log.get(saga["id"], [])
        if [row["sequence"] for row in log] != list(range(1, len(log) + 1)) or not log:
            yield f"{saga['id']} has the sequences {[row['sequence'] for row in log]}"
            continue
        if log[0]["type"] != "SagaStarted":
            yield f"{saga['id']} begins with {log[0]['type']}"
        if saga["last_sequence"] > len(log):
            yield f"{saga['id']} has {len(log)} events, its row knows of {saga['last_sequence']}"
        last = without_late_callbacks(log)[-1]
        ended = last["data"].get("status") if last["type"] == "SagaEnded" else None
        if saga["status"] in ENDED and ended != saga["status"]:
            yield f"{saga['id']} is {saga['status']}, its log says {ended}"
        if ended and saga["status"] != ended:
            yield f"{saga['id']} ended {ended}, its row says {saga['status']}"
    for saga_id in world.tables.log.keys() - world.sagas.keys():
        yield f"{saga_id} has a log but no row"


@check("I9", "one end, and nothing after it")
def terminal_is_terminal(world):
    for saga_id, whole_log in world.tables.log.items():
        late = [row["path"] for row in whole_log if row["type"] == "CallbackRefused"]
        if len(late) != len(set(late)):
            yield f"{saga_id}: that a callback came too late is noted twice at a step"
        log = without_late_callbacks(whole_log)
        for before, row in zip(log, log[1:]):
            # A parent may take back what its child completed: the child ends once more.
            if before["type"] == "SagaEnded" and row["type"] != "SagaReopened":
                yield f"{saga_id}: {row['type']} ({row['sequence']}) after the end"
            if row["type"] == "SagaReopened" and before["data"].get("status") != "COMPLETED":
                yield f"{saga_id} was reopened without having completed"
        if sum(row["type"] == "SagaEnded" for row in log) > 1 + sum(row["type"] == "SagaReopened" for row in log):
            yield f"{saga_id} ended more than once"


@check("I6", "no attempt begins twice")
def no_attempt_twice(world):
    for saga_id, log in world.tables.log.items():
        # What a reopened child or an operator's retry does anew counts anew.
        seen = set()
        for row in log:
            if row["type"] in ("OperatorActed", "SagaReopened"):
                seen.clear()
            if row["type"] not in ("StepScheduled", "AttemptStarted", "StepSucceeded"):
                continue
            mark = (row["type"], row["path"], row["data"].get("phase"), row["data"].get("attempt"))
            if mark in seen:
                yield f"{saga_id}: {' '.join(str(m) for m in mark if m)} twice ({row['sequence']})"
            seen.add(mark)


@check("I7", "epochs only grow, and with every new owner")
def epochs_grow(world):
    last = {}
    for change in world.tables.owned:
        epoch, owner = last.get(change["shard"], (0, None))
        if change["epoch"] < epoch or change["epoch"] == epoch and change["node"] and change["owner"] != owner:
            yield f"shard {change['shard']}: {change['owner']} at {change['epoch']} after {owner} at {epoch}"
        last[change["shard"]] = (change["epoch"], change["owner"])


@check("I7", "every event was written by the process that held the saga's shard")
def one_writer(world):
    yield from (f"{row['saga_id']} {row['sequence']} was written by {row['writer']} at {row['at']}; "
                f"shard {row['shard']} belonged to {owner}" for row, owner in stale_writes(world.tables))


def stale_writes(tables):
    """(row, who held the shard) of events that were committed by somebody else."""
    changes = collections.defaultdict(list)
    for change in tables.owned:
        changes[change["shard"]].append(change)
    at, owner = collections.Counter(), {}
    for row in tables.written:
        shard = row["shard"]
        while at[shard] < len(changes[shard]) and changes[shard][at[shard]]["at"] <= row["at"]:
            change = changes[shard][at[shard]]
            owner[shard] = change["owner"] if change["node"] else None
            at[shard] += 1
        if owner.get(shard) != row["writer"]:
            yield row, owner.get(shard)


@check("I6", "every event of the log was seen being written, once")
def writes_match_log(world):
    written = collections.Counter((row["saga_id"], row["sequence"]) for row in world.tables.written)
    for saga_id, log in world.tables.log.items():
        for row in log:
            if written.get((saga_id, row["sequence"])) != 1:
                yield f"{saga_id} {row['sequence']} was written {written.get((saga_id, row['sequence']), 0)} times"
    if sum(written.values()) != sum(len(log) for log in world.tables.log.values()):
        yield "something was written that the log does not hold any more"


@check("I10", "no command is left over")
def inbox_empty(world):
    for row in world.tables.inbox:
        yield f"{row['kind']} for {row['saga_id']} waits in the inbox"


@check("I1", "an answered signal or cancel reached its saga")
def commands_arrived(world):
    too_late = {row["saga_id"] for row in world.tables.audit if row["action"] == "signal-refused" and
                any(why in row["reason"] for why in ("has ended", "is being undone", "is over"))}
    for said in world.said:
        log = world.tables.log.get(said.saga, [])
        if said.kind == "cancel":
            # One that comes to a saga on its way back already changes nothing, and is not noted.
            met = any(row["type"] == "CancelRequested" or row["type"] == "CompensationStarted" and
                      row["data"]["failure"]["code"] != "CANCELLED" for row in log)
            if said.status in (200, 202) and not met:
                yield f"the cancel of {said.saga} was answered {said.status} and is not in its log"
            continue
        count = sum(row["type"] == "SignalReceived" and (row["data"].get("payload") or {}).get("note") == said.token
                    for row in log)
        # By SQL it may come to a saga that does not wait for it any more; the audit says so.
        lost = said.status in (200, 202) and count == 0 and not (said.way == "sql" and said.saga in too_late)
        if lost or count > 1:
            yield f"the signal {said.token} by {said.way} was answered {said.status} and came {count} times"
