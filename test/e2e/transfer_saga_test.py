"""The transfer saga and its child through success, every refusal, and a lost answer at every call."""
import copy
import unittest

from example_sagas import Call, ExampleSagas, definition, effects, label, steps_of, undo_keys
from support import harness, step

SCREEN = Call("screen", "compliance", "/screening")
HOLD = Call("hold", "ledger", "/holds/", "/holds/")
BOOK = Call("book", "ledger", "/entries/", "/entries/")
TASK = Call("openTask", "task-inbox", "/tasks/", "/tasks/")
SUBMIT = Call("submit", "payment-network", "/messages")
SETTLE = Call("settle", "ledger", "/settlements/")
MAIL = Call("advise", "mail", "/messages")

SENT = ["ledger holds", "ledger entries", "payment-network messages", "ledger settlements", "mail messages"]
APPROVED = SENT[:2] + ["task-inbox tasks"] + SENT[2:]
LARGE = 1_250_000  # needs a decision
LOSSES = ("drop-before", "drop-after")
ATTEMPTS = 4  # the default before the pivot


class TransferSaga(ExampleSagas):
    EXAMPLE, NAME = "transfer", "transfers.cross-border"

    @classmethod
    def definitions(cls):
        parent = definition("transfer", "transfers.cross-border")
        parent["defaults"] = cls.short_times()
        # Before the pivot only: a limit after it would suspend.
        steps_of(parent)["settle"]["retry"]["delay"] = "50ms"
        steps_of(parent)["decision"]["wait"].pop("allow")
        child = {**definition("transfer", "accounts.debit"), "defaults": cls.short_times()}
        cls.parent = parent
        return [child, parent]

    @staticmethod
    def short_times():
        return {"compensation": {"retry": {"maxAttempts": "unlimited", "delay": "200ms", "factor": 2,
                                           "maxDelay": "1s", "maxElapsed": "24h"}}}

    def saga_input(self, number, **changes):
        return {"transferId": f"x-{number}", "payer": "acme", "payee": "globex", "amountCents": 5000,
                "valueDate": "2026-01-01T00:00:00Z", **changes}

    def signal(self, saga_id, **payload):
        status, body, _ = self.world.server.api("POST", f"/v1/sagas/{saga_id}/signals/decision", payload)
        self.assertIn(status, (200, 202), body)

    def decide(self, **payload):
        """A large transfer, decided as soon as it waits for that."""
        saga = self.start(amountCents=LARGE)
        harness.wait_until(lambda: any(s["name"] == "decision" and s["status"] == "waiting"
                                       for s in self.world.server.saga(saga)["steps"]), 30, "the decision to be waited for")
        self.signal(saga, **payload)
        return self.finish(saga)

    def labels(self):
        return [label(e) for e in effects(self.ledger())]

    def mails(self):
        return [e for e in effects(self.ledger()) if e["service"] == "mail"]

    def assert_refused(self, saga, code=None):
        self.assert_failed(saga, code)
        self.assert_mirror_order()
        self.assertEqual(len(self.mails()), 1, "the payer is told once")

    # Success

    def test_a_small_transfer_passes_by_itself(self):
        saga = self.run_saga()
        self.assert_completed(saga, SENT)
        self.assertEqual(self.labels(), SENT)
        self.assertEqual(saga["output"]["approvedBy"], "automatic")
        self.assertTrue(saga["output"]["networkRef"].startswith("NET-"))

    def test_a_large_transfer_passes_when_it_is_approved(self):
        saga = self.decide(approved=True)
        self.assert_completed(saga, APPROVED)
        self.assertEqual(self.labels(), APPROVED)

    def test_a_risky_name_needs_a_decision_too(self):
        saga = self.start(payee="risky-bank")
        self.signal(saga, approved=True)  # perhaps before it is waited for: it is kept
        self.assert_completed(self.finish(saga), APPROVED)

    def test_a_signal_that_does_not_fit_is_refused_and_not_consumed(self):
        saga = self.start(amountCents=LARGE)
        harness.wait_until(lambda: "task-inbox tasks" in self.labels(), 30, "the task")
        harness.wait_until(lambda: step(self.world.server.saga(saga), "decision")["status"] == "waiting", 30, "the wait")
        status, body, _ = self.world.server.api("POST", f"/v1/sagas/{saga}/signals/decision", {"approved": "yes"})
        self.assertTrue(400 <= status < 500, (status, body))
        self.signal(saga, approved=True)
        self.assert_completed(self.finish(saga), APPROVED)

    # Refusals

    def test_a_name_on_the_list_stops_the_transfer_before_anything_is_done(self):
        saga = self.run_saga(payee="sanctioned-bank")
        self.assert_refused(saga, "SANCTIONS_HIT")
        self.assertEqual(self.labels(), ["mail messages"])

    def test_funds_that_are_not_there_fail_the_child_and_with_it_the_transfer(self):
        self.assert_refused(self.run_saga(amountCents=500_000_001), "INSUFFICIENT_FUNDS")
        self.assertEqual(self.labels(), ["mail messages"])

    def test_a_refused_entry_releases_the_hold(self):
        self.fault(BOOK, "refuse")
        self.assert_refused(self.run_saga())
        self.assertEqual(self.labels(), ["ledger holds", "mail messages"])

    def test_a_refused_task_undoes_the_child(self):
        self.fault(TASK, "refuse")
        self.assert_refused(self.run_saga(amountCents=LARGE), "HTTP_409")
        self.assertEqual(self.labels(), ["ledger holds", "ledger entries", "mail messages"])

    def test_a_decision_against_it_withdraws_the_task_then_reverses_then_releases(self):
        saga = self.decide(approved=False, note="unknown payee")
        self.assert_refused(saga, "NOT_APPROVED")
        self.assertEqual(saga["failure"]["message"], "unknown payee")
        undone = [label(e) for e in self.ledger() if e["effect"] == "undone"]
        self.assertEqual(undone, ["task-inbox tasks", "ledger entries reversal", "ledger holds"])

    def test_a_decision_that_does_not_come_in_time_is_a_refusal(self):
        hasty = copy.deepcopy(self.parent)
        hasty.update(name="transfers.hasty")
        steps_of(hasty)["decision"]["wait"]["timeout"] = "500ms"
        self.world.server.register_text(harness.json.dumps(hasty))
        _, body, _ = self.world.server.start_saga("transfers.hasty", self.saga_input("hasty", amountCents=LARGE))
        self.assert_refused(self.finish(body["id"]), "WAIT_TIMEOUT")

    def test_a_rejected_message_undoes_everything_whether_it_is_rejected_at_once_or_later(self):
        for phase in ("forward", "callback"):
            with self.subTest(phase):
                self.fresh()
                self.world.fault(service="payment-network", path="/messages", phase=phase, mode="refuse")
                self.assert_refused(self.run_saga(), "NETWORK_REJECTED")
                self.assert_fault_met()

    def test_a_rejected_message_withdraws_the_task_of_an_approved_transfer(self):
        self.fault(SUBMIT, "refuse")
        self.assert_refused(self.decide(approved=True), "NETWORK_REJECTED")
        self.assertEqual(len(undo_keys(self.ledger())), 3)

    # Lost answers

    def test_one_lost_answer_at_each_call_is_found_again_with_the_same_key(self):
        for call in (SCREEN, HOLD, BOOK, SUBMIT, SETTLE, MAIL):
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose(call, mode)
                    saga = self.run_saga()
                    self.assert_completed(saga, SENT)
                    self.assertEqual(self.labels(), SENT)
                    self.assert_fault_met()

    def test_one_lost_answer_of_the_inbox_opens_one_task(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(TASK, mode)
                self.assert_completed(self.decide(approved=True), APPROVED)
                self.assert_fault_met()

    def test_a_screening_that_stays_lost_fails_the_transfer_before_anything_is_done(self):
        self.lose(SCREEN, "drop-after", times=0)
        self.assert_refused(self.run_saga())
        self.assertEqual(self.labels(), ["mail messages"])

    def test_a_child_whose_step_stays_unknown_is_undone_by_its_keys(self):
        for call in (HOLD, BOOK):
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose(call, mode, times=ATTEMPTS)
                    self.assert_refused(self.run_saga())
                    self.assert_fault_met()

    def test_a_task_that_stays_unknown_is_withdrawn_by_its_key(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(TASK, mode, times=ATTEMPTS)
                self.assert_refused(self.run_saga(amountCents=LARGE))
                self.assert_fault_met()

    def test_a_message_is_sent_again_until_it_is_known_and_goes_out_once(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(SUBMIT, mode, times=2)
                self.assert_completed(self.run_saga(), SENT)

    def test_a_lost_answer_to_an_undo_is_asked_for_again_and_undone_once(self):
        for call in (HOLD, BOOK):
            for mode in LOSSES:
                with self.subTest(call=call.name, mode=mode):
                    self.lose(call, mode, phase="compensate")
                    self.fault(SUBMIT, "refuse")
                    self.assert_refused(self.run_saga(), "NETWORK_REJECTED")
                    self.assertEqual(len(undo_keys(self.ledger())), 2)
                    self.assert_fault_met()

    def test_a_lost_answer_to_the_withdrawal_of_a_task_is_asked_for_again(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(TASK, mode, phase="compensate")
                self.assert_refused(self.decide(approved=False), "NOT_APPROVED")
                self.assert_fault_met()

    def test_a_lost_answer_of_the_mail_about_a_refusal_sends_it_once(self):
        for mode in LOSSES:
            with self.subTest(mode):
                self.lose(MAIL, mode)
                self.assert_refused(self.run_saga(payee="sanctioned-bank"), "SANCTIONS_HIT")
                self.assert_fault_met()


if __name__ == "__main__":
    unittest.main(verbosity=2)
