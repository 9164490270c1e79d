#!/usr/bin/env python3
"""What W1 loses beside sagas whose service serves 25 calls a second, against a second store without them.

    python3 bench/slow_neighbour.py [--sagas N] [--seconds S] [--runs R] [--json FILE]

All N slow sagas are started at once and wait in the node's queue for their service. Runs alternate between the stores, because the
speed of a machine drifts; printed are medians, their ratio, and what became of the slow sagas.
"""
import argparse
import http.server
import json
import os
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import beside  # noqa: E402  (also makes the harness known)
import harness  # noqa: E402

CALLS_PER_SECOND = 25


class SlowService(harness.HttpService):
    """Serves one call after another, however many come."""

    def __init__(self):
        service = self
        self.turn, self.served = threading.Lock(), 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with service.turn:
                    time.sleep(1 / CALLS_PER_SECOND)
                    service.served += 1
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_DELETE = do_PUT

            def log_message(self, *_):
                pass

        self.serve(Handler)


def definition(url):
    return json.dumps({
        "dsl": 1, "name": "bench.slow", "version": 1, "services": {"slow": {"baseUrl": url}},
        "steps": [{"name": "wait", "action": {"service": "slow", "http": "PUT /work/${saga.root}"},
                   "compensation": {"http": "DELETE /work/${saga.root}"}}]})


def start(server, sagas):
    for first in range(0, sagas, 500):
        batch = [{"definition": "bench.slow", "input": {}} for _ in range(first, min(first + 500, sagas))]
        status, body, _ = server.api("POST", "/v1/sagas/batch", {"sagas": batch})
        assert status in (200, 201), body


def measure(options, store, reference, slow):
    store.server.register_text(definition(slow.url))
    for either in store, reference:
        either.w1(options.seconds)  # warm
    start(store.server, options.sagas)
    rates, others = beside.in_turn(options, store, reference)
    ends = dict(line.split("|") for line in store.postgres.query(
        "select status, count(*) from backstitch.saga where definition = 'bench.slow' group by 1").splitlines())
    rate, other = statistics.median(rates), statistics.median(others)
    print(f"beside {options.sagas} sagas at {CALLS_PER_SECOND} calls a second  {rate:7.0f} of {other:7.0f} sagas/s  "
          f"{100 * rate / other:5.1f} %; {slow.served} calls served; {json.dumps(ends)}")
    return {"sagasPerSecond": rates, "without": others, "share": round(rate / other, 3), "served": slow.served, "ends": ends}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sagas", type=int, default=2_000)
    slow = SlowService()
    try:
        beside.compare(parser, lambda *stores: measure(*stores, slow))
    finally:
        slow.stop()


if __name__ == "__main__":
    main()
