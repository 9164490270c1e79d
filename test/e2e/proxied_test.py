"""The listener as proxies, balancers and their health checks use it; its answers through a real nginx."""
import contextlib
import http.client
import http.server
import json
import signal
import subprocess
import unittest

from proxies import Nginx
from support import UNSYNCED_ARGUMENTS, harness

NGINX = """
  client_max_body_size 0;
  server { listen 127.0.0.1:%(buffering)d; location / { proxy_pass http://127.0.0.1:%(server)d; } }
  server { listen 127.0.0.1:%(streaming)d; location / {
    proxy_pass http://127.0.0.1:%(server)d; proxy_http_version 1.1; proxy_request_buffering off; } }
"""
MEGABYTE = 1024 * 1024
WAITS = {"dsl": 1, "name": "proxied.waits", "version": 1,
         "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h"}}]}
ENDS = {"dsl": 1, "name": "proxied.ends", "version": 1, "steps": [{"name": "v", "value": 1}]}
KEYED = {**ENDS, "name": "proxied.keyed", "input": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
         "businessKey": "${input.id}"}
PARENT = {"dsl": 1, "name": "proxied.parent", "version": 1,
          "steps": [{"name": "child", "saga": {"name": "proxied.ends", "input": {}}}]}


class Answer:
    """The last answer of a connection that the server ends, and all that came before it."""

    def __init__(self, received):
        self.received = received
        head, _, self.body = received.rpartition(b"\r\n\r\n")
        self.head = head[head.rindex(b"HTTP/1.1 "):].decode()
        self.status = int(self.head[9:12])
        self.json = json.loads(self.body) if self.body else None
        self.code = self.json.get("code") if self.json else None


class Proxied(unittest.TestCase):
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.postgres.__enter__()
        cls.addClassCleanup(cls.postgres.__exit__, None, None, None)
        cls.server = cls.serve(*cls.ARGUMENTS)
        for definition in (WAITS, ENDS, KEYED, PARENT):
            cls.server.register_text(json.dumps(definition))

    @classmethod
    def serve(cls, *arguments, node="node-a"):
        server = harness.Server(cls.postgres.url, arguments=[*UNSYNCED_ARGUMENTS, *arguments], node=node)
        server.__enter__()
        cls.addClassCleanup(server.__exit__, None, None, None)
        return server

    def connect(self, server=None):
        connection = http.client.socket.create_connection(("127.0.0.1", (server or self.server).port), timeout=60)
        self.addCleanup(connection.close)
        return connection

    def exchange(self, data, server=None):
        connection = self.connect(server)
        with contextlib.suppress(OSError):
            connection.sendall(data)
        with connection.makefile("rb") as stream:
            return Answer(stream.read())

    def ask(self, line, *fields, body=b"", server=None):
        """A request whose head begins with `line`, on a connection that ends with the answer."""
        return self.exchange("\r\n".join([line, *fields, "Connection: close", "", ""]).encode() + body, server)

    def post(self, path, body, *fields, version="1.1", server=None):
        return self.ask(f"POST {path} HTTP/{version}", "Host: localhost", "Content-Type: application/json",
                        f"Content-Length: {len(body)}", *fields, body=body, server=server)


