"""The saga of docs/tutorial.md with participants in an ordinary web framework, which decodes a path before it routes."""
import json
import os
import re
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from support import World, step

TUTORIAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "tutorial.md")
SAFE_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


def tutorial_definition():
    """The finished definition of the page, with a budget that a test can wait for."""
    with open(TUTORIAL, encoding="utf-8") as page:
        text = next(block for block in re.findall(r"```json\n(.*?)```", page.read(), re.S) if '"probe"' in block)
    definition = json.loads(text)
    charge = next(one for one in definition["steps"] if one["name"] == "charge")
    charge["retry"] = {"maxAttempts": 3, "delay": "50ms"}
    return definition


class Framework(ThreadingHTTPServer):
    """Hall, bank and mail as a web developer writes them. Each route is a pattern over the decoded path."""

    daemon_threads = True

    def __init__(self):
        self.charges, self.holds, self.probed, self.lost_answers = {}, {}, [], 0
        self.lock = threading.Lock()
        self.routes = [("PUT", r"/holds/([^/]+)", self.hold), ("DELETE", r"/holds/([^/]+)", self.release),
                       ("POST", r"/charges", self.charge), ("GET", r"/charges/by-key/([^/]+)", self.find_charge),
                       ("POST", r"/tickets", lambda headers: (200, {}))]
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method, path, headers):
        for verb, pattern, work in self.routes:
            match = re.fullmatch(pattern, unquote(path))
            if verb == method and match:
                with self.lock:
                    return work(headers, *match.groups())
        return 404, "<h1>Not Found</h1>"

    def hold(self, headers, seat):
        self.holds[headers["Idempotency-Key"]] = seat
        return 200, {"id": seat}

    def release(self, headers, seat):
        self.holds.pop(headers["Saga-Compensates"], None)
        return 200, {}

    def charge(self, headers):
        charge = self.charges.setdefault(headers["Idempotency-Key"], {"id": f"ch-{len(self.charges) + 1}"})
        if self.lost_answers > 0:
            self.lost_answers -= 1
            return 504, {"error": "gateway"}
        return 200, charge

    def find_charge(self, headers, key):
        self.probed.append((key, headers["Saga-Probes"], headers["Idempotency-Key"]))
        return (200, self.charges[key]) if key in self.charges else (404, {"error": "NOT_CHARGED"})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_any(self):
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        status, body = self.server.answer(self.command, self.path, self.headers)
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = do_any

    def log_message(self, *_):
        pass


class Tutorial(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.framework = Framework()
        cls.addClassCleanup(cls.framework.shutdown)
        cls.world = World(definitions=[]).open()
        cls.addClassCleanup(cls.world.close)
        for service in ("hall", "bank", "mail"):
            cls.world.server.api("PUT", f"/v1/services/{service}", {"baseUrl": cls.framework.url})
        cls.world.server.register_text(json.dumps(tutorial_definition()))

    def buy(self, seat):
        saga_input = {"show": "hamlet", "seat": seat, "card": "tok-4242", "cents": 4200}
        saga = self.world.server.start_saga("tickets.buy", saga_input)[1]["id"]
        return self.world.server.ended(saga)

    def test_a_charge_whose_answers_are_lost_is_found_by_its_key(self):
        self.framework.lost_answers = 3
        saga = self.buy("a1")
        self.assertEqual(saga["status"], "COMPLETED", saga)
        self.assertEqual(step(saga, "charge")["attempts"], 3)
        self.assertEqual(len(self.framework.charges), 1)
        key = next(iter(self.framework.charges))
        self.assertEqual(self.framework.probed, [(key, key, None)])
        self.assertRegex(key, SAFE_KEY)


if __name__ == "__main__":
    unittest.main(verbosity=2)
