#!/usr/bin/env python3
"""The proxy does to connections what its modes say, and knows an append by the bytes alone."""
import socket
import struct
import threading
import unittest

from links import Links
from proxy import Backend, Frontend


def message(kind, body):
    return kind.encode() + struct.pack("!i", len(body) + 4) + body


STARTUP = struct.pack("!ii", 8, 80877103) + struct.pack("!ii", 16, 196608) + b"user\0x\0\0"
PARSE = message("P", b"s1\0select item from backstitch.append_batch($1)\0\0\0")
BIND = message("B", b"\0s1\0" + b"x" * 3000)
OTHER = message("P", b"s2\0select 1\0\0\0") + message("B", b"\0s2\0\0\0")


class Wire(unittest.TestCase):
    def test_an_append_is_seen_however_the_stream_is_cut_into_pieces(self):
        stream = STARTUP + OTHER + PARSE + BIND + OTHER + BIND
        for size in (1, 2, 7, 100, len(stream)):
            with self.subTest(size=size):
                frontend = Frontend()
                pieces = [stream[at:at + size] for at in range(0, len(stream), size)]
                self.assertEqual(sum(frontend.appends(piece) for piece in pieces), 2)

    def test_the_end_of_an_answer_is_seen_however_the_stream_is_cut_into_pieces(self):
        stream = message("2", b"") + message("D", b"Z" * 300) + message("C", b"SELECT 0\0") + message("Z", b"I")
        for size in (1, 2, 7, len(stream)):
            with self.subTest(size=size):
                backend = Backend()
                pieces = [stream[at:at + size] for at in range(0, len(stream), size)]
                seen = [backend.ready(piece) for piece in pieces]
                self.assertEqual((sum(seen), sum(seen[:-6 // size - 1])), (1, 0))


class Echo:
    """Sends back what it gets; `answer` instead if there is one."""

    def __init__(self, answer=None):
        self.answer, self.received = answer, b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = list(self.listener.getsockname())
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer:
            try:
                while data := peer.recv(65536):
                    self.received += data
                    peer.sendall(self.answer or data)
            except OSError:
                pass


class Modes(unittest.TestCase):
    def setUp(self):
        self.links = Links()
        self.links.__enter__()
        self.addCleanup(self.links.__exit__, None, None, None)

    def open(self, answer=None, **more):
        self.echo = Echo(answer)
        self.addCleanup(self.echo.listener.close)
        self.port = self.links.open("link", self.echo.address, **more)

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), 5)
        self.addCleanup(client.close)
        return client

    def said(self, client, data=b"hello"):
        client.sendall(data)
        return client.recv(65536)

    def assert_silent(self, client):
        client.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            client.recv(1)
        client.settimeout(5)

    def assert_reset(self, client):
        with self.assertRaises(ConnectionResetError):
            while client.recv(65536):
                pass

    def test_it_passes_on_both_ways(self):
        self.open()
        self.assertEqual(self.said(self.connect()), b"hello")

    def test_a_black_hole_keeps_the_connection_and_what_is_on_its_way(self):
        self.open()
        client = self.connect()
        self.said(client)
        self.links.set("link", "black-hole")
        client.sendall(b"late")
        newcomer = self.connect()
        newcomer.sendall(b"new")
        self.assert_silent(client)
        self.assert_silent(newcomer)
        self.assertNotIn(b"late", self.echo.received)
        self.links.set("link", "pass")
        self.assertEqual((client.recv(10), newcomer.recv(10)), (b"late", b"new"))

    def test_a_reset_ends_connections_and_whoever_comes(self):
        self.open()
        client = self.connect()
        self.said(client)
        self.links.set("link", "reset")
        self.assert_reset(client)
        with self.assertRaises(ConnectionResetError):
            # The reset may be there before connect() itself has returned.
            self.connect().recv(1)
        self.links.set("link", "pass")
        self.assertEqual(self.said(self.connect()), b"hello")

    def test_a_half_open_connection_is_silent_until_the_fault_ends(self):
        self.open()
        client = self.connect()
        self.said(client)
        self.links.set("link", "half-open", hangs="client")
        client.sendall(b"gone")
        self.assert_silent(client)
        self.assertEqual(self.said(self.connect()), b"hello")
        self.links.set("link", "pass")
        self.assert_reset(client)
        self.assertNotIn(b"gone", self.echo.received)

    def test_a_cut_swallows_the_answer_to_a_committed_append_and_no_other(self):
        self.open(message("C", b"SELECT 0\0") + message("Z", b"I"), postgres=True)
        client = self.connect()
        self.links.set("link", "cut", count=1)
        self.assertIn(b"SELECT", self.said(client, STARTUP + OTHER))
        client.sendall(PARSE + BIND)
        self.assert_reset(client)
        self.assertTrue(self.echo.received.endswith(BIND))
        self.assertEqual(self.links.stats()["link"]["cuts"], 1)
        second = self.connect()
        self.assertIn(b"SELECT", self.said(second, STARTUP + PARSE + BIND))


if __name__ == "__main__":
    unittest.main(verbosity=2)