class Targets(Proxied):
    def test_the_authority_of_an_absolute_target_is_judged_and_host_is_not(self):
        for target, host, status in (("http://localhost/v1/sagas", "localhost", 200), ("http://localhost:1/v1/sagas", "localhost", 200),
                                     ("HTTPS://localhost/v1/sagas", "evil.test", 200), ("http://localhost/v1/sagas?limit=1", "x", 200),
                                     ("http://evil.test/v1/sagas", "localhost", 421), ("http://evil.test/v1/sagas", "evil.test", 421),
                                     ("http:///v1/sagas", "localhost", 400), ("http://u@localhost/v1/sagas", "localhost", 400),
                                     ("http://localhost/v1/sagas", "a b", 400), ("ftp://localhost/v1/sagas", "localhost", 400)):
            with self.subTest(target=target, host=host):
                self.assertEqual(self.ask(f"GET {target} HTTP/1.1", f"Host: {host}").status, status)
        self.assertEqual(self.ask("GET http://localhost/v1/sagas HTTP/1.1").code, "host-invalid")
        self.assertEqual(self.ask("GET http://localhost/v1/sagas HTTP/1.0").status, 200)
        self.assertEqual(self.ask("GET http://evil.test/v1/sagas HTTP/1.0").status, 421)

    def test_health_checks_of_proxies_are_answered_like_readyz(self):
        ready = self.ask("GET /readyz HTTP/1.1", "Host: localhost")
        self.assertEqual(ready.status, 200)
        for line in ("OPTIONS / HTTP/1.0", "OPTIONS / HTTP/1.1", "OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.0",
                     "OPTIONS http://localhost HTTP/1.1", "HEAD / HTTP/1.0", "HEAD / HTTP/1.1", "GET /livez HTTP/1.0", "GET /readyz HTTP/1.0"):
            for host in ([] if line.endswith("1.0") else ["Host: 10.0.0.7:7420"]):
                with self.subTest(line=line):
                    answer = self.ask(line, *([host] if host else []))
                    self.assertEqual(answer.status, 200)
                    self.assertIn("application/json", answer.head)
                    if line.startswith("OPTIONS"):
                        self.assertEqual(answer.body, ready.body)
                    if line.startswith("HEAD"):
                        self.assertEqual(answer.body, b"")

    def test_without_a_host_http_1_0_gets_to_probes_only(self):
        for line, status in (("OPTIONS / HTTP/1.0", 200), ("HEAD / HTTP/1.0", 200), ("GET /livez HTTP/1.0", 200),
                             ("GET /readyz HTTP/1.0", 200), ("GET /v1/sagas HTTP/1.0", 400), ("GET /version HTTP/1.0", 400),
                             ("OPTIONS /v1/sagas HTTP/1.0", 400)):
            with self.subTest(line=line):
                self.assertEqual(self.ask(line).status, status)

    def test_a_page_of_another_origin_may_not_ask_by_options(self):
        self.assertEqual(self.ask("OPTIONS / HTTP/1.1", "Host: localhost", "Origin: http://evil.test").code, "origin-refused")

    def test_other_methods_and_targets_stay_errors(self):
        for line, status, code in (("GET / HTTP/1.1", 405, "method-not-allowed"), ("OPTIONS /v1/sagas HTTP/1.1", 405, "method-not-allowed"),
                                   ("GET * HTTP/1.1", 400, "target-invalid"), ("CONNECT localhost:80 HTTP/1.1", 400, "target-invalid"),
                                   ("HEAD /v1/definitions/proxied.ends/versions/1 HTTP/1.1", 200, None),
                                   ("HEAD /v1/sagas HTTP/1.1", 200, None), ("HEAD /v1/nothing HTTP/1.1", 404, None)):
            with self.subTest(line=line):
                answer = self.ask(line, "Host: localhost")
                self.assertEqual((answer.status, answer.code), (status, code))


