"""The participants of the order saga, as the real program on free ports.

Run it from the root: python3 test/e2e/order_participants_test.py
BACKSTITCH_BUILD names the build directory (default: build).
"""
import json
import pathlib
import re
import shutil
import socket
import tempfile
import threading
import unittest
from urllib.parse import quote

from participants import DEADLINE_SECONDS, OneProgram, Participants, Promises, run


class KeysAndUndo(Promises, OneProgram):
    ENDPOINTS = [  # service, action, undo
        ("orders", "PUT /orders/o1", "POST /orders/o1/reject"),
        ("orders", "PUT /coupons/C/redemptions/o1", "DELETE /coupons/C/redemptions/o1"),
        ("inventory", "PUT /reservations/o1", "DELETE /reservations/o1"),
        ("payments", "POST /authorisations", "POST /authorisations/au-1/void"),
    ]
    FINAL = [
        ("orders", "PUT /orders/o1/state"),
        ("shipping", "PUT /shipments/o1"),
        ("mail", "POST /messages"),
    ]

    def test_each_service_has_keys_of_its_own(self):
        self.all.undo("orders", "POST /orders/o1/reject", "k")
        self.assertEqual(self.all.act("inventory", "PUT /reservations/o1", "k")[0], 200)

    def test_a_request_without_its_key_is_refused_and_does_nothing(self):
        self.assertEqual(self.all.call("orders", "PUT /orders/o1")[0], 400)
        without_action = {"Idempotency-Key": "k"}
        self.assertEqual(
            self.all.call("orders", "POST /orders/o1/reject", without_action)[0], 400)
        self.assertEqual(self.all.ledger(), [])

    def test_an_unknown_endpoint_is_not_found(self):
        for service, request in [
                ("orders", "PUT /nothing"), ("orders", "PUT /reservations/o1"),
                ("orders", "PUT /orders/"), ("orders", "PUT /orders/a/b/c"),
                ("mail", "GET /messages")]:
            with self.subTest(request):
                self.assertEqual(self.all.act(service, request, "k")[0], 404)

    def test_the_ledger_tells_who_asked_for_what(self):
        of = {"saga": "s7", "step": "reserveStock"}
        self.all.act("inventory", "PUT /reservations/o1", "k1", **of, attempt=3)
        self.all.undo("inventory", "DELETE /reservations/o1", "k1", **of)
        self.all.act("mail", "POST /messages", "k2", saga="s8")
        done, undone = self.all.ledger("s7")
        self.assertEqual(done, done | {
            "seq": 1, "service": "inventory", "saga": "s7", "step": "reserveStock",
            "phase": "forward", "key": "k1", "compensates": "", "attempt": 3, "effect": "done"})
        self.assertEqual(undone, undone | {
            "seq": 2, "phase": "compensate", "key": "k1-undo", "compensates": "k1",
            "attempt": 1, "effect": "undone"})

    def test_benchmark_endpoints_answer_on_every_port_and_leave_no_record(self):
        for service in self.all.urls:
            self.assertEqual(self.all.act(service, "PUT /bench/1", "k"), (200, {"ok": True}))
            self.assertEqual(self.all.undo(service, "DELETE /bench/1", "k"), (200, {"ok": True}))
            self.assertEqual(self.all.act(service, "PUT /bench-refuse/1", "k")[0], 409)
            self.assertGreaterEqual(self.all.call(service, "GET /stats")[1][service]["bench"], 3)
        self.assertEqual(self.all.ledger(), [])


