"""Which fault happens when, to whom and for how long: decided before the run, by its seed alone."""
import collections
import random

# name; what it needs for itself; weight; seconds from and to; what it does
Kind = collections.namedtuple("Kind", "name resource weight shortest longest about")
Event = collections.namedtuple("Event", "at kind resource target seconds detail")

KINDS = (
    Kind("kill", "node", 6, 8, 12, "SIGKILL to a node; it is started again at once or after the others took over"),
    Kind("pause", "node", 4, 4.5, 9, "SIGSTOP to a node past its lease, then SIGCONT"),
    Kind("stop", "node", 3, 0, 2, "SIGTERM to a node; it must end in 30 s; started again"),
    Kind("clock", "node", 2, 5, 10, "a node runs with its wall clock an hour behind"),
    Kind("partition", "node", 2, 2, 9, "the network namespace of a node is cut off"),
    Kind("postgres-kill", "postgres", 3, 0, 3, "SIGKILL to the postmaster; started again"),
    Kind("disk-full", "postgres", 2, 2, 5, "PostgreSQL's file system is filled, then freed"),
    Kind("postgres-cut", "way", 6, 1, 3, "answers to committed appends are swallowed, the connection is reset"),
    Kind("postgres-delay", "way", 2, 2, 6, "every piece between a node and PostgreSQL is late"),
    Kind("postgres-throttle", "way", 1, 2, 5, "the way between a node and PostgreSQL is slow"),
    Kind("postgres-black-hole", "way", 4, 2, 9, "nothing passes between a node and PostgreSQL; it arrives afterwards"),
    Kind("postgres-reset", "way", 2, 0.2, 3, "RST to all connections of a node to PostgreSQL"),
    Kind("postgres-half-open", "way", 3, 3, 9, "one end of the connections to PostgreSQL is gone, the other never told"),
    Kind("service-delay", "service", 2, 2, 6, "a participant is reached late"),
    Kind("service-throttle", "service", 1, 2, 5, "the way to a participant is slow"),
    Kind("service-black-hole", "service", 3, 2, 8, "nothing passes to a participant; it arrives afterwards"),
    Kind("service-reset", "service", 2, 0.2, 3, "RST to all connections to a participant"),
    Kind("service-half-open", "service", 2, 2, 6, "one end of the connections to a participant is gone"),
    Kind("participant", "participant", 5, 2, 6, "a participant refuses, delays, loses its answer, errs or says garbage"),
)
NAMES = tuple(kind.name for kind in KINDS)
# Of different resources; a run with everything broken at once shows little.
AT_ONCE_MAX = 3
# A no that is final is only for steps that may fail: after the pivot it would stand for ever, under the same key.
REFUSABLE = {"orders": ("createOrder", "redeemCoupon"), "inventory": ("reserveStock",), "payments": ("authorise", "capture"),
             "air-gds": ("holdSeat",), "cars-primary": ("carFromA",), "cars-backup": ("carFromB",), "billing": ("charge",),
             "ledger": ("hold", "book"), "task-inbox": ("openTask",), "payment-network": ("submit",)}
# Behind, not ahead: libfaketime 0.9.10 also moves a timerfd's monotonic times. Asio's "now" (1 ns) becomes negative with a
# clock that is ahead, the kernel refuses it, and no timer of the process fires any more.
CLOCK_OFF = -3600
PARTICIPANT_MODES = ("refuse", "refuse", "delay", "drop-before", "drop-after", "error-after", "error-before", "garbage", "hang")


def make(seed, seconds, names, nodes, services, namespace_node=None):
    """The events of a run, in order of time; the same for the same arguments."""
    chance = random.Random(seed)
    kinds = [kind for kind in KINDS if kind.name in names]
    events, busy, at = [], {}, 2.0
    # Every kind once, in an order of chance; then by weight.
    pending = chance.sample(kinds, len(kinds))
    while kinds and at < seconds:
        kind = pending[-1] if pending else chance.choices(kinds, [k.weight for k in kinds])[0]
        event = one(chance, kind, at, nodes, services, namespace_node)
        running = [until for until in busy.values() if until > at]
        if len(running) < AT_ONCE_MAX and busy.get(event.resource, 0) <= at:
            events.append(event)
            busy[event.resource] = at + event.seconds + 1
            if pending:
                pending.pop()
        at += 0.2 + chance.expovariate(1 / 1.2)
    return events


def one(chance, kind, at, nodes, services, namespace_node):
    seconds = chance.uniform(kind.shortest, kind.longest)
    target, detail = None, {}
    if kind.resource in ("node", "way"):
        target = chance.choice(nodes) if kind.name != "partition" else namespace_node or chance.choice(nodes)
    elif kind.resource in ("service", "participant"):
        target = chance.choice(services)
    if kind.name == "kill" and chance.random() < 0.4:
        seconds = chance.uniform(0, 0.5)
    elif kind.name == "clock":
        detail = {"off": CLOCK_OFF}
    elif kind.name.endswith("-delay"):
        detail = {"ms": chance.choice((20, 100, 400))}
    elif kind.name.endswith("-throttle"):
        detail = {"bytesPerSecond": chance.choice((4000, 20000))}
    elif kind.name.endswith("-half-open"):
        detail = {"hangs": chance.choice(("client", "server"))}
    elif kind.name == "postgres-cut":
        detail = {"count": chance.randint(1, 6)}
    elif kind.name == "postgres-kill":
        # Once in a while again and again, before anybody has recovered.
        detail = {"times": chance.choice((1, 1, 1, 3))}
    elif kind.name == "participant":
        detail = disturbance(chance, target)
    resource = f"{kind.resource}:{target}" if target else kind.resource
    return Event(round(at, 2), kind.name, resource, target, round(seconds, 2), detail)


def disturbance(chance, service):
    """A rule for the participants' own faults."""
    rule = {"mode": chance.choice(PARTICIPANT_MODES), "times": chance.choice((1, 3, 10, 0)),
            "phase": chance.choice(("forward", "forward", "compensate", "probe", "callback"))}
    delay = chance.choice((0, 0, 500, 4000))
    if rule["mode"] == "refuse" and service in REFUSABLE:
        rule.update(phase="forward", step=chance.choice(REFUSABLE[service]))
    elif rule["mode"] == "refuse" and service == "hotels":
        rule.update(phase="callback")
    elif rule["mode"] == "refuse":
        rule.update(mode="error-before")
    if delay or rule["mode"] == "delay":
        rule["delayMs"] = delay or 1000
    return rule
