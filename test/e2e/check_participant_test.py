"""`backstitch check-participant`: good participants pass, every way to break a clause of the contract is found, and what was
not looked at is never called kept."""
import json
import os
import subprocess
import tempfile
import unittest
from urllib.parse import urlsplit

from contract_breaker import Service
from support import harness


def pair(name, **action):
    return {"name": name,
            "action": {"service": "shop", "http": f"PUT /{name}/${{input.id}}", "body": {"id": "${input.id}"}},
            "compensation": {"http": f"DELETE /{name}/${{input.id}}",
                             "retry": {"delay": "200ms", "maxDelay": "200ms", "maxAttempts": "unlimited"}}, **action}


def forward(name, kind, **action):
    return {"name": name, "kind": kind,
            "action": {"service": "shop", "http": f"PUT /{name}/${{input.id}}", "body": {"id": "${input.id}"}}, **action}


NOT_SEEN = {"status": 404, "when": "${response.body.error == 'NOT_SEEN'}", "is": "failure", "code": "NOT_SEEN"}
PROBE = {"http": "GET /probes/by-key/${self.key}", "outcomes": [NOT_SEEN]}
SEALED = {**PROBE, "sealed": True}
LATER = {"callback": True, "timeout": "20s",
         "poll": {"http": "GET /polls/${self.key}", "every": "10s",
                  "outcomes": [{"when": "${response.body.state == 'PENDING'}", "is": "pending"}]}}


def definition(*steps, **more):
    return {"dsl": 1, "name": "check.pairs", "version": 1,
            "input": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "services": {"shop": {"use": "shop"}}, "defaults": {"attemptTimeout": "5s"}, "steps": list(steps), **more}


DEFINITION = definition(pair("plain"), pair("asked", probe=PROBE), pair("sealed", probe=SEALED), pair("later", completion=LATER),
                        forward("pay", "pivot", probe=SEALED), forward("ship", "retryable", probe=PROBE),
                        forward("tell", "retryable"))
ACTION = {"repeat", "at-once", "overtaken", "cut-off", "key-case", "in-time"}
UNDO = {"undo", "undo-again", "action-after-undo", "undo-of-nothing", "late-action", "undo-overtakes",
        "undo-during-action", "in-time"}
PROBED = {"probe", "router-404", "in-time", "not-stored"}
POLLED = {"poll", "in-time", "not-stored"}
SEALING = PROBED | {"seal", "seal-during-action"}
# How a participant breaks the contract, the step that shows it, the promises that are broken, and those that are broken if calls
# happen to arrive in one of two orders.
BROKEN = [
    ("repeat", "plain", {"repeat", "at-once", "overtaken"}),
    ("at-once", "plain", {"at-once"}, {"cut-off", "overtaken"}),
    # It is quick: of two copies at once the first may be answered before a thread has taken the second up.
    ("overtaken", "plain", {"overtaken"}, {"at-once"}),
    ("cut-off", "plain", {"cut-off", "at-once", "overtaken"}),
    ("key-case", "plain", {"key-case"}),
    ("key-case", "pay", {"key-case"}),
    ("undo", "plain", {"undo"}, {"undo-during-action"}),
    ("undo-again", "plain", {"undo-again"}),
    ("action-after-undo", "plain", {"action-after-undo"}, {"undo-during-action"}),
    ("undo-of-nothing", "plain", {"undo-of-nothing"}),
    ("late-action", "plain", {"late-action", "undo-overtakes"}),
    ("undo-overtakes", "plain", {"undo-overtakes"}),
    ("undo-during-action", "plain", {"undo-during-action"}),
    ("probe", "asked", {"probe"}),
    ("probe", "pay", {"probe"}),
    ("probe", "ship", {"probe"}),
    ("seal", "sealed", {"seal", "seal-during-action"}),
    ("seal", "pay", {"seal", "seal-during-action"}),
    ("seal-during-action", "pay", {"seal-during-action"}),
    ("poll", "later", {"poll"}),
    ("not-stored", "asked", {"not-stored"}),
]


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, content):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
        return path

    def run_check(self, *arguments):
        return subprocess.run([harness.PROGRAM, "check-participant", *arguments], capture_output=True, text=True,
                              timeout=240)

    def check(self, *arguments, code=0):
        done = self.run_check(*arguments, "--json")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(len(report["checked"]) + len(report["notChecked"]) + len(report["accepted"]), report["pairs"])
        return report

    def service(self, broken=None):
        service = Service(broken)
        self.addCleanup(service.stop)
        return service


