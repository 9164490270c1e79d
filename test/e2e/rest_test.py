"""The REST API, call by call: statuses, problem documents, idempotency, paging."""
import json
import unittest
import urllib.request
from xml.etree import ElementTree

from support import World, harness, order, step


class Rest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.world.participants.clear()

    def api(self, method, path, body=None, headers=None):
        return self.world.server.api(method, path, body, headers)

    def refused(self, answer, status, code):
        self.assertEqual((answer[0], answer[1].get("code")), (status, code), answer[1])
        self.assertEqual(answer[2]["Content-Type"], "application/problem+json")
        for member in ("type", "title", "status", "detail"):
            self.assertIn(member, answer[1])

    def start(self, number, headers=None, **body):
        return self.api("POST", "/v1/sagas", {"definition": "orders.place", "input": order(number), **body}, headers)


class Starts(Rest):
    def test_a_start_is_answered_201_with_the_saga_and_its_location(self):
        status, body, headers = self.start("s1")
        self.assertEqual(status, 201)
        self.assertEqual(headers["Location"], f"/v1/sagas/{body['id']}")
        self.assertEqual(body["definition"], "orders.place")
        self.assertEqual(body["businessKey"], "o-s1")

    def test_a_start_that_waits_is_answered_with_the_end(self):
        status, body, _ = self.world.server.start_saga("orders.place", order("s2"), wait="30s")
        self.assertEqual((status, body["status"]), (201, "COMPLETED"))

    def test_the_same_idempotency_key_and_input_give_the_same_saga(self):
        first = self.start("s3", {"Idempotency-Key": "k-s3"})
        again = self.start("s3", {"Idempotency-Key": "k-s3"})
        self.assertEqual((first[0], again[0]), (201, 200))
        self.assertEqual(first[1]["id"], again[1]["id"])

    def test_the_same_idempotency_key_with_other_input_is_a_conflict(self):
        first = self.start("s4", {"Idempotency-Key": "k-s4"})
        other = self.start("s4b", {"Idempotency-Key": "k-s4"})
        self.refused(other, 409, "idempotency-key-reused")
        self.assertEqual(other[1]["saga"], first[1]["id"])

    def test_the_same_business_key_and_input_give_the_same_saga_and_other_input_a_conflict(self):
        first, again = self.start("s5"), self.start("s5")
        self.assertEqual((first[0], again[0]), (201, 200))
        self.assertEqual(first[1]["id"], again[1]["id"])
        other = self.api("POST", "/v1/sagas", {"definition": "orders.place", "input": order("s5", customerId="c-5")})
        self.refused(other, 409, "business-key-reused")
        self.assertEqual(other[1]["saga"], first[1]["id"])
        self.assertIn(first[1]["id"], other[1]["detail"])

    def test_starts_under_one_key_at_the_same_time_make_one_saga(self):
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: self.start("s6", {"Idempotency-Key": "k-s6"}), range(16)))
        self.assertEqual({a[1]["id"] for a in answers}, {answers[0][1]["id"]}, answers)
        self.assertEqual(sorted(a[0] for a in answers), [200] * 15 + [201])

    def test_input_that_breaks_the_schema_is_422_with_pointers(self):
        answer = self.api("POST", "/v1/sagas", {"definition": "orders.place",
                                                 "input": order("s7", items=[{"sku": "x", "qty": 0, "unitCents": 1}])})
        self.refused(answer, 422, "INPUT_INVALID")
        self.assertIn("/items/0/qty", [e["pointer"] for e in answer[1]["errors"]])

    def test_an_empty_business_key_is_refused_by_every_way(self):
        answer = self.start("s7b", businessKey="")
        self.refused(answer, 400, "start-invalid")
        self.assertEqual(answer[1]["errors"][0]["pointer"], "/businessKey")
        batch = {"sagas": [{"definition": "orders.place", "input": order("s7c"), "businessKey": ""}]}
        self.assertEqual(self.api("POST", "/v1/sagas/batch", batch)[1]["results"][0]["code"], "start-invalid")

    def test_what_is_not_there_is_404(self):
        unknown = {"definition": "orders.none", "input": {}}
        self.refused(self.api("POST", "/v1/sagas", unknown), 404, "definition-not-found")
        self.refused(self.start("s8", version=99), 404, "definition-not-found")
        self.refused(self.api("GET", "/v1/sagas/0190a0a0-0000-7000-8000-000000000000"), 404, "saga-not-found")
        self.refused(self.api("GET", "/v1/sagas/no-uuid"), 404, "saga-not-found")
        self.refused(self.api("GET", "/v1/sagas/0190a0a0-0000-7000-8000-000000000000/history"), 404, "saga-not-found")
        self.refused(self.api("GET", "/v1/nothing"), 404, "resource-not-found")

    def test_a_body_that_is_no_start_is_400_and_names_the_member(self):
        for body, pointer in (({"input": {}}, "/definition"), ({"definition": 7}, "/definition"),
                              ({"definition": "orders.place", "extra": 1}, "/extra"),
                              ({"definition": "orders.place", "version": "x"}, "/version"),
                              ({"definition": "orders.place", "labels": {"a": 1}}, "/labels/a")):
            answer = self.api("POST", "/v1/sagas", body)
            self.refused(answer, 400, "body-invalid")
            self.assertEqual(answer[1]["errors"][0]["pointer"], pointer)

    def test_a_batch_gives_each_start_its_own_result(self):
        sagas = [{"definition": "orders.place", "input": order("b1"), "idempotencyKey": "kb1"},
                 {"definition": "orders.none", "input": {}},
                 {"definition": "orders.place", "input": {}},
                 {"definition": "orders.place", "input": order("b1"), "idempotencyKey": "kb1"}]
        status, body, _ = self.api("POST", "/v1/sagas/batch", {"sagas": sagas})
        self.assertEqual(status, 200, body)
        results = body["results"]
        self.assertEqual([r["status"] for r in results][1:3], [404, 422])
        self.assertEqual(sorted([results[0]["status"], results[3]["status"]]), [200, 201])
        self.assertEqual(results[0]["id"], results[3]["id"])

    def test_a_batch_over_its_bound_is_refused_whole(self):
        sagas = [{"definition": "orders.place", "input": {}}] * 1001
        self.refused(self.api("POST", "/v1/sagas/batch", {"sagas": sagas}), 400, "batch-size-invalid")
        self.refused(self.api("POST", "/v1/sagas/batch", {"sagas": []}), 400, "batch-size-invalid")


