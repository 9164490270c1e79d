"""Callers that wait for the end of a saga: those that leave keep nothing, and a server that stops answers the others."""
import json
import signal
import socket
import threading
import unittest
import urllib.parse

from support import World, harness

WAITS = {"dsl": 1, "name": "waits.long", "version": 1, "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h"}}]}
BODY = json.dumps({"definition": "waits.long", "input": {}})
CALLERS = 990


def waiting_caller(url):
    """A start that waits for a minute, sent on a connection of its own."""
    parts = urllib.parse.urlsplit(url)
    caller = socket.create_connection((parts.hostname, parts.port), timeout=60)
    caller.sendall((f"POST /v1/sagas?wait=60s HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(BODY)}\r\n\r\n{BODY}").encode())
    return caller


class Waiting(unittest.TestCase):
    def setUp(self):
        # All callers have one address, of which as many connections are taken as in all.
        self.world = World(["--proxy", "127.0.0.1"]).open()
        self.addCleanup(self.world.close)
        self.server = self.world.server
        self.server.register_text(json.dumps(WAITS))

    def is_alive(self):
        """Over its bound of connections the server closes new ones."""
        try:
            return self.server.api("GET", "/livez")[0] == 200
        except OSError:
            return False

    def running(self):
        return len(self.server.api("GET", "/v1/sagas?definition=waits.long&limit=500")[1]["sagas"])

    def test_callers_that_left_keep_no_connection(self):
        callers = [waiting_caller(self.server.url) for _ in range(CALLERS)]
        harness.wait_until(lambda: self.running() >= 500, 60, "the sagas to be started")
        for caller in callers:
            caller.close()
        # As many again: each needs a connection that those before have given back.
        harness.wait_until(self.is_alive, 10, "/livez to answer")
        again = [waiting_caller(self.server.url) for _ in range(CALLERS // 2)]
        self.addCleanup(lambda: [caller.close() for caller in again])
        harness.wait_until(self.is_alive, 10, "/livez to answer")

    def test_a_caller_that_half_closes_gets_the_saga_as_it_is(self):
        caller = waiting_caller(self.server.url)
        self.addCleanup(caller.close)
        harness.wait_until(lambda: self.running() == 1, 30, "the saga to be started")
        caller.shutdown(socket.SHUT_WR)
        answer = caller.makefile("rb").read().decode()
        self.assertIn("201 Created", answer)
        self.assertIn('"status":"RUNNING"', answer)

    def test_a_server_that_stops_answers_whoever_waits_and_refuses_others(self):
        answers = []

        def start():
            answers.append(self.server.start_saga("waits.long", {}, wait="60s"))

        callers = [threading.Thread(target=start) for _ in range(20)]
        for caller in callers:
            caller.start()
        harness.wait_until(lambda: self.running() == 20, 30, "the sagas to be started")
        self.server.process.send_signal(signal.SIGTERM)
        for caller in callers:
            caller.join(30)
        self.assertEqual(0, self.server.process.wait(60))
        self.assertEqual([201] * 20, [status for status, _, _ in answers])
        self.assertEqual({"RUNNING"}, {saga["status"] for _, saga, _ in answers})


if __name__ == "__main__":
    unittest.main()