def kept(report):
    """The promises of each step and kind of request that were kept."""
    found = {}
    for pair_ in report["checked"]:
        if pair_["result"] == "kept":
            found.setdefault((pair_["step"], pair_["request"]), set()).add(pair_["promise"])
    return found


def names(pairs):
    return {(p["step"], p["promise"]) for p in pairs}


class OwnService(Check):
    def setUp(self):
        super().setUp()
        self.definition = self.file("pairs.json", DEFINITION)

    def page(self, name):
        with open(os.path.join(harness.ROOT, "docs", f"{name}.md"), encoding="utf-8") as file:
            return file.read()

    def at(self, service, *steps):
        return (self.definition, "--base-url", f"shop={service.url}", *[a for s in steps for a in ("--step", s)])

    def test_a_participant_that_keeps_the_contract_passes_with_every_request_checked(self):
        service = self.service()
        report = self.check(*self.at(service))
        self.assertEqual((report["conclusion"], report["broken"], report["notChecked"]), ("all-checked", [], []))
        self.assertEqual(kept(report), {
            ("plain", "action"): ACTION, ("plain", "compensation"): UNDO,
            ("asked", "action"): ACTION, ("asked", "compensation"): UNDO, ("asked", "probe"): PROBED,
            ("sealed", "action"): ACTION, ("sealed", "compensation"): UNDO, ("sealed", "probe"): SEALING,
            ("later", "action"): ACTION, ("later", "compensation"): UNDO, ("later", "poll"): POLLED,
            ("later", "callback"): {"callback"},
            ("pay", "action"): ACTION, ("pay", "probe"): SEALING,
            ("ship", "action"): ACTION, ("ship", "probe"): PROBED, ("tell", "action"): ACTION})
        contract, page = (self.page(name) for name in ("participant-contract", "check-participant"))
        for checked in report["checked"]:
            self.assertIn(f"**{checked['clause']}", contract)
            self.assertIn(f"| `{checked['promise']}` |", page)

    def test_with_pairs_only_everything_is_taken_back_and_the_rest_is_listed_as_left_out(self):
        service = self.service()
        report = self.check(*self.at(service), "--pairs-only")
        self.assertEqual((report["left"], service.effects), ([], 0))
        self.assertFalse([s for s in service.subjects if s.startswith(("/pay", "/ship", "/tell"))])
        self.assertEqual({(p["step"], p["by"]) for p in report["accepted"]},
                         {(s, "--pairs-only") for s in ("pay", "ship", "tell")})

    def test_each_way_to_break_the_contract_is_found_and_its_clause_named(self):
        # How long the check waits for a second copy depends on the attempt timeout. On a busy machine an answer may be late.
        self.definition = self.file("quick.json", {**DEFINITION, "defaults": {"attemptTimeout": "500ms"}})
        for broken, step, expected, *by_chance in BROKEN:
            with self.subTest(broken, step=step):
                service = self.service(broken)
                report = self.check(*self.at(service, step), "--patience", "3s", code=1)
                found = {promise for at, promise in names(report["broken"]) if at == step}
                self.assertLessEqual(expected, found, report["broken"])
                self.assertLessEqual(found, expected.union({"in-time"}, *by_chance), report["broken"])
                for finding in report["broken"]:
                    self.assertTrue(finding["expected"] and finding["came"] and finding["advice"], finding)
                    self.assertRegex(finding["clause"], r"^[1-5]\.\d$")

    def test_a_participant_that_is_slower_than_the_attempt_timeout_is_found(self):
        self.definition = self.file("slow.json", definition(pair("plain"), defaults={"attemptTimeout": "500ms"}))
        report = self.check(*self.at(self.service("in-time")), "--patience", "3s", code=1)
        self.assertEqual(names(report["broken"]), {("plain", "in-time")})

    def test_where_the_service_declares_answers_every_answer_is_looked_at_refusals_too(self):
        path = self.file("marked.json", definition(pair("plain"), pair("asked", probe=PROBE)))
        for broken, code in ((None, 0), ("marked", 1)):
            with self.subTest(broken):
                service = self.service(broken)
                registered = self.file("service.json", {"baseUrl": service.url, "answers": {"echo": "Saga-Echo"}})
                report = self.check(path, "--service", f"shop={registered}", "--allow-host", urlsplit(service.url).netloc,
                                    "--patience", "3s", code=code)
                found = kept(report)
                self.assertEqual("marked" in found[("plain", "compensation")], True, "an undo is never refused")
                self.assertEqual("marked" in found.get(("plain", "action"), set()), broken is None)
                if broken:
                    marked = next(p for p in report["broken"] if (p["step"], p["request"], p["promise"]) ==
                                  ("plain", "action", "marked"))
                    self.assertRegex(marked["came"], r"the first: 409 to PUT /plain/.*it lacks the header Saga-Echo")

    def test_an_accepted_action_whose_callback_never_comes_breaks_the_contract_if_there_is_no_other_way(self):
        alone = {k: v for k, v in LATER.items() if k != "poll"} | {"timeout": "500ms"}
        self.definition = self.file("alone.json", definition(pair("later", completion=alone)))
        report = self.check(*self.at(self.service("callback")), "--patience", "5s", code=1)
        self.assertIn(("later", "callback"), names(report["broken"]))

    def test_a_probe_that_takes_the_404_of_a_router_for_no_is_broken(self):
        bare = {"status": 404, "is": "failure", "code": "NOT_SEEN"}
        for outcomes in ([], [bare]):
            with self.subTest(outcomes=outcomes):
                sealed = {**SEALED, "outcomes": outcomes}
                self.definition = self.file("router.json", definition(pair("sealed", probe=sealed)))
                report = self.check(*self.at(self.service()), code=1)
                self.assertEqual([(p["promise"], p["clause"]) for p in report["broken"]], [("router-404", "5.3")])

    def test_a_service_with_idempotency_none_gets_no_second_copy_of_an_action_and_need_not_keep_answers(self):
        service = self.service("repeat")
        none = self.file("service.json", {"baseUrl": service.url, "idempotency": "none"})
        path = self.file("once.json", definition(pair("plain"), forward("pay", "pivot", probe=SEALED)))
        report = self.check(path, "--service", f"shop={none}", "--allow-host", urlsplit(service.url).netloc)
        self.assertEqual(kept(report), {("plain", "action"): {"in-time"}, ("plain", "compensation"): UNDO - {"action-after-undo"},
                                        ("pay", "action"): {"in-time"}, ("pay", "probe"): SEALING})

    def test_an_undo_that_fails_is_reported_as_left_behind(self):
        service = self.service("undo")
        report = self.check(*self.at(service, "plain"), "--pairs-only", "--patience", "2s", code=1)
        self.assertTrue(any("the undo of plain was not done" in what for what in report["left"]), report["left"])

    def test_every_saga_has_new_texts_where_the_input_says_run_or_is_made_from_the_schema(self):
        service = self.service()
        given = self.file("input.json", {"id": "mine-${run}"})
        for arguments, begins in (((), "/plain/id-"), (("--input", given), "/plain/mine-")):
            service.forget()
            self.check(*self.at(service, "plain"), "--pairs-only", *arguments)
            self.assertTrue(all(s.startswith(begins) for s in service.subjects), service.subjects)

    def test_it_warns_before_it_calls_and_says_what_to_do(self):
        service = self.service("undo-of-nothing")
        done = self.run_check(*self.at(service, "plain"))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("REAL CALLS", done.stderr)
        self.assertIn(service.url, done.stderr)
        self.assertRegex(done.stdout, r"2\.1 +undo-of-nothing +an undo of nothing succeeds +BROKEN")
        self.assertIn("came      404", done.stdout)
        self.assertIn("1 broken", done.stdout)
        self.assertIn("left out by --step", done.stdout)

    def test_options_that_make_no_sense_are_usage_errors_that_say_what_there_is(self):
        service = self.service()
        url = f"shop={service.url}"
        for arguments, code, says in (
                ((), 2, "--base-url shop=URL"),
                (("--base-url", "shop"), 2, "NAME=VALUE"),
                (("--base-url", url, "--step", "nowhere"), 2, "plain, asked, sealed"),
                (("--base-url", url, "--accept", "plain"), 2, "STEP:PROMISE"),
                (("--base-url", url, "--accept", "nowhere:repeat"), 2, "plain, asked, sealed"),
                (("--base-url", url, "--accept", "pay:undo"), 2, "repeat, at-once, overtaken"),
                (("--base-url", url, "--patience", "soon"), 2, "--patience"),
                (("--base-url", url, "--input", self.file("bad.json", {"id": 7})), 1, "INPUT_INVALID")):
            with self.subTest(says):
                done = self.run_check(self.definition, *arguments)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(says, done.stdout + done.stderr)
        self.assertEqual(service.subjects, [])

    def test_a_service_that_cannot_be_reached_has_an_exit_code_of_its_own(self):
        done = self.run_check(self.definition, "--base-url", f"shop=http://127.0.0.1:{harness.free_port()}")
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertIn("cannot be reached", done.stdout)
        self.assertIn("0 kept, 0 broken", done.stdout)