class Payments(OneProgram):
    KEY = "saga/step:1 é"

    def probe(self, key=KEY):
        path = "/authorisations/by-key/" + quote(key, safe="")
        return self.all.act("payments", "GET " + path, "p", phase="probe")

    def authorise(self, key=KEY):
        return self.all.act("payments", "POST /authorisations", key.encode(), step="authorise")

    def test_a_probe_finds_an_authorisation_by_its_key(self):
        _, authorised = self.authorise()
        self.assertEqual(self.probe(), (200, authorised))

    def test_a_probe_that_finds_nothing_closes_the_key_for_ever(self):
        self.assertEqual(self.probe()[0], 404)
        self.assertEqual(self.authorise()[0], 409)
        self.assertEqual(self.probe()[0], 404)
        self.assertEqual(self.all.outcomes(), ["closed", "refused", "replayed"])
        self.assertEqual(self.all.codes(), [])

    def test_money_is_taken_once_from_an_authorisation_that_stands(self):
        _, authorised = self.authorise()
        capture = f"POST /authorisations/{authorised['id']}/capture"
        status, receipt = self.all.act("payments", capture, "c")
        self.assertEqual((status, list(receipt)), (200, ["receiptNo"]))
        self.assertEqual(self.all.act("payments", capture, "c"), (200, receipt))
        self.assertEqual(self.all.outcomes(), ["done", "captured", "replayed"])

    def test_no_money_is_taken_from_a_voided_or_unknown_authorisation(self):
        _, authorised = self.authorise("k")
        authorisation = f"POST /authorisations/{authorised['id']}"
        self.all.undo("payments", authorisation + "/void", "k")
        for key, capture, status in [("c1", authorisation + "/capture", 410),
                                     ("c2", "POST /authorisations/au-none/capture", 404)]:
            self.assertEqual(self.all.act("payments", capture, key)[0], status)