class Versions(Proxied):
    BODY = json.dumps({"definition": "proxied.ends", "input": {}}).encode()

    def test_http_2_is_refused_in_words(self):
        for data in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /livez HTTP/2.0\r\nHost: localhost\r\n\r\n"):
            answer = self.exchange(data)
            self.assertEqual((answer.status, answer.code), (505, "http-version-unsupported"))
            self.assertIn("HTTP/1.1", answer.json["detail"])
            self.assertIn("Connection: close", answer.head)

    def test_an_offer_of_h2c_is_not_taken_and_the_request_is_answered(self):
        # Java's HTTP client makes the offer with every first request.
        answer = self.ask("GET /v1/sagas HTTP/1.1", "Host: localhost", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                          "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("101", answer.received.decode()[:20])

    def test_only_http_1_1_is_told_to_continue(self):
        for version, told in (("1.1", True), ("1.0", False)):
            answer = self.post("/v1/sagas", self.BODY, "Expect: 100-continue", version=version)
            self.assertEqual(answer.status, 201)
            self.assertEqual(answer.received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"), told)

    def test_the_place_of_a_saga_is_relative(self):
        answer = self.ask("POST http://localhost:1/v1/sagas HTTP/1.1", "Host: saga.example", "Content-Type: application/json",
                          f"Content-Length: {len(self.BODY)}", body=self.BODY)
        self.assertEqual(answer.status, 201)
        self.assertIn(f"\r\nLocation: /v1/sagas/{answer.json['id']}\r\n", answer.head)


class Bodies(Proxied):
    def test_a_compressed_body_is_415(self):
        for path in ("/v1/sagas", "/v1/sagas/batch", "/v1/definitions", "/v1/callbacks/x"):
            answer = self.post(path, b"\x1f\x8b" * 100, "Content-Encoding: gzip")
            self.assertEqual((answer.status, answer.code), (415, "content-encoding-unsupported"))
            self.assertIn("\r\nAccept-Encoding: identity", answer.head)

    def test_the_refusal_of_a_large_body_arrives_however_much_of_it_is_sent(self):
        for size in (2 * MEGABYTE, 30 * MEGABYTE):
            answer = self.post("/v1/sagas", b" " * size)
            self.assertEqual((answer.status, answer.code), (413, "body-too-large"))
            self.assertIn("Connection: close", answer.head)
        chunks = b"100000\r\n" + b" " * MEGABYTE + b"\r\n"
        answer = self.ask("POST /v1/sagas HTTP/1.1", "Host: localhost", "Content-Type: application/json", "Transfer-Encoding: chunked",
                          body=chunks * 20 + b"0\r\n\r\n")
        self.assertEqual((answer.status, answer.code), (413, "body-too-large"))

    @unittest.skipIf(Nginx.why_not(), Nginx.why_not())
    def test_a_proxy_passes_the_refusal_of_a_large_body_on(self):
        for url in self.proxies():
            for path, size in (("/v1/sagas", 2 * MEGABYTE), ("/v1/sagas", 30 * MEGABYTE), ("/v1/sagas/batch", 40 * MEGABYTE)):
                for _ in range(5):
                    with self.subTest(url=url, path=path, size=size):
                        status, body, _ = harness.request(url, "POST", path, b" " * size)
                        self.assertEqual((status, body["code"]), (413, "body-too-large"))

    def proxies(self):
        """The addresses of an nginx that stores a request before it passes it on, and of one that does not."""
        ports = {"buffering": harness.free_port(), "streaming": harness.free_port()}
        urls = [f"http://127.0.0.1:{port}" for port in ports.values()]
        self.enterContext(Nginx(NGINX % {**ports, "server": self.server.port}, urls[0]))
        return urls


class Bounds(Proxied):
    ARGUMENTS = ("--idle-timeout", "1s", "--header-max", "20000")

    def test_a_header_has_16_kib_unless_stated(self):
        usual = self.serve(node="usual")
        for server, taken, refused in ((usual, 15_000, 17_000), (self.server, 19_000, 21_000)):
            self.assertEqual(self.ask("GET /v1/sagas HTTP/1.1", "Host: localhost", "X: " + "x" * taken, server=server).status, 200)
            self.assertEqual(self.ask("GET /v1/sagas HTTP/1.1", "Host: localhost", "X: " + "x" * refused, server=server).status, 431)

    def test_a_connection_is_closed_after_the_idle_timeout(self):
        connection = self.connect()
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with connection.makefile("rb") as stream:
            received = stream.read()  # to the end
        self.assertTrue(received.startswith(b"HTTP/1.1 200"))
        self.assertNotIn(b"Connection: close", received)

    def test_bounds_that_make_no_sense_are_misuse(self):
        for option, value in (("--idle-timeout", "0s"), ("--idle-timeout", "soon"), ("--header-max", "10"), ("--header-max", "16KiB")):
            done = subprocess.run([harness.PROGRAM, "serve", "--database", self.postgres.url, option, value], capture_output=True,
                                  text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(option, done.stderr)


class Draining(Proxied):
    def test_the_last_answer_of_a_server_that_stops_says_so(self):
        body = json.dumps({"definition": "proxied.waits", "input": {}}).encode()
        waiting, idle = self.connect(), self.connect()
        waiting.sendall(b"POST /v1/sagas?wait=60s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body) + body)
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with idle.makefile("rb") as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
        self.assertNotIn(b"Connection: close", head)
        harness.wait_until(lambda: self.server.api("GET", "/v1/sagas?definition=proxied.waits")[1]["sagas"], what="the saga")
        self.server.process.send_signal(signal.SIGTERM)
        with waiting.makefile("rb") as stream:
            answer = Answer(stream.read())
        self.assertEqual((answer.status, answer.json["status"]), (201, "RUNNING"))
        self.assertIn("\r\nConnection: close\r\n", answer.head + "\r\n")


class Callbacks(Proxied):
    def test_a_callback_url_may_end_with_a_slash(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            urls = []

            def do_POST(self):
                self.urls.append(self.headers["Saga-Callback"])
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        participant = harness.HttpService()
        participant.serve(Handler)
        self.addCleanup(participant.stop)
        port = harness.free_port()
        server = harness.Server(self.postgres.url, port=port, node="callbacks", arguments=[
            *UNSYNCED_ARGUMENTS, "--callback-url", f"http://127.0.0.1:{port}//"])
        server.__enter__()
        self.addCleanup(server.__exit__, None, None, None)
        server.register_text(json.dumps({
            "dsl": 1, "name": "proxied.calls", "version": 1, "services": {"s": {"baseUrl": participant.url}},
            "steps": [{"name": "a", "action": {"service": "s", "http": "POST /a"}, "compensation": "none",
                       "completion": {"callback": True, "timeout": "1h"}}]}))
        saga = server.start_saga("proxied.calls", {})[1]["id"]
        harness.wait_until(lambda: Handler.urls, what="the call")
        base, _, token = Handler.urls[0].partition("/v1/callbacks/")
        self.assertEqual(base, f"http://127.0.0.1:{port}")
        status, body, _ = server.api("POST", f"/v1/callbacks/{token}", {"ok": True})
        self.assertLess(status, 300, body)
        self.assertEqual(server.ended(saga)["status"], "COMPLETED")


class Keys(Proxied):
    ARGUMENTS = ("--require-keys",)

    def start(self, name, *fields, **members):
        return self.post("/v1/sagas", json.dumps({"definition": name, "input": {}, **members}).encode(), *fields)

    def test_a_start_needs_an_idempotency_key_or_a_business_key(self):
        refused = self.start("proxied.ends")
        self.assertEqual((refused.status, refused.code), (400, "key-required"))
        self.assertIn("Idempotency-Key", refused.json["detail"])
        for answer in (self.start("proxied.ends", "Idempotency-Key: k"), self.start("proxied.ends", businessKey="b"),
                       self.start("proxied.keyed", input={"id": "1"})):
            self.assertEqual(answer.status, 201, answer.json)
        again = self.start("proxied.ends", "Idempotency-Key: k")
        self.assertEqual(again.status, 200)

    def test_a_start_of_a_batch_needs_a_key_of_its_own(self):
        sagas = [{"definition": "proxied.ends", "input": {}}, {"definition": "proxied.ends", "input": {}, "idempotencyKey": "k2"},
                 {"definition": "proxied.ends", "input": {}, "businessKey": "b2"}]
        answer = self.post("/v1/sagas/batch", json.dumps({"sagas": sagas}).encode(), "Idempotency-Key: of-the-request")
        self.assertEqual([result["status"] for result in answer.json["results"]], [400, 201, 201])
        self.assertEqual(answer.json["results"][0]["code"], "key-required")

    def test_sub_sagas_starts_by_sql_and_the_command_line_go_on_as_they_are(self):
        parent = self.start("proxied.parent", "Idempotency-Key: parent")
        self.assertEqual(self.server.ended(parent.json["id"])["status"], "COMPLETED")
        by_sql = self.postgres.query("select backstitch.start_saga('proxied.ends', '{}')")
        harness.wait_until(lambda: self.server.api("GET", f"/v1/sagas/{by_sql}")[0] == 200, what="the start to be taken up")
        self.assertEqual(self.server.ended(by_sql)["status"], "COMPLETED")
        done = self.server.cli("start", "proxied.ends", "--input", "{}")
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
