"""A service that declares `answers.echo`: only an answer with the key of its call is the participant's own."""
import json
import unittest

from support import World, harness


def definition(name):
    return json.dumps({
        "dsl": 1, "name": "echo." + name, "version": 1, "services": {"s": {"use": name}},
        "steps": [{"name": "a", "action": {"service": "s", "http": "PUT /bench/a"}, "retry": {"maxAttempts": 2, "delay": "1ms"},
                   "compensation": {"http": "DELETE /bench/a", "retry": {"maxAttempts": 2, "delay": "1ms"}}},
                  {"name": "f", "when": "${input.fails}", "fail": {"code": "STOP", "message": "undo it"}}],
        "input": {"type": "object", "required": ["fails"], "properties": {"fails": {"type": "boolean"}}}})


class Echo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(definitions=()).open()
        cls.addClassCleanup(cls.world.close)
        url = next(iter(cls.world.participants.urls.values()))
        for name, header in (("echoing", "Saga-Echo"), ("silent", "X-Request-Key")):
            status, body, _ = cls.world.server.api("PUT", f"/v1/services/{name}", {"baseUrl": url, "answers": {"echo": header}})
            assert status == 201, body
            cls.world.server.register_text(definition(name))

    def ended(self, name, fails):
        status, body, _ = self.world.server.start_saga("echo." + name, {"fails": fails})
        self.assertEqual(status, 201, body)
        saga = self.world.server.ended(body["id"])
        _, history, _ = self.world.server.api("GET", f"/v1/sagas/{saga['id']}/history")
        return saga, [event["data"]["failure"]["code"] for event in history["events"] if event["type"] == "AttemptFailed"]

    def test_answers_with_the_key_are_believed(self):
        for fails, status in ((False, "COMPLETED"), (True, "FAILED")):
            with self.subTest(fails=fails):
                saga, failed = self.ended("echoing", fails)
                self.assertEqual((saga["status"], failed), (status, []))

    def test_answers_without_it_leave_the_action_and_its_undo_open(self):
        saga, failed = self.ended("silent", False)
        self.assertEqual(saga["status"], "SUSPENDED")
        # Two attempts of the action, then two of its undo.
        self.assertEqual(failed, ["ANSWER_FOREIGN"] * 4)
        self.assertIsNone(saga["steps"][0]["output"])


if __name__ == "__main__":
    harness.require_build()
    unittest.main(verbosity=2)