class FaultSwitches(OneProgram):
    def reserve(self, key="k", **more):
        return self.all.act("inventory", "PUT /reservations/o1", key, **more)

    def release(self, key="k"):
        return self.all.undo("inventory", "DELETE /reservations/o1", key)

    def test_a_final_refusal_does_nothing_and_stays_under_its_key(self):
        self.all.fault(service="inventory", mode="refuse")
        self.assertEqual(self.reserve(), (409, {"error": "OUT_OF_STOCK"}))
        self.assertEqual(self.reserve(), (409, {"error": "OUT_OF_STOCK"}))
        self.assertEqual(self.reserve("k2")[0], 200)
        self.assertEqual(self.all.outcomes(), ["refused", "replayed", "done"])

    def test_a_refusal_that_is_not_final_or_not_to_be_remembered_leaves_the_key_open(self):
        for key, more in [
                ("a", {"status": 429}), ("b", {"status": 503}), ("c", {"remember": False})]:
            with self.subTest(key):
                self.all.fault(service="inventory", mode="refuse", body={"why": key}, **more)
                self.assertEqual(self.reserve(key), (more.get("status", 409), {"why": key}))
                self.assertEqual(self.reserve(key)[0], 200)

    def test_a_refused_key_that_was_done_before_gives_its_first_answer(self):
        first = self.reserve()
        self.all.fault(service="inventory", mode="refuse", times=0)
        self.assertEqual(self.reserve(), first)

    def test_a_refused_undo_can_be_repeated(self):
        self.reserve()
        self.all.fault(phase="compensate", mode="refuse", status=409)
        self.assertEqual([self.release()[0] for _ in range(2)], [409, 200])
        self.assertEqual(self.all.outcomes(), ["done", "undone"])

    def test_work_is_done_although_the_answer_is_an_error_or_garbage_or_missing(self):
        for mode, outcome in [("error-after", 500), ("garbage", json.JSONDecodeError),
                              ("drop-after", ConnectionError)]:
            with self.subTest(mode):
                self.all.call("orders", "DELETE /ledger")
                self.all.fault(service="inventory", mode=mode)
                if isinstance(outcome, int):
                    self.assertEqual(self.reserve()[0], outcome)
                else:
                    self.assertRaises(outcome, self.reserve)
                self.assertEqual(self.reserve()[0], 200)
                self.assertEqual(self.all.outcomes(), ["done", "replayed"])

    def test_work_is_not_done_when_the_error_comes_before_it(self):
        self.all.fault(service="inventory", mode="error-before", times=2)
        self.assertEqual([self.reserve()[0] for _ in range(3)], [503, 503, 200])
        self.assertEqual(self.all.outcomes(), ["done"])

    def test_work_is_not_done_when_the_connection_is_cut_before_it(self):
        self.all.fault(service="inventory", mode="drop-before")
        self.assertRaises(ConnectionError, self.reserve)
        self.assertEqual(self.all.outcomes(), [])
        self.assertEqual(self.reserve()[0], 200)
        self.assertEqual(self.all.outcomes(), ["done"])

    def test_a_hanging_answer_never_comes_but_the_work_is_done(self):
        self.all.fault(service="inventory", mode="hang")
        self.assertRaises(socket.timeout, self.reserve, timeout=0.2)
        self.wait_until(lambda: self.all.outcomes() == ["done"])

    def test_a_delayed_action_that_its_undo_overtakes_is_refused(self):
        self.all.fault(service="inventory", phase="forward", mode="delay", delayMs=1000)
        answers = []
        late = threading.Thread(target=lambda: answers.append(self.reserve()))
        late.start()
        self.wait_until(lambda: self.all.call("mail", "GET /faults")[1][0]["applied"] == 1)
        self.assertEqual(self.release()[0], 200)
        late.join(DEADLINE_SECONDS)
        self.assertEqual(answers, [(409, {"error": "refused"})])
        self.assertEqual(self.all.outcomes(), ["noop-undo", "refused"])

    def test_a_rule_meets_only_the_requests_it_describes(self):
        request = {"service": "inventory", "path": "/reservations/", "match": "o1",
                   "phase": "forward", "saga": "s1", "step": "k"}
        others = {"service": "orders", "path": "/orders", "match": "o2", "phase": "probe",
                  "saga": "s2", "step": "x"}
        for member, other in others.items():
            with self.subTest(member):
                self.all.call("orders", "DELETE /faults")
                self.all.fault(mode="error-before", **{**request, member: other})
                self.assertEqual(self.reserve()[0], 200)
        self.all.fault(mode="error-before", **request)
        self.assertEqual(self.reserve()[0], 503)

    def test_rules_are_listed_with_how_often_they_applied_and_cleared(self):
        self.all.fault(service="mail", mode="refuse", times=1)
        self.all.act("mail", "POST /messages", "k")
        self.all.act("mail", "POST /messages", "k2")
        rules = self.all.call("payments", "GET /faults")[1]
        self.assertEqual([(rule["mode"], rule["applied"]) for rule in rules], [("refuse", 1)])
        self.all.call("payments", "DELETE /faults")
        self.assertEqual(self.all.call("payments", "GET /faults")[1], [])

    def test_a_wrong_rule_is_refused(self):
        refuse = {"mode": "refuse"}
        for rule in [
                {}, [], {"mode": "explode"}, refuse | {"servise": "mail"},
                refuse | {"service": "bank"}, refuse | {"phase": "back"}, {"mode": "hang", "phase": "callback"}, refuse | {"status": 42},
                refuse | {"delayMs": -1}, refuse | {"times": -1}, refuse | {"times": "x"}]:
            with self.subTest(rule):
                self.assertEqual(self.all.call("orders", "POST /faults", body=rule)[0], 400)
        self.assertEqual(self.all.call("orders", "GET /faults")[1], [])


