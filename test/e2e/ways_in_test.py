"""The same values and the same limits by every way in: REST, a batch, SQL, the command line."""
import json
import tempfile
import unittest

from support import World, harness

ANY = {"dsl": 1, "name": "ways.any", "version": 1,
       "steps": [{"name": "w", "wait": {"signal": "go", "timeout": "1h"}}],
       "output": {"value": "${input.value}", "signal": "${steps.w.output.payload}"}}
REFUSED = "refused"

# What is sent -> what the saga holds; JSON text, since Python's numbers are others.
NUMBERS = [("3", "3"), ("3.0", "3"), ("1e3", "1000"), ("-0", "0"), ("-0.0", "0"), ("0.1", "0.1"), ("2.50", "2.5"),
           ("9007199254740993", "9007199254740993"), ("9223372036854775807", "9223372036854775807"),
           ("9223372036854775807.0", "9223372036854775807"), ("-9223372036854775808", "-9223372036854775808"),
           ("1.5e15", "1500000000000000"), ("1.2e19", "1.2e+19"), ("12000000000000000000", "1.2e+19"),
           ("1e300", "1e+300"), ("1e23", "1e+23"), ("5e22", "5e+22"), ("8.41e21", "8.41e+21"),
           ("51667163927382334000000000000", "5.1667163927382334e+28"), ("51667163927382335000000000000", REFUSED),
           ("5e-324", "5e-324"), ("9223372036854775808", REFUSED), ("18446744073709551615", REFUSED),
           ("18446744073709551616", REFUSED), ("-9223372036854775809", REFUSED), ("1e400", REFUSED), ("-1e400", REFUSED)]
TEXTS = [('"é\\ud83d\\ude00"', '"é😀"'), ('"\\u0000"', REFUSED)]


def read(text):
    """PostgreSQL writes all digits of 1e300; integers that no double needs stay exact."""
    value = json.loads(text)
    return float(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def nested(depth):
    return depth * "[" + depth * "]"


def cases(depth_max):
    """JSON is at most 64 deep, whatever it is a part of."""
    return NUMBERS + TEXTS + [(nested(depth_max), nested(depth_max)), (nested(depth_max + 1), REFUSED)]


class WaysIn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().open()
        cls.addClassCleanup(cls.world.close)
        cls.server = cls.world.server
        cls.server.register_text(json.dumps(ANY))

    def by_rest(self, value):
        status, body, _ = self.server.api("POST", "/v1/sagas", f'{{"definition":"ways.any","input":{{"value":{value}}}}}'.encode())
        return body["id"] if status == 201 else REFUSED

    def by_batch(self, value):
        status, body, _ = self.server.api(
            "POST", "/v1/sagas/batch", f'{{"sagas":[{{"definition":"ways.any","input":{{"value":{value}}}}}]}}'.encode())
        if status != 200:
            return REFUSED
        result = body["results"][0]
        return result["id"] if result["status"] == 201 else REFUSED

    def by_sql(self, value):
        try:
            return self.world.postgres.query(
                "select backstitch.start_saga('ways.any', $v${\"value\":" + value + "}$v$::jsonb)")
        except RuntimeError:
            return REFUSED

    def by_command(self, value):
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            file.write(f'{{"value":{value}}}')
            file.flush()
            done = self.server.cli("start", "ways.any", "--input", file.name, "--json")
        return json.loads(done.stdout)["id"] if done.returncode == 0 else REFUSED

    def held(self, saga):
        """The value as the saga's row has it, JSON text of PostgreSQL."""
        return harness.wait_until(lambda: self.world.postgres.query(
            f"select data->'input'->'value' from backstitch.saga_log where saga_id = '{saga}' and sequence = 1"), 10, "a log")

    def test_a_value_is_the_same_by_every_way_in_or_refused_by_all(self):
        for sent, expected in cases(63):
            for way in (self.by_rest, self.by_batch, self.by_sql, self.by_command):
                with self.subTest(sent=sent[:40], way=way.__name__):
                    saga = way(sent)
                    if expected == REFUSED:
                        self.assertEqual(saga, REFUSED)
                    else:
                        self.assertNotEqual(saga, REFUSED)
                        self.assertEqual(read(self.held(saga)), read(expected))

    def test_a_signal_is_the_same_by_every_way_in_or_refused_by_all(self):
        for sent, expected in cases(64):
            for way in ("rest", "sql"):
                with self.subTest(sent=sent[:40], way=way):
                    saga = self.by_rest("1")
                    if way == "rest":
                        status = self.server.api("POST", f"/v1/sagas/{saga}/signals/go", sent.encode())[0]
                        taken = status == 202
                    else:
                        try:
                            self.world.postgres.query(f"select backstitch.signal('{saga}', 'go', $v${sent}$v$::jsonb)")
                            taken = True
                        except RuntimeError:
                            taken = False
                    self.assertEqual(taken, expected != REFUSED)
                    if taken:
                        ended = self.server.ended(saga, 30)
                        self.assertEqual(read(json.dumps(ended["output"]["signal"])), read(expected))


if __name__ == "__main__":
    unittest.main(verbosity=2)
