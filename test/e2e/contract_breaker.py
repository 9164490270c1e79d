"""A participant for the tests of check-participant that keeps the participant contract, or breaks one clause of it."""
import http.server
import json
import threading
import urllib.request
from urllib.parse import urlsplit

from support import harness

REFUSED = (409, {"error": "undone before"})
KEY_HEADERS = ("Idempotency-Key", "Saga-Compensates", "Saga-Probes")
IN_PROGRESS = (409, {"error": "in progress"})


class Service(harness.HttpService):
    """A participant that keeps every promise but the one that `broken` names. Keys live in memory."""

    def __init__(self, broken=None):
        self.broken = broken
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.forget()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def handle_any(self):
                early = service.arrive(self.headers)
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = early or service.answer(self.command, self.path, self.headers)
                service.leave(self.headers)
                text = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    if service.broken != "not-stored":
                        self.send_header("Cache-Control", "no-store")
                    key = next(filter(None, map(self.headers.get, KEY_HEADERS)), None)
                    if key and not (service.broken == "marked" and status >= 400):
                        self.send_header("Saga-Echo", key)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                    self.wfile.flush()
                except OSError:
                    self.close_connection = True  # it was cut off

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a peer that is gone

        self.serve(Handler, Server)

    def forget(self):
        self.done, self.closed, self.undone, self.working = {}, set(), set(), set()
        self.copies = {}
        self.arriving, self.cleared, self.subjects, self.polled = set(), set(), [], set()
        self.effects, self.numbers, self.polls = 0, 0, 0

    def key(self, text):
        return text.lower() if text and self.broken == "key-case" else text

    def arrive(self, headers):
        """What a middleware does that sees the head of a request before its body has come."""
        key = headers["Idempotency-Key"]
        if headers["Saga-Phase"] != "forward" or key is None:
            return None
        with self.lock:
            if self.broken == "overtaken":
                if key in self.arriving:
                    return IN_PROGRESS
                self.arriving.add(key)
            if self.broken in ("undo-overtakes", "seal-during-action") and key not in self.closed:
                self.cleared.add(key)
                self.changed.notify_all()
        return None

    def leave(self, headers):
        with self.lock:
            self.arriving.discard(headers["Idempotency-Key"])

    def answer(self, method, path, headers):
        if "/polls/" in path:
            return self.poll(path.rsplit("/", 1)[1])
        if method == "GET" and "/by-key/" in path:
            return self.probed(self.key(urlsplit(path).path.rsplit("/by-key/", 1)[1]))
        if method == "GET":
            return 200, {"price": 7}
        if headers["Saga-Phase"] == "compensate":
            return self.undo(self.key(headers["Saga-Compensates"]))
        return self.act(self.key(headers["Idempotency-Key"]), path, headers)

    def act(self, key, path, headers):
        with self.changed:
            if self.broken == "in-time":
                self.changed.wait(1.0)
            if key in self.working and self.broken != "at-once":
                if self.broken == "cut-off":
                    return IN_PROGRESS
                self.changed.wait_for(lambda: key not in self.working, 5)
            cleared = key in self.cleared and key not in self.undone
            self.cleared.discard(key)
            if key in self.closed and not cleared and not (self.broken == "action-after-undo" and key in self.undone):
                return REFUSED
            if key in self.done and key not in self.undone:
                if self.broken == "repeat":
                    return 200, {"id": key, "again": True}
                return self.done[key]
            self.working.add(key)
            # While it works, another request with the key can come in.
            self.copies[key] = self.copies.get(key, 0) + 1
            self.changed.notify_all()
            seconds = 0.3 if self.broken in ("at-once", "cut-off", "undo-during-action") else 0.001
            self.changed.wait_for(lambda: self.broken == "at-once" and self.copies[key] > 1, seconds)
            self.effects += 1
            self.numbers += 1
            self.subjects.append(path)
            self.done[key] = (202, {"accepted": key}) if "/later" in path else (200, {"id": f"{key}-{self.numbers}"})
            if "/later" in path and self.broken != "callback":
                threading.Thread(target=self.call_back, args=(headers["Saga-Callback"],), daemon=True).start()
            self.working.discard(key)
            self.changed.notify_all()
            return self.done[key]

    def call_back(self, address):
        if not address:
            return
        request = urllib.request.Request(address, b'{"state": "DONE"}', {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except OSError:
            pass  # nobody waits any more

    def poll(self, key):
        with self.lock:
            self.polls += 1
            pending = key not in self.polled
            self.polled.add(key)
            return 200, {"state": "PENDING" if pending else "DONE", "found": self.polls if self.broken == "poll" else key}

    def undo(self, key):
        with self.changed:
            if key in self.working and self.broken != "undo-during-action":
                self.changed.wait_for(lambda: key not in self.working, 5)
            if self.broken == "undo-overtakes":
                self.changed.wait_for(lambda: key in self.cleared, 0.2)
            if key not in self.done:
                if self.broken == "undo-of-nothing":
                    return 404, {"error": "no such thing"}
                if self.broken != "late-action":
                    self.closed.add(key)
                return 200, {}
            if self.broken == "undo":
                return 409, {"error": "cannot"}
            if key in self.undone and self.broken == "undo-again":
                return 404, {"error": "undone already"}
            if key not in self.undone:
                self.effects -= 1
            self.undone.add(key)
            self.closed.add(key)
            return 200, {}

    def probed(self, key):
        with self.changed:
            self.changed.wait_for(lambda: key not in self.working, 5)
            if self.broken == "seal-during-action":
                self.changed.wait_for(lambda: key in self.cleared, 0.2)
            if key in self.done and key not in self.undone and self.broken != "probe":
                return self.done[key]
            if self.broken != "seal":
                self.closed.add(key)
            return 404, {"error": "NOT_SEEN"}