class LedgerCheck(OneProgram):
    def place(self, saga="s1"):
        for service, action, step in [("orders", "PUT /orders/o1", "createOrder"),
                                      ("inventory", "PUT /reservations/o1", "reserveStock")]:
            self.all.act(service, action, f"{saga}/{step}", saga, step)

    def undo_step(self, step, saga="s1"):
        service, undo = {"createOrder": ("orders", "POST /orders/o1/reject"),
                         "reserveStock": ("inventory", "DELETE /reservations/o1")}[step]
        self.all.undo(service, undo, f"{saga}/{step}", saga, step)

    def capture(self):
        _, authorised = self.all.act("payments", "POST /authorisations", "s1/a", step="authorise")
        capture = f"POST /authorisations/{authorised['id']}/capture"
        self.all.act("payments", capture, "s1/c", step="capture")

    def test_sagas_that_ended_either_way_are_in_order(self):
        self.place("done")
        self.place("failed")
        self.undo_step("reserveStock", "failed")
        self.undo_step("createOrder", "failed")
        self.assertEqual(self.all.check(), {"ok": True, "violations": []})

    def test_a_saga_undone_in_part_is_found(self):
        self.place()
        self.undo_step("reserveStock")
        self.assertEqual(self.all.codes(), ["partly-undone"])

    def test_undoing_in_the_order_of_doing_is_found(self):
        self.place()
        self.undo_step("createOrder")
        self.undo_step("reserveStock")
        self.assertEqual(self.all.codes(), ["undone-out-of-order"])

    def test_an_undo_after_the_capture_is_found(self):
        self.place()
        self.capture()
        self.undo_step("reserveStock")
        self.assertEqual(self.all.codes(), ["partly-undone", "undone-after-capture"])

    def test_a_capture_after_an_undo_is_found(self):
        self.place()
        self.undo_step("reserveStock")
        self.capture()
        self.assertIn("captured-after-undo", self.all.codes())

    def test_a_step_done_again_under_another_key_is_found(self):
        self.all.act("shipping", "PUT /shipments/o1", "k1", step="ship")
        self.all.act("shipping", "PUT /shipments/o1", "k2", step="ship")
        self.assertEqual(self.all.codes(), ["two-effects-for-one-step"])


class LedgerFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.file = pathlib.Path(folder, "ledger")

    def feed(self, *effects):
        """Writes entries (effect, key, compensates) of one service and saga."""
        with open(self.file, "w", encoding="utf-8") as file:
            for effect, key, compensates in effects:
                file.write(json.dumps({
                    "service": "inventory", "saga": "s1", "step": key, "key": key,
                    "compensates": compensates, "effect": effect}) + "\n")

    def test_what_honest_services_never_write_is_found(self):
        cases = [
            ("two-effects-for-one-key", "I3", [("done", "a", ""), ("done", "a", "")]),
            ("effect-after-undo", "I5", [("noop-undo", "u", "a"), ("done", "a", "")]),
            ("effect-after-undo", "I5", [("closed", "a", ""), ("done", "a", "")]),
            ("undone-twice", "I3",
             [("done", "a", ""), ("undone", "u", "a"), ("undone", "v", "a")]),
            ("undone-without-effect", "I4", [("undone", "u", "a")]),
        ]
        for code, promise, entries in cases:
            with self.subTest(code):
                self.feed(*entries)
                with Participants("--ledger", self.file) as participants:
                    result = participants.check()
                found = [(v["code"], v["promise"]) for v in result["violations"]]
                self.assertEqual((result["ok"], found), (False, [(code, promise)]))

    def test_a_restarted_program_keeps_its_promises(self):
        with Participants("--ledger", self.file) as before:
            _, authorised = before.act("payments", "POST /authorisations", "a")
            reserved = before.act("inventory", "PUT /reservations/o1", "r")
            before.undo("inventory", "DELETE /reservations/o1", "never-seen")
            before.fault(service="mail", mode="refuse")
            refusal = before.act("mail", "POST /messages", "m")
            ledger = before.ledger()
        with Participants("--ledger", self.file) as after:
            self.assertEqual(after.ledger(), ledger)
            self.assertEqual(after.act("inventory", "PUT /reservations/o1", "r"), reserved)
            self.assertEqual(after.act("inventory", "PUT /reservations/o1", "never-seen")[0], 409)
            self.assertEqual(after.act("mail", "POST /messages", "m"), refusal)
            capture = f"POST /authorisations/{authorised['id']}/capture"
            self.assertEqual(after.act("payments", capture, "c")[0], 200)
            self.assertEqual(after.undo("payments", "POST /authorisations/x/void", "a")[0], 200)
            self.assertEqual([e["effect"] for e in after.ledger()[len(ledger):]],
                             ["replayed", "refused", "replayed", "captured", "undone"])

    def test_a_line_cut_short_by_a_crash_is_dropped(self):
        self.feed(("done", "a", ""))
        with open(self.file, "a", encoding="utf-8") as file:
            file.write('{"service":"inv')
        with Participants("--ledger", self.file) as participants:
            participants.act("inventory", "PUT /reservations/o1", "b")
            self.assertEqual([e["key"] for e in participants.ledger()], ["a", "b"])
        with Participants("--ledger", self.file) as participants:
            self.assertEqual([e["key"] for e in participants.ledger()], ["a", "b"])

    def test_a_cleared_ledger_is_cleared_in_the_file_too(self):
        with Participants("--ledger", self.file) as participants:
            participants.act("mail", "POST /messages", "k")
            participants.call("mail", "DELETE /ledger")
            participants.act("mail", "POST /messages", "k2")
        with Participants("--ledger", self.file) as participants:
            self.assertEqual([(e["seq"], e["key"]) for e in participants.ledger()], [(1, "k2")])

    def test_a_file_that_is_no_ledger_is_refused(self):
        self.file.write_text("no ledger\n", encoding="utf-8")
        done = run("--port-base", "0", "--ledger", self.file)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"line 1", done.stderr)


