"""A participant that keeps the contract, misbehaves on the wire as a request's script says, and keeps a ledger.

The script is the header Mesh-Script: words that name what goes wrong with which call. What happens depends on the call
alone, never on time, so a run can be repeated.
"""
import collections
import http.server
import json
import random
import threading

from support import harness

ECHO = "Saga-Echo"
# Weights of a storm: what becomes of a call.
STORM = {"": 60, "lose": 8, "drop": 6, "late": 7, "slow": 7, "error": 6, "busy": 6}
# Longer than the time that a proxy waits in a storm; twice of it is longer than the engine waits.
LATE_SECONDS = 0.6
POLLS_UNTIL_DECIDED = 2
UNDONE_BEFORE = (409, {"error": "UNDONE_BEFORE"})
NOT_SEEN = (404, {"error": "NOT_SEEN"})


class Script:
    """`KIND@PHASE-ATTEMPT`: lose (do it, no answer), drop (no answer), late (do it, answer late), slow (wait, then do it),
    error (do it, answer 500), busy (answer 503). `storm:SEED`: one of these by chance. `cacheable`: does not forbid to store
    its answers. `accepts`: decided when polled, said by the body; `accepts-by-status`: by the status. `declines`: refuses.
    But for the storm and `cacheable`, they are for the payment alone."""

    def __init__(self, text, step):
        words = set((text or "").split())
        self.seed = next((word for word in words if word.startswith("storm:")), None)
        self.words = words if step == "pay" else words & {"cacheable"}
        self.faults = dict(reversed(word.split("@")) for word in self.words if "@" in word)

    def __contains__(self, word):
        return word in self.words

    def fault(self, call, arrival, is_calm):
        """@return its kind, or None"""
        found = self.faults.get(f"{call.phase}-{call.attempt}")
        if found or is_calm or not self.seed:
            return found
        chance = random.Random(f"{self.seed} {call.step} {call.phase} {arrival}")
        return chance.choices(list(STORM), list(STORM.values()))[0] or None


class Call:
    """A request as the ledger sees it. `key` is always that of the action."""

    def __init__(self, headers):
        self.saga, self.step, self.phase = headers["Saga-Id"], headers["Saga-Step"], headers["Saga-Phase"]
        self.attempt, self.script = headers["Saga-Attempt"], Script(headers["Mesh-Script"], self.step)
        self.echo = headers["Idempotency-Key"] or headers["Saga-Probes"]
        self.key = headers["Saga-Compensates"] or self.echo


class Participant(harness.HttpService):
    def __init__(self):
        self.changed = threading.Condition()
        self.over = threading.Event()
        self.is_calm, self.working = False, 0
        self.effects, self.undone, self.closed, self.replies = {}, set(), set(), {}
        self.polls, self.arrivals, self.arrived = collections.Counter(), collections.Counter(), set()
        participant = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def handle_any(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not self.headers["Saga-Id"]:
                    return self.answer(404, {}, {})  # a proxy's check
                with participant.at_work():
                    answer = participant.take(Call(self.headers))
                if answer:
                    self.answer(*answer)
                else:
                    self.close_connection = True

            def answer(self, status, body, headers):
                text = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Type": "application/json", "Content-Length": len(text)}.items():
                        self.send_header(name, str(value))
                    self.end_headers()
                    self.wfile.write(b"" if self.command == "HEAD" else text)
                    self.wfile.flush()
                except OSError:
                    self.close_connection = True  # the proxy has given up

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_OPTIONS = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 512

            def handle_error(self, *_):
                pass  # a peer that is gone

        self.serve(Handler, Server)
        self.port = self.server.server_port

    def at_work(self):
        participant = self

        class Work:
            def __enter__(self):
                with participant.changed:
                    participant.working += 1

            def __exit__(self, *_):
                with participant.changed:
                    participant.working -= 1
                    participant.changed.notify_all()
        return Work()

    def settle(self):
        """Returns once no call is being worked on, those included whose caller has given up."""
        harness.wait_until(lambda: self.working == 0, 60, "the participant to finish")

    def take(self, call):
        """@return status, body and headers; None: the connection is closed without an answer"""
        with self.changed:
            self.arrived.add((call.saga, call.step, call.phase, call.attempt))
            place = call.key, call.phase
            self.arrivals[place] += 1
            arrival = self.arrivals[place]
        fault = call.script.fault(call, arrival, self.is_calm)
        headers = {ECHO: call.echo} if "cacheable" in call.script else {ECHO: call.echo, "Cache-Control": "no-store"}
        if fault == "drop":
            return None
        if fault == "busy":
            return 503, {"error": "BUSY"}, headers
        if fault == "slow":
            self.over.wait(2 * LATE_SECONDS)
        with self.changed:
            status, body = self.answer_to(call)
        if fault == "late":
            self.over.wait(LATE_SECONDS * (1 + arrival % 2))
        if fault == "lose":
            return None
        return (500, {"error": "BROKEN"}, headers) if fault == "error" else (status, body, headers)

    def answer_to(self, call):
        if call.phase == "compensate":
            return self.undo(call.key)
        if call.phase == "probe":
            return self.poll(call) if "accepts" in call.script or "accepts-by-status" in call.script else self.probe(call.key)
        if call.step == "check":
            return (200, {"id": call.saga}) if call.saga in {effect["saga"] for effect in self.effects.values()
                                                            if effect["step"] == "pay"} else NOT_SEEN
        return self.act(call)

    def act(self, call):
        if call.key in self.replies:
            return self.replies[call.key]
        if call.key in self.closed:
            return UNDONE_BEFORE
        if "accepts" in call.script or "accepts-by-status" in call.script:
            reply = 202, {"state": "PENDING"}
        elif "declines" in call.script:
            reply = 402, {"error": "DECLINED"}
        else:
            self.do(call)
            reply = 200, {"id": call.key}
        self.replies[call.key] = reply
        return reply

    def do(self, call):
        self.effects[call.key] = {"saga": call.saga, "step": call.step}

    def undo(self, key):
        self.closed.add(key)
        self.replies.pop(key, None)
        if key in self.effects:
            self.undone.add(key)
        return 200, {"undone": True}

    def probe(self, key):
        """Sealed: after its "no" the action is refused."""
        if key in self.replies:
            return self.replies[key]
        self.closed.add(key)
        return NOT_SEEN

    def poll(self, call):
        by_status = "accepts-by-status" in call.script
        if call.key in self.closed:
            return UNDONE_BEFORE
        self.polls[call.key] += 1
        if self.polls[call.key] < POLLS_UNTIL_DECIDED:
            return 202 if by_status else 200, {"state": "PENDING"}
        if "declines" in call.script:
            return 402 if by_status else 200, {"state": "DECLINED"}
        self.do(call)
        return 200, {"state": "DONE"}

    def ledger(self):
        """By saga: the steps that have an effect, as (step, whether it was undone)."""
        with self.changed:
            found = collections.defaultdict(list)
            for key, effect in self.effects.items():
                found[effect["saga"]].append((effect["step"], key in self.undone))
            return found

    def stop(self):
        self.over.set()
        super().stop()
