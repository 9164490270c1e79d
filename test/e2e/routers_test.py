"""No value that a path is made of reaches a route that the definition does not name: behind a real nginx and Flask."""
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from proxies import Nginx
from support import World, harness

HERE = os.path.dirname(os.path.abspath(__file__))
# Debian's package is for Debian's interpreter.
PYTHON = next((python for python in (sys.executable, "/usr/bin/python3") if os.path.exists(python) and subprocess.run(
    [python, "-c", "import flask"], capture_output=True).returncode == 0), None)

# The usual form: with a path, for which nginx decodes and normalizes what it passes on.
NGINX = """
  server {
    listen 127.0.0.1:%(port)d;
    location /shop/ { proxy_pass http://127.0.0.1:%(flask)d/; }
    location /raw/ { proxy_pass http://127.0.0.1:%(flask)d; }
    location / { proxy_pass http://127.0.0.1:%(flask)d/admin/; }
  }
"""
# Each arrives as it is.
HARMLESS = ["a", "ä", "a b", " a ", "a?b=c", "a#b", "a;b", "a&b=c", "a+b", "%", "%zz", "...", ".hidden", "~", "a@b:c", "*", "a%41",
            "a" * 300, "%25", "€", "http:", "a'\"<b>"]
HOSTILE = ["", ".", "..", " ", "../admin/x", "..%2fadmin", "%2e", "%2e%2e", "%2E%2E%2Fadmin", "%252e%252e", "%252e%252e%252fadmin",
           "a/../../admin/x", "a%2f..%2f..%2fadmin", "a%252f..%252fadmin", "..\\admin", "..%5cadmin", "a/", "/", "/admin", "//admin/x",
           "%2fadmin", "a//b", "http://x/admin", "a\nb", "a\r\nHost: x", "a%0d%0aHost: x", "a%00b", "%00", "\u007f", "..%00", "..;",
           ";/../admin", "%c0%ae%c0%ae", "%c0%ae%c0%ae/admin", "..%c0%af", "%u002e%u002e", "．．", "．．/admin", "‥", "%25252e%25252e",
           "/..", "../", "./", "?", "#", "..?", "..#", "a/parts", "parts"]
# By definition: the request, and what of it reaches which route.
REQUESTS = {
    "item": ("PUT /items/${input.v}", "item", lambda v: {"item": v}),
    "prefixed": ("PUT /items/a${input.v}", "item", lambda v: {"item": "a" + v}),
    "suffixed": ("PUT /items/${input.v}b", "item", lambda v: {"item": v + "b"}),
    "part": ("PUT /items/i/parts/${input.v}", "part", lambda v: {"item": "i", "part": v}),
    "above": ("PUT /items/${input.v}/parts/p", "part", lambda v: {"item": v, "part": "p"}),
    "twice": ("PUT /items/${input.v}${input.v}", "item", lambda v: {"item": v + v}),
    "path": ("PUT /files/${path(input.v)}", "file", lambda v: {"name": v}),
    "query": ("PUT /items?name=${input.v}", "collection", lambda v: {}),
}


def definition(base, name):
    return {"dsl": 1, "name": f"{base}.{name}", "version": 1,
            "input": {"type": "object", "required": ["v"], "properties": {"v": {"type": "string"}}},
            "services": {"s": {"use": base}},
            "steps": [{"name": "send", "action": {"service": "s", "http": REQUESTS[name][0]}, "retry": {"maxAttempts": 1},
                       "compensation": "none"}]}


@unittest.skipIf(Nginx.why_not(), Nginx.why_not())
@unittest.skipUnless(PYTHON, "Flask is not installed: apt-get install python3-flask")
class Routers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.seen = os.path.join(cls.folder, "seen")
        flask = subprocess.Popen([PYTHON, os.path.join(HERE, "router_app.py"), cls.seen], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(flask.stdout.close)
        cls.addClassCleanup(harness.stop_process, flask)
        flask_port = int(flask.stdout.readline())
        port = harness.free_port()
        cls.enterClassContext(Nginx(NGINX % {"port": port, "flask": flask_port}, f"http://127.0.0.1:{port}"))
        cls.bases = {"flask": f"http://127.0.0.1:{flask_port}", "nginx": f"http://127.0.0.1:{port}/shop"}
        cls.world = World(definitions=()).open()
        cls.addClassCleanup(cls.world.close)
        for base, url in cls.bases.items():
            status, body, _ = cls.world.server.api("PUT", f"/v1/services/{base}", {"baseUrl": url})
            assert status == 201, body
            for name in REQUESTS:
                cls.world.server.register_text(json.dumps(definition(base, name)))

    def listed(self, query):
        """Every saga of that list, by id."""
        sagas, cursor = {}, ""
        while cursor is not None:
            _, body, _ = self.world.server.api("GET", f"/v1/sagas?limit=500&{query}" + (f"&cursor={cursor}" if cursor else ""))
            sagas.update((saga["id"], saga) for saga in body["sagas"])
            cursor = body["cursor"]
        return sagas

    def ended(self):
        """Every saga, once all have ended."""
        harness.wait_until(lambda: not self.listed("status=RUNNING&status=COMPENSATING"), 60, "every saga to end", 0.2)
        return self.listed("")

    def requests(self):
        with open(self.seen, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def check(self, base):
        values = HARMLESS + HOSTILE
        starts = [{"definition": f"{base}.{name}", "input": {"v": value}} for name in REQUESTS for value in values]
        status, body, _ = self.world.server.api("POST", "/v1/sagas/batch", {"sagas": starts})
        self.assertEqual(status, 200, body)
        started = {result["id"]: start for result, start in zip(body["results"], starts)}
        self.assertEqual(len(started), len(starts))
        states = self.ended()
        reached = {}
        for request in self.requests():
            if request["saga"] in started:
                reached.setdefault(request["saga"], []).append(request)
        for saga, start in started.items():
            name, value = start["definition"].split(".")[1], start["input"]["v"]
            _, route, arguments = REQUESTS[name]
            with self.subTest(base=base, request=name, value=value):
                for request in reached.get(saga, []):
                    self.assertEqual((request["route"], request["arguments"]), (route, arguments(value)))
                    self.assertEqual(request["query"], {"name": [value]} if name == "query" else {})
                if value in HARMLESS:
                    self.assertEqual(states[saga]["status"], "COMPLETED", states[saga]["failure"])
                elif saga not in reached and states[saga]["failure"]["code"] != "EXPRESSION_FAILED":
                    # A router may refuse what the engine lets through; nothing has reached a route then.
                    self.assertRegex(states[saga]["failure"]["code"], "^HTTP_4")

    def test_the_routers_themselves_leave_a_segment(self):
        """Else the other tests would prove nothing."""
        for base, path in (("nginx", "/items/..%2f..%2fadmin/x"), ("nginx", "/items/%2e%2e/%2e%2e/admin/x"), ("nginx", "/../admin/x")):
            url = self.bases[base]
            connection = http.client.HTTPConnection(url.removeprefix("http://").split("/")[0])
            with self.subTest(base=base, path=path):
                connection.request("PUT", "/shop" + path, headers={"Saga-Id": path})
                connection.getresponse().read()
                self.assertEqual([seen["route"] for seen in self.requests() if seen["saga"] == path], ["admin"])
            connection.close()

    def test_flask_finds_the_route_that_the_definition_names(self):
        self.check("flask")

    def test_nginx_before_flask_finds_the_route_that_the_definition_names(self):
        self.check("nginx")


if __name__ == "__main__":
    harness.require_build()
    unittest.main(verbosity=2)