def blocks():
    """A definition with a request at every place where one can be."""
    return definition(
        {"name": "look", "kind": "readonly", "action": {"service": "shop", "http": "GET /look"}},
        {"name": "both", "parallel": {"branches": {"left": [pair("onLeft")], "right": [pair("onRight")]}}},
        {"name": "loop", "forEach": {"in": "${[1, 2]}", "as": "item", "steps": [pair("inLoop")]}},
        {"name": "attempt", "try": {"steps": [pair("inTry")], "catch": [{"codes": ["HTTP_409"], "steps": [pair("inCatch")]}]}},
        {"name": "choice", "switch": {"cases": [{"when": "${input.id == 'x'}", "steps": [pair("inCase")]}],
                                      "otherwise": {"steps": [pair("inOtherwise")]}}},
        forward("pay", "pivot"), forward("ship", "retryable"),
        onFailure=[forward("whenFailed", "retryable")], onSuspended=[forward("whenSuspended", "retryable")])


class Blocks(Check):
    def test_requests_in_every_block_and_handler_are_checked_or_listed_with_the_reason(self):
        service = self.service()
        report = self.check(self.file("blocks.json", blocks()), "--base-url", f"shop={service.url}", code=4)
        self.assertEqual(report["broken"], [])
        found = kept(report)
        self.assertEqual(found[("look", "action")], {"in-time"})
        for step in ("onLeft", "onRight", "inLoop", "inTry", "inCatch", "inOtherwise"):
            self.assertEqual((found[(step, "action")], found[(step, "compensation")]), (ACTION, UNDO), step)
        for step in ("pay", "ship", "whenFailed", "whenSuspended"):
            self.assertEqual(found[(step, "action")], ACTION, step)
        self.assertEqual({p["step"] for p in report["notChecked"]}, {"inCase"})
        self.assertTrue(all("without it" in p["reason"] or "did not come to it" in p["reason"]
                            for p in report["notChecked"]), report["notChecked"])

    def test_what_is_accepted_is_listed_and_lets_the_check_pass_but_never_what_is_broken(self):
        pairs = {"inCase": ACTION | UNDO}
        accept = [a for step, promises in pairs.items() for p in promises for a in ("--accept", f"{step}:{p}")]
        path = self.file("blocks.json", blocks())
        report = self.check(path, "--base-url", f"shop={self.service().url}", *accept)
        self.assertEqual((report["conclusion"], report["notChecked"]), ("all-checked", []))
        self.assertEqual({(p["step"], p["by"]) for p in report["accepted"]}, {("inCase", "--accept")})
        self.check(path, "--base-url", f"shop={self.service('undo-of-nothing').url}", "--step", "onLeft",
                   "--accept", "onLeft:undo-of-nothing", code=1)

    def test_local_services_and_sub_sagas_are_listed_as_not_checked(self):
        child = {**definition(pair("inner")), "name": "check.child"}
        parent = definition(
            {"name": "run", "saga": {"name": "check.child", "input": {"id": "${input.id}"}},
             "compensation": {"service": "shop", "http": "DELETE /run/${input.id}"}},
            {"name": "here", "action": {"service": "own", "operation": "work"}, "compensation": {"operation": "unwork"}})
        parent["services"]["own"] = {"type": "local"}
        report = self.check(self.file("parent.json", parent), self.file("child.json", child),
                            "--base-url", f"shop={self.service().url}", code=4)
        self.assertEqual(kept(report), {("run", "compensation"): {"undo", "undo-again", "in-time"}})
        reasons = {(p["step"], p["request"]): p["reason"] for p in report["notChecked"]}
        self.assertIn("check.child", reasons[("run", "sub-saga")])
        self.assertIn("local", reasons[("here", "action")])
        self.assertIn("local", reasons[("here", "compensation")])


