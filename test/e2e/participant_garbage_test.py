"""Whatever a participant answers, the outcome is one of the table and memory stays bounded."""
import gzip
import json
import socket
import threading
import unittest

from bad_input_test import resident_kb
from support import World, step


class Garbage:
    """A raw server that answers each path in its own wrong way."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65536)
                getattr(self, data.split(b" ")[1].split(b"/")[1].decode())(connection)
            except (OSError, IndexError):
                pass

    @staticmethod
    def noise(connection):
        connection.sendall(b"\x00\xff no http at all\r\n\r\n" * 100)

    @staticmethod
    def gigabyte(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(16_000):
            connection.sendall(b"a" * 65536)

    @staticmethod
    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"a" * 65536 + b"\r\n")

    @staticmethod
    def headers(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X-More: " + b"a" * 8000 + b"\r\n")

    @staticmethod
    def nojson(connection):
        connection.sendall(b"HTTP/1.1 409 No\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{oops")

    @staticmethod
    def gzip(connection):
        body = gzip.compress(b'{"code": "SOLD_OUT"}')
        connection.sendall(b"HTTP/1.1 409\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
                           b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)

    @staticmethod
    def latin(connection):
        connection.sendall(b"HTTP/1.1 409 Nein\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n"
                           b"Content-Length: 11\r\n\r\nAusverkauft"[:-1] + b"\xfc")

    @staticmethod
    def silence(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    def close(self):
        self.listener.close()


class ParticipantGarbage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.garbage = Garbage()
        cls.addClassCleanup(cls.garbage.close)
        cls.world.server.api("PUT", "/v1/services/garbage", {"baseUrl": cls.garbage.url})

    def run_against(self, path):
        definition = {"dsl": 1, "name": f"garbage.{path}", "version": 1,
                      "services": {"garbage": {"use": "garbage"}, "orders": {"use": "orders"}},
                      "steps": [{"name": "call", "action": {"service": "garbage", "http": f"PUT /{path}"},
                                 "retry": {"maxAttempts": 2, "delay": "10ms"}, "attemptTimeout": "2s",
                                 "compensation": {"service": "orders", "http": "DELETE /bench/undo"}}]}
        status, body, _ = self.world.server.api("POST", "/v1/definitions", json.dumps(definition))
        self.assertEqual(status, 201, body)
        saga = self.world.server.start_saga(f"garbage.{path}", {})[1]["id"]
        return self.world.server.ended(saga, 40)

    def test_an_answer_that_is_cut_short_or_is_not_http_is_an_unknown_outcome_that_is_undone(self):
        before = resident_kb(self.world.server.process.pid)
        for path in ("noise", "headers", "silence"):
            with self.subTest(path):
                saga = self.run_against(path)
                self.assertEqual(saga["status"], "FAILED", saga)
                self.assertEqual(step(saga, "call")["status"], "compensated")
                self.assertEqual(step(saga, "call")["attempts"], 2)
        self.assertLess(resident_kb(self.world.server.process.pid) - before, 60 * 1024)

    def test_an_answer_over_the_limit_is_judged_by_its_status(self):
        before = resident_kb(self.world.server.process.pid)
        for path in ("gigabyte", "endless"):
            with self.subTest(path):
                saga = self.run_against(path)
                self.assertEqual(saga["status"], "COMPLETED", saga)
                self.assertIsNone(step(saga, "call")["output"])
        self.assertLess(resident_kb(self.world.server.process.pid) - before, 60 * 1024)

    def test_a_refusal_whose_body_cannot_be_read_is_a_refusal(self):
        for path in ("nojson", "gzip", "latin"):
            with self.subTest(path):
                saga = self.run_against(path)
                self.assertEqual((saga["status"], saga["failure"]["code"]), ("FAILED", "HTTP_409"), saga)
                self.assertIn("its body is unreadable", saga["failure"]["message"])
                self.assertEqual((step(saga, "call")["status"], step(saga, "call")["attempts"]), ("failed", 1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
