"""The sagas of the mesh: reserve, pay, ship. Each kind differs in how its payment is asked about or taken back."""
import copy
from dataclasses import dataclass

from participant import ECHO

STEPS = ("reserve", "pay", "ship")
STATUSES = ("200", "301", "401", "403", "404", "413", "429", "503")
PATIENT = {"maxAttempts": 20, "delay": "50ms", "factor": 2, "maxDelay": "200ms", "jitter": "none"}
THREE = {"maxAttempts": 3, "delay": "20ms", "factor": 1, "jitter": "none"}
# So that the probe is asked after two answers were lost.
TWO = {**THREE, "maxAttempts": 2}
INPUT = {name: {"type": "string"} for name in ("status", "at", "script")}
# A call passes, unless the proxy speaks in this status at this call, which is PHASE-ATTEMPT.
SPOKEN = "/speak/${input.status}/${input.at}/pay/${saga.id}"
SERVICES = {False: "plain", True: "marked"}
RULED = [{"status": 404, "when": "${response.body.error == 'NOT_SEEN'}", "is": "failure", "code": "NOT_PAID"},
         {"status": "2xx", "when": "${response.body.id == null}", "is": "unknown"}]
POLL_BY_BODY = [{"status": "2xx", "when": "${response.body.state == 'PENDING'}", "is": "pending"},
                {"status": "2xx", "when": "${response.body.state == 'DECLINED'}", "is": "failure", "code": "DECLINED"}]
POLL_BY_STATUS = [{"status": 402, "is": "failure", "code": "DECLINED"}]


def step(name, kind=None, path=None, **more):
    path = path or f"/pass/{name}/${{saga.id}}"
    action = {"service": "far", "http": f"PUT {path}", "headers": {"Mesh-Script": "${input.script}"}, "body": {"saga": "${saga.id}"}}
    undo = {} if kind else {"compensation": {"http": f"DELETE {path}", "headers": copy.deepcopy(action["headers"]), "retry": PATIENT}}
    return {"name": name, "action": action, "retry": PATIENT if kind == "retryable" else THREE, **({"kind": kind} if kind else {}), **undo,
            **more}


def question(**more):
    """A GET about the payment."""
    return {"http": f"GET {SPOKEN}", "headers": {"Mesh-Script": "${input.script}"}, **more}


def completion(rules):
    return {"poll": question(every="50ms", outcomes=rules), "timeout": "10m"}


def pay(kind):
    probe = question(sealed=True, retry=PATIENT)
    members = {
        "pivot": {},
        "undo": {},
        "undo-404": {},
        "sealed": {"probe": probe, "retry": TWO},
        "ruled": {"probe": {**probe, "outcomes": RULED}, "retry": TWO},
        "checked": {"probe": {**probe, "retry": TWO}, "retry": TWO},
        "polled": {"completion": completion(POLL_BY_BODY)},
        "polled-status": {"completion": completion(POLL_BY_STATUS)},
        "transient-503": {"outcomes": [{"status": 503, "is": "transient"}]},
    }[kind]
    found = step("pay", None if kind.startswith("undo") else "pivot", SPOKEN, **copy.deepcopy(members))
    if kind == "undo-404":
        found["compensation"]["outcomes"] = [{"status": 404, "is": "success"}]
    return found


KINDS = ("pivot", "undo", "undo-404", "sealed", "ruled", "checked", "polled", "polled-status", "transient-503")
STORM_KINDS = ("undo", "ruled", "polled")
# A question that a cache may answer with what it has kept of it.
CHECK = {"name": "check", "action": {"service": "far", "http": f"GET {SPOKEN}", "headers": {"Mesh-Script": "${input.script}"}},
         "outcomes": [{"status": 404, "is": "success"}]}


def name_of(kind, marked, hasty=False):
    return f"mesh.{kind}-{SERVICES[marked]}{'-hasty' if hasty else ''}"


