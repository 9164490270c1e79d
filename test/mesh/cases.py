"""The cases of the mesh: what a proxy does, to which sagas, and what must come of it.

A case is a function of the world, the class of a proxy, whether the service has `answers`, and how many sagas a storm has.
It returns an Outcome, or says by Skipped why it cannot be run.
"""
import sagas
from certificates import Authority
from fronts import HASTY_SECONDS, Setting
from guide import STATUSES
from world import Outcome, harness

SAGAS_A_RELOAD = 9
PASSES = sagas.Cell("calm", "pivot", "never-0")


class Skipped(Exception):
    pass


def needs(front, feature, reason):
    if feature not in front.features:
        raise Skipped(f"{front.NAME}: {reason}")


def speech(world, front, marked, _):
    """The proxy speaks once, in every status, at every kind of call."""
    starts, names, heard = [], [], []
    for cell in sagas.CELLS:
        for status in sagas.STATUSES:
            starts.append(cell.start(status, marked))
            names.append(sagas.KNOWN.get((cell.place, cell.kind, status), ""))
            heard.append((cell, status))
    with front(Setting([world.participant.port])) as proxy:
        world.put_services(proxy.setting.url)
        ids = world.start(starts)
        outcome = world.judged(ids, names)
    outcome.unheard += [f"{cell.place} ({cell.kind}) {status}" for saga, (cell, status) in zip(ids, heard)
                        if not cell.was_heard(world.participant.arrived, saga)]
    return outcome


def storm_starts(count, marked):
    """Sagas of every kind that the weather meets, some of which are withdrawn at their end."""
    return [sagas.Cell("storm", kind, "never-0", f"storm:{n}{' accepts' if kind == 'polled' else ''}", is_withdrawn(n, kind))
            .start("none", marked, hasty=True) for n, kind in enumerate(kinds(count))]


def kinds(count):
    return [sagas.STORM_KINDS[n % len(sagas.STORM_KINDS)] for n in range(count)]


def is_withdrawn(n, kind):
    return kind == "undo" and n % 2 == 0


def storm(world, front, marked, count, **setting):
    """The participant answers 5xx, late or never; its connections break before and after the work."""
    with front(Setting([world.participant.port], seconds=HASTY_SECONDS, **setting)) as proxy:
        world.put_services(proxy.setting.url)
        return world.judged(world.start(storm_starts(count, marked)))


def retries(world, front, marked, count):
    """The same, and the proxy repeats whatever failed."""
    needs(front, "retries", "it is not configured to repeat requests here")
    return storm(world, front, marked, count, retries=True)


def mirroring(world, front, marked, count):
    """Every request arrives twice."""
    needs(front, "mirrors", "it is not configured to mirror requests here")
    return storm(world, front, marked, count, mirrors=True)


def reloads(world, front, marked, count):
    """The proxy is reloaded again and again with sagas in flight; for Envoy a hot restart."""
    needs(front, "reload", "it has no reload")
    ids = []
    with front(Setting([world.participant.port])) as proxy:
        world.put_services(proxy.setting.url)
        for _ in range(count // SAGAS_A_RELOAD):
            ids += world.start(calm_starts(SAGAS_A_RELOAD, marked))
            proxy.reload()
        return world.judged(ids)


def calm_starts(count, marked):
    return [sagas.Cell("calm", kind, "never-0", "accepts" if kind == "polled" else "", is_withdrawn(n, kind)).start("none", marked)
            for n, kind in enumerate(kinds(count))]


def certificates(world, front, marked, count):
    """mTLS by the engine itself: authority, server and client certificates are replaced with sagas in flight."""
    needs(front, "tls", front.tls_reason)
    if Authority.why_not():
        raise Skipped(Authority.why_not())
    tls = {"ca": "mesh-ca", "clientCert": "mesh-client"}
    with Authority() as authority, front(Setting([world.participant.port], tls=authority)) as proxy:
        authority.write_secrets(world.secrets, tls, sagas.SERVICES.values())
        world.put_services(proxy.setting.url, tls=tls)
        world.complete(PASSES.start("none", marked))
        ids = world.start(calm_starts(count // 2, marked))
        authority.renew()
        authority.write_secrets(world.secrets, tls, sagas.SERVICES.values())
        proxy.reload()
        outcome = world.judged(ids)
        # Both sides have the new ones once a saga completes; from then on every call has to pass.
        world.complete(PASSES.start("none", marked))
        ids = world.start([PASSES.start("none", marked)] * (count // 2))
        outcome = world.judged(ids, into=outcome)
        outcome.broken += [f"after the rotation {view['id']} ended {view['status']}" for view in map(world.server.saga, ids)
                           if view["status"] != "COMPLETED"]
        return outcome


LATE = "late@forward-1 late@forward-2 late@forward-3"
WRONG_SETTINGS = {
    # The name in the guide, and the sagas that meet it.
    "maintenance-page": [("pivot", "drop@forward-1", False), ("undo", "drop@forward-1", False)],
    "sorry-page": [("pivot", "drop@forward-1", False), ("undo", "drop@forward-1", False)],
    "unmatched-route": [("pivot", "", False), ("undo", "", False)],
    "cached-probe": [("checked", "cacheable " + sagas.LOST_TWICE, False)],
    "compressed": [("pivot", "", False), ("undo", "", True), ("ruled", sagas.LOST_TWICE, False)],
    "retry-hides-unknown": [("pivot", LATE, False), ("undo", LATE, False)],
    "transient-503": [("transient-503", "lose@forward-1 lose@forward-2 lose@forward-3", False)],
}


def settings(world, front, marked, _):
    """The settings of this proxy that the guide warns of, one after the other. What is suspended then ends without the proxy."""
    outcome = Outcome()
    for name in (*front.WRONG, "transient-503"):
        cells = [sagas.Cell("setting", kind, "never-0", script, fails) for kind, script, fails in WRONG_SETTINGS[name]]
        seconds = HASTY_SECONDS if name == "retry-hides-unknown" else 60
        with front(Setting([world.participant.port], seconds=seconds, retries=name == "retry-hides-unknown", wrong=name)) as proxy:
            world.put_services(proxy.setting.url)
            ids = world.start([cell.start("none", marked) for cell in cells])
            world.rest()
        world.put_services(world.participant.url)
        outcome = world.judged(ids, [name] * len(ids), outcome)
    return outcome


def statuses(world, front, _marked, _count):
    """What the proxy says by itself is what the guide says."""
    said = [heard(front(Setting([harness.free_port()])), "")]
    for script in ("lose@forward-1", "late@forward-1"):
        said.append(heard(front(Setting([world.participant.port], seconds=HASTY_SECONDS)), script))
    is_told = tuple(said) == STATUSES[front.NAME]
    return Outcome(broken=[] if is_told else [f"it said {said}, and the guide has {STATUSES[front.NAME]}"])


def heard(proxy, script):
    """The status of an action that is sent through it."""
    headers = {"Saga-Id": "direct", "Saga-Step": "pay", "Saga-Phase": "forward", "Saga-Attempt": "1",
               "Idempotency-Key": f"direct-{proxy.setting.port}", "Mesh-Script": script}
    with proxy:
        return harness.request(proxy.setting.url, "PUT", "/pass/pay/1", {}, headers)[0]


CASES = {case.__name__: case for case in (statuses, speech, storm, retries, mirroring, reloads, certificates, settings)}