class Program(unittest.TestCase):
    def test_it_ends_cleanly_when_asked_to(self):
        self.assertEqual(Participants().stop(), 0)

    def test_it_refuses_options_it_does_not_know(self):
        for arguments in [["--prot-base", "1"], ["--port-base", "65535"], ["--port-base", "x"],
                          ["--threads", "0"], ["--ledger"]]:
            with self.subTest(arguments):
                self.assertEqual(run(*arguments).returncode, 2)

    def test_several_threads_keep_one_effect_a_key(self):
        with Participants("--threads", "4") as participants:
            answers = []

            def create():
                answers.append(participants.act("orders", "PUT /orders/o1", "k"))

            callers = [threading.Thread(target=create) for _ in range(16)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(DEADLINE_SECONDS)
            self.assertEqual([status for status, _ in answers], [200] * 16)
            self.assertEqual(sorted(participants.outcomes()), ["done"] + ["replayed"] * 15)


class Http(OneProgram):
    def connect(self):
        return socket.create_connection(self.all.address("orders"), timeout=DEADLINE_SECONDS)

    def exchange(self, data):
        """Sends bytes, ends the sending side and returns all that comes back."""
        with self.connect() as connection:
            connection.sendall(data)
            try:
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the other side was faster
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def test_pipelined_and_chunked_requests_are_answered_in_turn(self):
        first = (b"PUT /bench/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"3\r\n{ }\r\n0\r\n\r\n")
        second = b"PUT /bench-refuse/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
        answers = self.exchange(first + second + first)
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", answers), [b"200", b"409", b"200"])

    def test_a_request_in_single_bytes_is_put_together(self):
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"PUT /bench/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}":
                connection.sendall(bytes([byte]))
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_a_large_body_and_a_large_answer_pass(self):
        self.all.act("orders", "PUT /orders/o1", "k", body="x" * 500_000)
        for number in range(2000):
            self.all.act("mail", "POST /messages", f"k{number}")
        self.assertEqual(len(self.all.ledger()), 2001)

    def test_malformed_requests_are_refused_and_the_program_lives_on(self):
        for data in [b"nonsense\r\n\r\n", b"PUT /bench/1 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     b"PUT /bench/1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                     b"PUT /bench/1 HTTP/1.1\r\nX: " + b"a" * 20_000,
                     b"PUT /bench/1 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"]:
            with self.subTest(data[:40]):
                try:
                    self.assertIn(self.exchange(data)[:12], (b"HTTP/1.1 400", b""))
                except ConnectionError:
                    pass  # closed with bytes of ours unread
        self.assertEqual(self.all.call("orders", "PUT /bench/1")[0], 200)


if __name__ == "__main__":
    unittest.main()