class Reading(Rest):
    def test_a_list_walks_every_saga_once_newest_first(self):
        ids = [self.start(f"l{i}", labels={"walk": "yes"})[1]["id"] for i in range(12)]
        seen, cursor = [], None
        while True:
            path = "/v1/sagas?label.walk=yes&limit=5" + (f"&cursor={cursor}" if cursor else "")
            status, page, _ = self.api("GET", path)
            self.assertEqual(status, 200)
            seen += [s["id"] for s in page["sagas"]]
            cursor = page["cursor"]
            if not cursor:
                break
        self.assertEqual(seen, sorted(ids, reverse=True))
        # A page that ends with the last saga says that there are no more.
        self.assertIsNone(self.api("GET", f"/v1/sagas?label.walk=yes&limit={len(ids)}")[1]["cursor"])

    def test_a_list_finds_sagas_by_the_beginning_of_their_id(self):
        saga = self.start("p1")[1]["id"]
        for prefix in (saga, saga.upper(), saga[:30], saga[:24]):
            self.assertEqual([s["id"] for s in self.api("GET", f"/v1/sagas?idPrefix={prefix}")[1]["sagas"]], [saga])
        self.assertIn(saga, [s["id"] for s in self.api("GET", f"/v1/sagas?idPrefix={saga[:8]}&limit=500")[1]["sagas"]])
        self.assertEqual(self.api("GET", f"/v1/sagas?idPrefix={saga[:30]}&definition=other")[1]["sagas"], [])
        for wrong in (saga[:7], "", "o-17-4711", saga + "0", saga.replace("-", "")[:12]):
            self.refused(self.api("GET", f"/v1/sagas?idPrefix={wrong}"), 400, "query-invalid")

    def test_each_filter_finds_what_it_names_and_nothing_else(self):
        self.world.fault(service="inventory", match="o-f1", phase="forward", mode="refuse", status=409, times=1)
        failed = self.world.server.ended(self.start("f1", labels={"team": "blue"})[1]["id"])["id"]
        done = self.world.server.ended(self.start("f2", labels={"team": "red"})[1]["id"])["id"]
        started = self.world.server.saga(done)["startedAt"]
        for query, there, not_there in (
                ("status=FAILED", failed, done), ("status=COMPLETED", done, failed),
                ("failureCode=OUT_OF_STOCK", failed, done), ("label.team=red", done, failed),
                ("businessKey=o-f2", done, failed), (f"startedAfter={started}", done, failed),
                (f"startedBefore={started}", failed, done), ("definition=orders.place&label.team=blue", failed, done)):
            ids = [s["id"] for s in self.api("GET", f"/v1/sagas?limit=500&{query}")[1]["sagas"]]
            self.assertIn(there, ids, query)
            self.assertNotIn(not_there, ids, query)

    def test_a_filter_that_is_not_known_or_not_right_is_refused(self):
        for query in ("statuss=FAILED", "status=DONE", "limit=0", "limit=501", "startedAfter=yesterday", "limit=1&limit=2"):
            self.refused(self.api("GET", f"/v1/sagas?{query}"), 400, "query-invalid")
        self.refused(self.api("GET", "/v1/sagas?cursor=x"), 400, "cursor-invalid")

    def test_the_history_is_the_log_without_gaps_in_pages(self):
        saga = self.world.server.ended(self.start("h1")[1]["id"])["id"]
        sequences, after = [], 0
        while after is not None:
            page = self.api("GET", f"/v1/sagas/{saga}/history?after={after}&limit=4")[1]
            sequences += [e["sequence"] for e in page["events"]]
            after = page["next"]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))
        events = self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"]
        self.assertEqual((events[0]["type"], events[-1]["type"]), ("SagaStarted", "SagaEnded"))

    def test_sensitive_input_is_masked(self):
        saga = self.world.server.saga(self.start("m1")[1]["id"])
        self.assertEqual(saga["input"]["cardToken"], "***")

    def test_the_system_answers_about_itself(self):
        self.assertEqual(self.api("GET", "/livez")[0], 200)
        self.assertEqual(self.api("GET", "/readyz")[0], 200)
        self.assertEqual(self.api("GET", "/version")[1]["name"], "backstitch")
        for metric in ("backstitch_starts_total", "backstitch_starts_refused_total", "backstitch_starts_invalid_total"):
            self.assertIn(metric, self.api("GET", "/metrics")[1])

    def test_the_schema_of_the_language_is_served_as_it_is_shipped(self):
        with urllib.request.urlopen(self.world.server.url + "/schemas/saga-1.json") as answer:
            self.assertEqual(answer.headers["Content-Type"], "application/schema+json")
            served = answer.read()
        with open(harness.LANGUAGE_SCHEMA, "rb") as file:
            self.assertEqual(served, file.read())

    def test_no_route_takes_a_query_parameter_that_it_does_not_know(self):
        saga = self.start("q1")[1]["id"]
        paths = {"GET": ("/livez", "/readyz", "/metrics", "/version", "/schemas/saga-1.json", "/errors/internal", "/v1/definitions",
                         "/v1/definitions/orders.place", "/v1/definitions/orders.place/graph", "/v1/definitions/orders.place/versions/1",
                         "/v1/definitions/orders.place/versions/1/graph", "/v1/services", "/v1/services/orders", "/v1/nodes",
                         "/v1/sagas", f"/v1/sagas/{saga}", f"/v1/sagas/{saga}/history"),
                 "PUT": ("/v1/services/unseen",),
                 "POST": ("/v1/definitions", "/v1/definitions/validate", "/v1/definitions/orders.place/versions/1/compatibility",
                          "/v1/definitions/orders.place/versions/1/activate", "/v1/sagas", "/v1/sagas/batch",
                          f"/v1/sagas/{saga}/signals/x", "/v1/callbacks/x")}
        for method, some in paths.items():
            for path in some:
                with self.subTest(f"{method} {path}"):
                    self.refused(self.api(method, f"{path}?unheard=of", {} if method != "GET" else None), 400, "query-invalid")

    def test_a_method_that_is_not_there_is_405_with_what_is(self):
        answer = self.api("DELETE", "/v1/sagas")
        self.refused(answer, 405, "method-not-allowed")
        self.assertEqual(set(answer[2]["Allow"].split(", ")), {"GET", "POST"})