class Examples(Check):
    """The participants of the examples keep the contract, asynchronous ones and sub-sagas included."""

    def examined(self, example, name, *more, saga_input=None):
        with harness.Participants(harness.participants_program(example)) as participants:
            folder = os.path.join(harness.ROOT, "examples", example)
            urls = [a for service, url in participants.urls.items() for a in ("--base-url", f"{service}={url}")]
            given = self.file("input.json", saga_input) if saga_input else os.path.join(folder, "input.json")
            done = self.run_check(os.path.join(folder, f"{name}.json"), *[os.path.join(folder, m) for m in more],
                                  *urls, "--input", given, "--json")
            report = json.loads(done.stdout)
            self.assertEqual((report["left"], report["broken"]), ([], []), report)
            self.assertEqual(done.returncode, 4 if report["notChecked"] else 0)
            return report

    def test_those_of_the_order(self):
        report = self.examined("order", "orders.place")
        found = kept(report)
        for step in ("createOrder", "reserveStock", "redeemCoupon"):
            self.assertEqual((found[(step, "action")], found[(step, "compensation")]), (ACTION, UNDO), step)
        self.assertEqual(found[("authorise", "probe")], SEALING)
        for step in ("capture", "confirmOrder", "ship", "tellCustomer"):
            self.assertLessEqual(ACTION - {"key-case"}, found[(step, "action")], step)

    def test_those_of_the_journey(self):
        report = self.examined("travel", "travel.book")
        found = kept(report)
        for step in ("holdSeat", "holdRoom", "carFromA", "carFromB"):
            self.assertEqual((found[(step, "action")], found[(step, "compensation")]), (ACTION, UNDO), step)
        self.assertEqual((found[("holdRoom", "poll")], found[("holdRoom", "callback")]), (POLLED, {"callback"}))
        self.assertLessEqual(ACTION - {"key-case"}, found[("charge", "action")])

    def test_those_of_the_transfer_and_its_sub_saga(self):
        report = self.examined("transfer", "transfers.cross-border", "accounts.debit.json",
                               saga_input={"transferId": "x-${run}", "payer": "acme", "payee": "globex",
                                           "amountCents": 5000, "valueDate": "2026-01-01T00:00:00Z"})
        self.assertLessEqual(ACTION - {"key-case"}, kept(report)[("settle", "action")])
        self.assertIn("sub-saga", {p["promise"] for p in report["notChecked"]})
        self.assertEqual(kept(report)[("submit", "callback")], {"callback"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
