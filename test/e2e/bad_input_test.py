"""Bad input gets a clear refusal or a closed connection: never a crash, a hang or memory."""
import re
import resource
import socket
import time
import unittest

from support import World, harness, order

MEMORY_GROWTH_MAX_KB = 120 * 1024


def resident_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1])


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.server = cls.world.server
        cls.before = resident_kb(cls.server.process.pid)

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server died")
        self.assertEqual(self.server.api("GET", "/livez", timeout=10)[0], 200)
        self.assertLess(resident_kb(self.server.process.pid) - self.before, MEMORY_GROWTH_MAX_KB)

    def raw(self, data, seconds=15, half_close=False):
        """Sends bytes, returns everything that comes back until the server closes or stays silent."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=seconds) as connection:
            try:
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused while we were still talking: what it said is read below
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except OSError:
                pass
            return answer

    def code(self, body):
        status, answer, _ = self.server.api("POST", "/v1/definitions", body)
        return status, answer.get("code"), [f["code"] for f in answer.get("findings", [])]

    def test_json_that_must_not_pass_is_refused_with_its_own_code(self):
        for body, code in (("[" * 100_000, "json-too-deep"), ('{"a":' * 100_000, "json-too-deep"),
                           ('{"definition":"a\\u0000b"}', "json-nul"),
                           ('{"definition":"a","definition":"b"}', "json-duplicate-key"),
                           ('{"definition":18446744073709551616}', "json-integer-range"),
                           ('{"definition":', "json-syntax"), (b'{"definition":"\xff"}', "json-encoding")):
            status, answer, _ = self.server.api("POST", "/v1/sagas", body)
            self.assertEqual((status, answer["code"]), (400, code), str(body)[:40])

    def test_the_same_in_a_definition_is_a_finding(self):
        for body in ("[" * 100_000, '{"dsl":1,"name":"a\\u0000"}', '{"dsl":1,"dsl":1}', '{"version":18446744073709551616}'):
            status, code, findings = self.code(body)
            self.assertEqual((status, code, findings), (422, "definition-invalid", ["E001"]), body[:40])

    def test_malformed_http_is_400_or_closed(self):
        head = b"POST /v1/sagas HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for name, data in {
                "bad chunk size": head + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
                "huge chunk size": head + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n",
                "negative length": head + b"Content-Length: -5\r\n\r\n{}",
                "two lengths": head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
                "length and chunked": head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "chunked and length": head + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
                "no version": b"GET /livez\r\n\r\n",
                "binary": bytes(range(256)) * 4,
                "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100 + b"\r\n\r\n",
                "header without colon": b"GET /livez HTTP/1.1\r\nHost\r\n\r\n",
                "bad escape": b"GET /v1/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        }.items():
            with self.subTest(name):
                answer = self.raw(data, half_close=True)
                self.assertTrue(answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:80])

    def test_200_mb_of_headers_are_cut_off_early(self):
        sent = 0
        line = b"X-Filler: " + b"a" * 60_000 + b"\r\n"
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=15) as connection:
            try:
                connection.sendall(b"GET /livez HTTP/1.1\r\n")
                while sent < 200_000_000:
                    connection.sendall(line)
                    sent += len(line)
            except OSError:
                pass
        self.assertLess(sent, 20_000_000)

    def test_a_body_over_the_bound_is_413(self):
        head = b"POST /v1/sagas HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        self.assertIn(b" 413 ", self.raw(head + b"Content-Length: 2000000\r\n\r\n"))
        self.assertIn(b" 413 ", self.raw(head + b"Content-Length: 99999999999\r\n\r\n"))
        chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        self.assertIn(b" 413 ", self.raw(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40))

    def test_half_sent_requests_by_the_thousand_do_not_keep_others_out(self):
        connections = []
        # This process holds them all; an ordinary user's soft limit is 1,024 files.
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, limits[1]), limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        try:
            for _ in range(900):
                connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=10)
                connection.sendall(b"POST /v1/sagas HTTP/1.1\r\nHost: localhost\r\nContent-Le")
                connections.append(connection)
            self.assertEqual(self.server.api("GET", "/livez", timeout=10)[0], 200)
            status, body, _ = self.server.start_saga("orders.place", order("half"), wait="30s")
            self.assertEqual((status, body["status"]), (201, "COMPLETED"))
            for _ in range(600):
                connections.append(socket.create_connection(("127.0.0.1", self.server.port), timeout=10))
        finally:
            for connection in connections:
                connection.close()
        harness.wait_until(self.lives, 20, "the server to answer again")

    def lives(self):
        try:
            return self.server.api("GET", "/livez", timeout=5)[0] == 200
        except OSError:
            return False

    def test_a_request_that_never_ends_is_given_up(self):
        began = time.monotonic()
        answer = self.raw(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n", seconds=20)
        self.assertEqual(answer, b"")
        self.assertLess(time.monotonic() - began, 19)
        print(f"a half header was given up after {time.monotonic() - began:.1f} s")

    def test_pipelined_requests_are_answered_in_order(self):
        one = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
        data = b"".join(one % p for p in (b"livez", b"version", b"nothing", b"livez"))
        last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = self.raw(data + last)
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
        self.assertEqual(statuses, [b"200", b"200", b"404", b"200", b"200"])
        self.assertIn(b'"alive"', answer.split(b"HTTP/1.1")[1])
        self.assertIn(b'"backstitch"', answer.split(b"HTTP/1.1")[2])

    def test_ten_thousand_pipelined_requests_stay_bounded(self):
        data = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000
        answer = self.raw(data + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", seconds=60)
        self.assertGreater(answer.count(b"HTTP/1.1 200"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