class Operators(Rest):
    def suspended(self, number):
        """A saga whose undo was refused for good would take a day; one past its pivot is suspended by its step."""
        definition = {"dsl": 1, "name": "ops.suspend", "version": 1, "services": {"orders": {"use": "orders"}},
                      "input": {"type": "object"}, "steps": [
                          {"name": "first", "action": {"service": "orders", "http": "PUT /bench/x"}, "compensation": "none"},
                          {"name": "stuck", "action": {"service": "orders", "http": "PUT /bench/y"},
                           "compensation": {"http": "PUT /bench-refuse/z", "retry": {"maxAttempts": 2, "delay": "10ms"}}},
                          {"name": "stop", "fail": {"code": "STOPPED"}}]}
        status, body, _ = self.api("POST", "/v1/definitions", json.dumps(definition))
        self.assertIn(status, (200, 201), body)
        saga = self.api("POST", "/v1/sagas", {"definition": "ops.suspend", "input": {"n": number}})[1]["id"]
        ended = self.world.server.ended(saga)
        self.assertEqual(ended["status"], "SUSPENDED", ended)
        return saga

    def test_an_undo_that_cannot_work_suspends_and_a_skip_lets_the_saga_end(self):
        saga = self.suspended(1)
        status, body, _ = self.api("POST", f"/v1/sagas/{saga}/steps/stuck/skip", {"reason": "done by hand"})
        self.assertEqual(status, 200, body)
        ended = self.world.server.ended(saga)
        self.assertIn(ended["status"], ("FAILED", "FAILED_INCOMPLETE"))
        self.assertEqual(step(ended, "stuck")["status"], "compensation-skipped")

    def test_resolving_the_undo_counts_it_as_done(self):
        saga = self.suspended(2)
        status, body, _ = self.api("POST", f"/v1/sagas/{saga}/steps/stuck/resolve", {"as": "compensated", "reason": "by phone"})
        self.assertEqual(status, 200, body)
        ended = self.world.server.ended(saga)
        self.assertEqual(ended["status"], "FAILED")
        self.assertEqual(step(ended, "stuck")["status"], "compensated")

    def test_a_retry_gives_a_suspended_step_a_new_budget(self):
        saga = self.suspended(3)
        before = len(self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"])
        self.assertEqual(self.api("POST", f"/v1/sagas/{saga}/retry", {"reason": "again"})[0], 200)
        self.assertEqual(self.world.server.ended(saga)["status"], "SUSPENDED")
        self.assertGreater(len(self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"]), before)

    def test_a_dry_run_tells_what_an_operators_action_would_set_going_and_does_nothing(self):
        saga = self.suspended(5)
        before = self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"]
        status, plan, _ = self.api("POST", f"/v1/sagas/{saga}/retry?dryRun=true", {"reason": "look"})
        self.assertEqual((status, plan["dryRun"], plan["end"], plan["complete"]), (200, True, "FAILED", True))
        self.assertEqual([(s["step"], s["action"]) for s in plan["steps"]], [("stuck", "undo")])
        status, plan, _ = self.api("POST", f"/v1/sagas/{saga}/steps/stuck/skip?dryRun=true", {})
        self.assertEqual((status, plan["end"], plan["steps"]), (200, "FAILED_INCOMPLETE", []))
        self.assertEqual(self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"], before)
        self.assertEqual(self.world.postgres.query("select count(*) from backstitch.audit where reason = 'look'"), "0")
        shown = self.world.server.cli("retry", saga, "--dry-run").stdout
        self.assertIn("undoes stuck", shown)
        self.assertIn("Nothing was done", shown)
        ended = self.world.server.ended(self.start("o2")[1]["id"])["id"]
        self.assertEqual(self.api("POST", f"/v1/sagas/{ended}/retry?dryRun=true", {})[0], 409)

    def test_a_misspelt_dry_run_does_nothing(self):
        saga = self.suspended(6)
        before = self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"]
        for action in ("cancel", "retry", "suspend", "steps/stuck/skip", "steps/stuck/resolve"):
            for query in ("dryrun=true", "dryRun=true&dryRun=true", "dry-run", "dryRun=true&force=true"):
                answer = self.api("POST", f"/v1/sagas/{saga}/{action}?{query}", {"as": "compensated"} if "resolve" in action else {})
                self.refused(answer, 400, "query-invalid")
        self.assertEqual(self.api("GET", f"/v1/sagas/{saga}/history")[1]["events"], before)

    def test_an_action_the_state_does_not_allow_is_a_conflict(self):
        saga = self.world.server.ended(self.start("o1")[1]["id"])["id"]
        self.assertEqual(self.api("POST", f"/v1/sagas/{saga}/retry", {})[0], 409)
        self.assertEqual(self.api("POST", f"/v1/sagas/{saga}/cancel", {})[0], 409)
        self.refused(self.api("POST", "/v1/sagas/0190a0a0-0000-7000-8000-000000000000/cancel", {}), 404, "saga-not-found")

    def test_every_operator_action_is_audited_in_the_transaction_of_its_effect(self):
        saga = self.suspended(4)
        self.api("POST", f"/v1/sagas/{saga}/steps/stuck/skip", {"reason": "audited"})
        self.assertEqual(self.world.postgres.query(
            "select count(*) from backstitch.audit where reason = 'audited'"), "1")


class Definitions(Rest):
    def definition(self, version=1, name="defs.small", **changes):
        return {"dsl": 1, "name": name, "version": version,
                "steps": [{"name": "one", "value": version}], "output": "${steps.one.output}", **changes}

    def put(self, definition, query=""):
        return self.api("POST", f"/v1/definitions{query}", json.dumps(definition))

    def test_registering_is_201_then_200_and_409_for_other_content(self):
        self.assertEqual(self.put(self.definition())[0], 201)
        self.assertEqual(self.put(self.definition())[0], 200)
        self.refused(self.put(self.definition(description="other")), 409, "definition-conflict")

    def test_the_first_version_is_active_and_a_later_one_when_it_is_told(self):
        for version in (1, 2):
            self.put(self.definition(version, "defs.active"))
        self.assertEqual(self.api("GET", "/v1/definitions/defs.active")[1]["activeVersion"], 1)
        self.assertEqual(self.api("POST", "/v1/definitions/defs.active/versions/2/activate")[0], 200)
        body = self.api("POST", "/v1/sagas?wait=10s", {"definition": "defs.active", "input": {}})[1]
        self.assertEqual((body["version"], body["output"]), (2, 2))
        body = self.api("POST", "/v1/sagas?wait=10s", {"definition": "defs.active", "version": 1, "input": {}})[1]
        self.assertEqual((body["version"], body["output"]), (1, 1))

    def test_a_definition_with_ten_mistakes_is_422_with_ten_findings(self):
        bad = {"dsl": 1, "name": "Bad Name", "version": 0, "stepz": [], "timeout": "soon", "labels": [],
               "steps": [{"name": "One", "value": 1}, {"name": "two", "value": "${1 +}"}, {"name": "three"},
                         {"name": "four", "action": {"service": "x", "http": "FETCH /x"}},
                         {"name": "five", "fail": {"code": "lower"}}]}
        answer = self.put(bad)
        self.refused(answer, 422, "definition-invalid")
        pointers = {f["pointer"] for f in answer[1]["findings"]}
        self.assertTrue({"/name", "/version", "/stepz", "/timeout", "/labels", "/steps/0/name", "/steps/1/value",
                         "/steps/2", "/steps/3/action/http", "/steps/4/fail/code"} <= pointers, sorted(pointers))
        for finding in answer[1]["findings"]:
            self.assertTrue(finding["line"] > 0 and finding["message"] and finding["code"], finding)

    def test_what_was_registered_can_be_read_back(self):
        self.put(self.definition(1, "defs.read"))
        body = self.api("GET", "/v1/definitions/defs.read/versions/1")[1]
        self.assertEqual(body["definition"]["steps"][0]["name"], "one")
        self.assertEqual(len(body["hash"]), 64)
        self.assertIn("defs.read", [d["name"] for d in self.api("GET", "/v1/definitions")[1]["definitions"]])
        self.refused(self.api("GET", "/v1/definitions/defs.read/versions/7"), 404, "definition-not-found")

    def test_a_definition_is_drawn_the_active_version_or_the_one_named(self):
        for version in (1, 2):
            self.put(self.definition(version, "defs.drawn", description="</desc><script>alert(1)</script>"))
        self.api("POST", "/v1/definitions/defs.drawn/versions/2/activate")
        for path, title in (("graph", "defs.drawn, version 2"), ("versions/1/graph", "defs.drawn, version 1")):
            status, body, headers = self.api("GET", f"/v1/definitions/defs.drawn/{path}")
            self.assertEqual((status, headers["Content-Type"]), (200, "image/svg+xml"))
            self.assertEqual(headers["Content-Security-Policy"], "default-src 'none'; style-src 'unsafe-inline'")
            svg = ElementTree.fromstring(body)
            self.assertEqual(svg.find("{http://www.w3.org/2000/svg}title").text, title)
            self.assertNotIn("script", {element.tag.split("}")[1] for element in svg.iter()})
        for form, kind, word in (("svg", "image/svg+xml", "<svg"), ("mermaid", "text/vnd.mermaid", "flowchart TB"),
                                 ("dot", "text/vnd.graphviz", "digraph")):
            status, body, headers = self.api("GET", f"/v1/definitions/defs.drawn/graph?format={form}")
            self.assertEqual((status, headers["Content-Type"].split(";")[0]), (200, kind))
            self.assertIn(word, body)

    def test_what_cannot_be_drawn_is_refused(self):
        self.put(self.definition(1, "defs.refused"))
        for path in ("defs.none/graph", "defs.none/versions/1/graph", "defs.refused/versions/7/graph",
                     "defs.refused/versions/x/graph"):
            self.refused(self.api("GET", f"/v1/definitions/{path}"), 404, "definition-not-found")
        self.refused(self.api("GET", "/v1/definitions/defs.refused/graph?format=png"), 400, "query-invalid")

    def test_validate_only_reports(self):
        status, body, _ = self.api("POST", "/v1/definitions/validate", json.dumps(self.definition(1, "defs.unseen")))
        self.assertEqual((status, body["valid"], body["findings"]), (200, True, []))
        self.refused(self.api("GET", "/v1/definitions/defs.unseen"), 404, "definition-not-found")

    def test_definitions_their_versions_and_services_come_page_by_page(self):
        for version in (1, 2, 3):
            self.put(self.definition(version, "defs.paged"))
        for path, items, key in (("/v1/definitions", "definitions", "name"), ("/v1/services", "services", "name"),
                                 ("/v1/definitions/defs.paged", "versions", "version")):
            whole = self.api("GET", path)[1]
            self.assertIsNone(whole["cursor"])
            seen, cursor = [], ""
            while cursor is not None:
                page = self.api("GET", f"{path}?limit=2" + (f"&cursor={cursor}" if cursor else ""))[1]
                self.assertLessEqual(len(page[items]), 2)
                seen += page[items]
                cursor = page["cursor"]
            self.assertEqual(seen, whole[items])
            self.assertGreater(len(seen), 2)
        self.refused(self.api("GET", "/v1/definitions/defs.paged?cursor=x"), 400, "cursor-invalid")
        self.refused(self.api("GET", "/v1/definitions/defs.none?limit=2"), 404, "definition-not-found")
        listed = json.loads(self.world.server.cli("definitions", "--json").stdout)
        self.assertIn("defs.paged", [d["name"] for d in listed["definitions"]])

    def test_services_are_stored_and_read_back(self):
        self.assertIn(self.api("PUT", "/v1/services/extra", {"baseUrl": self.world.participants.urls["mail"]})[0], (200, 201))
        self.assertIn("extra", [s["name"] for s in self.api("GET", "/v1/services")[1]["services"]])
        self.refused(self.api("GET", "/v1/services/none"), 404, "service-not-found")
        self.refused(self.api("PUT", "/v1/services/extra", {"baseUrl": 7}), 422, "service-invalid")


if __name__ == "__main__":
    unittest.main(verbosity=2)
