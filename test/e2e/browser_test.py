"""What web pages can do to a server on loopback, over real sockets: nothing, unless they are allowed to."""
import json
import re
import socket
import subprocess
import tempfile
import unittest

from support import World, harness, order

ALLOWED = "https://console.example"


class Browser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        cls.addClassCleanup(config.close)
        config.write(f'allow-origin = ["http://localhost:3000", "{ALLOWED}"]\n')
        config.flush()
        cls.world = World(serve_arguments=["--host", "other.test", "--host", "saga.test", "--config", config.name]).open()
        cls.addClassCleanup(cls.world.close)
        cls.server = cls.world.server
        cls.own = f"localhost:{cls.server.port}"

    def send(self, method, target, headers, body=b""):
        """(status, headers in lower case, body) of a request that has exactly these headers."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "Connection: close"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=15) as connection:
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, content = answer.partition(b"\r\n\r\n")
        status, *rest = head.decode().split("\r\n")
        return int(status.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}, content.decode()

    def code(self, *request):
        status, headers, body = self.send(*request)
        return json.loads(body)["code"] if headers.get("content-type") == "application/problem+json" else status

    def sagas(self):
        return self.world.postgres.query("select count(*) from backstitch.sagas")

    def start(self, number):
        return json.dumps({"definition": "orders.place", "input": order(number)}).encode()

    def test_no_page_starts_a_saga(self):
        before = self.sagas()
        json_type = ("Content-Type", "application/json")
        for name, headers, code in (
                ("a form", [("Host", self.own), ("Origin", "http://evil.test"), ("Content-Type", "text/plain")], "origin-refused"),
                ("a form without origin", [("Host", self.own), ("Content-Type", "text/plain")], "content-type-unsupported"),
                ("a form of fields", [("Host", self.own), ("Content-Type", "application/x-www-form-urlencoded")],
                 "content-type-unsupported"),
                ("no type", [("Host", self.own)], "content-type-unsupported"),
                ("a script", [("Host", self.own), ("Origin", "http://evil.test"), json_type], "origin-refused"),
                ("another port", [("Host", self.own), ("Origin", "http://localhost:3001"), json_type], "origin-refused"),
                ("a sandboxed frame", [("Host", self.own), ("Origin", "null"), json_type], "origin-refused"),
                ("two origins", [("Host", self.own), ("Origin", f"http://{self.own}"), ("Origin", "http://evil.test"), json_type],
                 "origin-refused"),
                ("a rebound name", [("Host", f"evil.test:{self.server.port}"), ("Origin", f"http://evil.test:{self.server.port}"),
                                    json_type], "host-refused"),
                ("a rebound name without origin", [("Host", "evil.test"), json_type], "host-refused"),
                ("every address", [("Host", f"0.0.0.0:{self.server.port}"), json_type], "host-refused"),
                ("two hosts", [("Host", self.own), ("Host", "evil.test"), json_type], "host-invalid"),
                ("no host", [json_type], "host-invalid")):
            with self.subTest(name):
                self.assertEqual(self.code("POST", "/v1/sagas", headers, self.start("evil")), code)
        self.assertEqual(self.sagas(), before)

    def test_a_foreign_page_cannot_send_what_needs_no_body_either(self):
        saga = self.world.start("browser-1")
        headers = [("Host", self.own), ("Origin", "http://evil.test")]
        self.assertEqual(self.code("POST", f"/v1/sagas/{saga}/cancel", headers), "origin-refused")
        self.assertEqual(self.server.ended(saga)["status"], "COMPLETED")

    def test_programs_and_pages_of_the_server_are_served(self):
        for name, headers in (
                ("a program", [("Host", self.own), ("Content-Type", "application/json")]),
                ("a page of the server", [("Host", self.own), ("Origin", f"http://{self.own}"), ("Content-Type", "application/json")]),
                ("the name of --host", [("Host", "SAGA.test."), ("Content-Type", "application/json; charset=utf-8")]),
                ("IPv6", [("Host", f"[::1]:{self.server.port}"), ("Content-Type", "application/vnd.saga+json")])):
            with self.subTest(name):
                self.assertEqual(self.send("POST", "/v1/sagas", headers, self.start(f"good-{name}"))[0], 201)

    def test_an_absolute_target_names_the_host_in_the_place_of_the_header(self):
        self.assertEqual(self.code("GET", f"http://{self.own}/v1/sagas?limit=1", [("Host", self.own)]), 200)
        self.assertEqual(self.code("GET", "http://evil.test/v1/sagas", [("Host", "evil.test")]), "host-refused")
        self.assertEqual(self.code("GET", "http://evil.test/v1/sagas", [("Host", self.own)]), "host-refused")
        self.assertEqual(self.code("GET", f"http://{self.own}/v1/sagas?limit=1", [("Host", "evil.test")]), 200)
        self.assertEqual(self.code("GET", "http://user@localhost/v1/sagas", [("Host", "localhost")]), "target-invalid")

    def test_monitors_reach_the_probes_under_every_host(self):
        for path in ("/livez", "/readyz", "/metrics"):
            self.assertEqual(self.code("GET", path, [("Host", "10.1.2.3:8080")]), 200)
        self.assertEqual(self.code("GET", "/version", [("Host", "10.1.2.3:8080")]), "host-refused")

    def test_a_callback_may_have_every_content_type(self):
        for headers in ([("Host", self.own)], [("Host", self.own), ("Content-Type", "text/plain")]):
            self.assertEqual(self.code("POST", "/v1/callbacks/unknown", headers, b"{}"), "callback-unknown")

    def test_options_allows_nothing_to_pages_that_are_not_allowed(self):
        asks = [("Host", self.own), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")]
        for headers in (asks, [*asks, ("Origin", "http://evil.test")], [*asks, ("Origin", f"http://{self.own}")]):
            status, answered, _ = self.send("OPTIONS", "/v1/sagas", headers)
            self.assertIn(status, (403, 405))
            self.assertEqual([name for name in answered if name.startswith("access-control")], [])

    def test_an_allowed_page_asks_sends_and_reads(self):
        page = [("Host", self.own), ("Origin", ALLOWED)]
        status, headers, body = self.send("OPTIONS", "/v1/sagas", [*page, ("Access-Control-Request-Method", "POST")])
        self.assertEqual((status, body, headers["access-control-allow-origin"], headers["vary"]), (204, "", ALLOWED, "Origin"))
        self.assertIn("POST", headers["access-control-allow-methods"])
        for name in ("Authorization", "Content-Type", "Idempotency-Key"):
            self.assertIn(name, headers["access-control-allow-headers"])
        status, headers, _ = self.send("POST", "/v1/sagas", [*page, ("Content-Type", "application/json")], self.start("page"))
        self.assertEqual((status, headers["access-control-allow-origin"]), (201, ALLOWED))
        for target, status in (("/v1/nothing", 404), ("/v1/sagas?limit=0", 400)):
            answer = self.send("GET", target, page)
            self.assertEqual((answer[0], answer[1]["access-control-allow-origin"]), (status, ALLOWED))
        too_large = self.send("POST", "/v1/sagas", [*page, ("Content-Type", "application/json"), ("Expect", "100-continue")], b" " * 2_000_000)
        self.assertEqual((too_large[0], too_large[1]["access-control-allow-origin"]), (413, ALLOWED))

    def test_a_refusal_without_a_body_keeps_the_connection(self):
        request = f"GET /v1/sagas HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /livez HTTP/1.1\r\nHost: {self.own}\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=15) as connection:
            connection.sendall(request.encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        self.assertEqual(re.findall(rb"HTTP/1\.1 (\d+)", answer), [b"421", b"200"])

    def test_every_refusal_is_counted_by_its_code(self):
        def count():
            metrics = self.send("GET", "/metrics", [("Host", self.own)])[2]
            return int(re.search(r'backstitch_http_refusals_total\{code="host-refused"\} (\d+)', metrics)[1])
        before = count()
        self.code("GET", "/v1/sagas", [("Host", "evil.test")])
        self.assertEqual(count(), before + 1)

    def test_the_type_of_a_refusal_can_be_read(self):
        problem = json.loads(self.send("GET", "/v1/sagas", [("Host", "evil.test")])[2])
        status, headers, text = self.send("GET", problem["type"], [("Host", self.own)])
        self.assertEqual((status, headers["content-type"]), (200, "text/plain; charset=utf-8"))
        self.assertIn("--host NAME", text)

    def test_an_option_that_is_not_valid_ends_the_start_with_its_name(self):
        for arguments, words in ((["--host", "saga.test:7420"], "not a valid --host"),
                                 (["--allow-origin", "console.example"], "not a valid --allow-origin"),
                                 (["--allow-origin", "null"], "not a valid --allow-origin")):
            ended = subprocess.run([harness.PROGRAM, "serve", "--database", self.world.database, "--listen", "127.0.0.1:0", *arguments],
                                   capture_output=True, text=True, timeout=60)
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn(words, ended.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