def definition(kind, marked, hasty=False):
    """`marked`: the service says how its answers are recognised. `hasty`: calls wait a second only."""
    steps = [step("reserve"), *([copy.deepcopy(CHECK)] if kind == "checked" else []), pay(kind)]
    if kind.startswith("undo"):
        steps += [step("ship"), {"name": "stop", "when": "${input.fails}", "fail": {"code": "STOP", "message": "the order is withdrawn"}}]
    else:
        steps.append(step("ship", "retryable"))
    return {"dsl": 1, "name": name_of(kind, marked, hasty), "version": 1,
            "input": {"type": "object", "required": [*INPUT, "fails"], "properties": {**INPUT, "fails": {"type": "boolean"}}},
            "services": {"far": {"use": SERVICES[marked]}},
            "defaults": {"attemptTimeout": "1s" if hasty else "60s", "compensation": {"retry": PATIENT}}, "timeout": "1h", "steps": steps}


def definitions():
    return [definition(kind, marked) for kind in KINDS for marked in SERVICES] + \
           [definition(kind, marked, hasty=True) for kind in STORM_KINDS for marked in SERVICES]


def service(url, marked, **more):
    return {"baseUrl": url, **({"answers": {"echo": ECHO}} if marked else {}), **more}


@dataclass(frozen=True)
class Cell:
    """A place at which a proxy speaks, and the saga that it does it to."""
    place: str
    kind: str
    at: str           # the call, PHASE-ATTEMPT
    script: str = ""
    fails: bool = False
    before: tuple = ("reserve", "forward", "1")  # what must have arrived, for the call to have been made

    def start(self, status, marked, hasty=False):
        return {"definition": name_of(self.kind, marked, hasty),
                "input": {"status": status, "at": self.at, "script": self.script, "fails": self.fails}}

    def was_heard(self, arrived, saga):
        """Whether the proxy spoke: the call did not arrive, and the one before it did."""
        phase, attempt = self.at.split("-")
        return (saga, *self.before) in arrived and (saga, "pay", phase, attempt) not in arrived


LOST_TWICE, NEVER_CAME = "lose@forward-1 lose@forward-2", "drop@forward-1 drop@forward-2"
FIRST, SECOND, SHIPPED = ("pay", "forward", "1"), ("pay", "forward", "2"), ("ship", "forward", "1")
CELLS = (
    Cell("action", "pivot", "forward-1"),
    Cell("action", "undo", "forward-1"),
    Cell("second copy", "pivot", "forward-2", "lose@forward-1", before=FIRST),
    Cell("second copy", "undo", "forward-2", "lose@forward-1", before=FIRST),
    Cell("probe", "sealed", "probe-1", LOST_TWICE, before=SECOND),
    Cell("probe", "ruled", "probe-1", LOST_TWICE, before=SECOND),
    Cell("probe of nothing", "sealed", "probe-1", NEVER_CAME, before=SECOND),
    Cell("probe of nothing", "ruled", "probe-1", NEVER_CAME, before=SECOND),
    Cell("poll", "polled", "probe-1", "accepts", before=FIRST),
    Cell("poll", "polled", "probe-1", "accepts declines", before=FIRST),
    Cell("poll", "polled-status", "probe-1", "accepts-by-status", before=FIRST),
    Cell("poll", "polled-status", "probe-1", "accepts-by-status declines", before=FIRST),
    Cell("compensation", "undo", "compensate-1", fails=True, before=SHIPPED),
    Cell("compensation", "undo-404", "compensate-1", fails=True, before=SHIPPED),
)
# The ends that are wrong without `answers`, by the names under which docs/guide/behind-a-proxy.md has them.
KNOWN = {
    ("action", "pivot", "200"): "page-for-action", ("action", "undo", "200"): "page-for-action",
    ("probe of nothing", "sealed", "200"): "page-for-probe",
    ("poll", "polled-status", "200"): "page-for-poll",
    ("compensation", "undo", "200"): "page-for-compensation", ("compensation", "undo-404", "200"): "page-for-compensation",
    ("probe", "sealed", "404"): "bare-404-probe",
    ("compensation", "undo-404", "404"): "bare-404-compensation",
}
