"""The schema of the language against the parser, with a second validator as the judge of the schema.

What the schema refuses, the parser refuses. What the parser refuses for its structure, the schema
refuses, save for what JSON Schema has no words for.
"""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import harness  # noqa: E402

DEFINITIONS = os.path.join(harness.ROOT, "test", "definitions")

# Codes of what the schema can see too.
STRUCTURE = {"E001", "E002", "E003", "E101", "E104", "E106", "E301", "E305", "E401", "E402", "E501"}
# What the schema has to know too.
MUST_KNOW = {"E002", "E101"}
# What JSON Schema cannot say: why, the words of the finding, and a change that shows it.
BEYOND = [
    ("whether a name is defined elsewhere in the document", r"there is no retry policy",
     {"defaults": {"retry": "patient"}}),
    ("how long a duration is", r"; it is (at most|more than) ", {"defaults": {"attemptTimeout": "6m"}}),
    ("what is a time", r"is not a valid time$", {"steps": [{"name": "w", "sleep": {"until": "tomorrow"}}]}),
    ("how long a sum of units is", r"\"[0-9dhms]+\" is not a valid duration", {"timeout": "3651d"}),
]
# Stands for every kind of value and for a few that are right somewhere.
REPLACEMENTS = [None, True, 0, 2, -1.5, 70_000_000, "", "x", "Not a name", "${input}", "1h2s", "none", [], [None], ["x"], {},
                {"unknown": 1}]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def usual_step(name):
    """A step that is only a text is short for a usual one, as in test/dsl/check_test.cpp."""
    bare = name.rstrip("!+")
    step = {"name": bare, "action": {"service": "s", "http": f"PUT /{bare}"}}
    if name != bare:
        step["kind"] = "pivot" if name.endswith("!") else "retryable"
    else:
        step["compensation"] = {"http": f"DELETE /{bare}"}
    return step


def written_out(node, steps=False):
    if isinstance(node, dict):
        return {name: {branch: written_out(inner, True) for branch, inner in value.items()}
                if name == "branches" and isinstance(value, dict)
                else written_out(value, name in ("steps", "onFailure", "onSuspended"))
                for name, value in node.items()}
    if isinstance(node, list):
        return [usual_step(item) if steps and isinstance(item, str) else written_out(item) for item in node]
    return node


def changed(change):
    base = {"dsl": 1, "name": "t.rule", "version": 1,
            "input": {"type": "object", "additionalProperties": False, "required": ["id", "lines"], "properties": {
                "id": {"type": "string"}, "note": {"type": "string"}, "card": {"type": "string", "x-sensitive": True},
                "lines": {"type": "array", "items": {"type": "object"}}}},
            "services": {"s": {"baseUrl": "https://s.example"}},
            "steps": ["a"]}
    return written_out({**base, **change})


def places(node, at=()):
    """Every path in a document, itself excluded."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield at + (key,)
        yield from places(value, at + (key,))


def at_place(document, path):
    for key in path:
        document = document[key]
    return document


def with_one_change(document):
    """Copies in which one member is missing, unknown, or something else."""
    for path in [(), *places(document)]:
        if isinstance(at_place(document, path), dict):
            for key in ("unknown", "x-comment"):
                other = copy.deepcopy(document)
                at_place(other, path)[key] = 1
                yield other
        if not path:
            continue
        other = copy.deepcopy(document)
        del at_place(other, path[:-1])[path[-1]]
        yield other
        for value in REPLACEMENTS:
            other = copy.deepcopy(document)
            at_place(other, path[:-1])[path[-1]] = value
            yield other


def findings_of(texts):
    """The findings of the program for each text, from one call of it."""
    # Thousands of files: in memory, where the runner offers it.
    with tempfile.TemporaryDirectory(dir=os.environ.get("BACKSTITCH_TEST_MEMORY")) as folder:
        names = [f"{number}.json" for number in range(len(texts))]
        for name, text in zip(names, texts):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([os.path.abspath(harness.PROGRAM), "validate", "--json", *names], cwd=folder, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    results = [answer] if len(names) == 1 else answer
    assert [result["file"] for result in results] == names, done.stderr
    return [[f for f in result["findings"] if f["severity"] == "error"] for result in results]


def is_beyond(finding):
    return any(re.search(words, finding["message"]) for _, words, _ in BEYOND)


def pointer(path):
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)


@unittest.skipIf(jsonschema is None, "there is no second validator: python3-jsonschema is not installed")
class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schema = json.loads(read(harness.LANGUAGE_SCHEMA))
        cls.validator = jsonschema.Draft7Validator(cls.schema)

    def agree(self, documents):
        """Both refuse, or both accept, each of `documents`; gives how many each way."""
        documents = list(documents)
        accepted = refused = 0
        for document, findings in zip(documents, findings_of([json.dumps(d) for d in documents])):
            codes = {finding["code"] for finding in findings}
            if self.validator.is_valid(document):
                accepted += 1
                missed = [f for f in findings if f["code"] in MUST_KNOW and not is_beyond(f)]
                self.assertFalse(missed, f"only the parser refuses {json.dumps(document)}")
            else:
                refused += 1
                if not codes & STRUCTURE:
                    why = next(self.validator.iter_errors(document))
                    self.fail(f"only the schema refuses {json.dumps(document)}: {pointer(why.absolute_path)} {why.message}")
        return accepted, refused

    def test_it_is_a_schema(self):
        jsonschema.Draft7Validator.check_schema(self.schema)

    def test_good_definitions_and_examples_pass(self):
        files = glob.glob(f"{DEFINITIONS}/good/*.json") + glob.glob(f"{harness.ROOT}/examples/*/*.*.json")
        self.assertGreater(len(files), 7)
        for file in files:
            with self.subTest(file):
                self.assertEqual([], [e.message for e in self.validator.iter_errors(json.loads(read(file)))])

    def test_each_mistake_in_bad_definitions_is_a_place_the_schema_refuses(self):
        files = glob.glob(f"{DEFINITIONS}/bad/*.json")
        seen = 0
        for file, findings in zip(files, findings_of([read(file) for file in files])):
            try:
                document = json.loads(read(file))
            except ValueError:
                continue
            refused = {pointer(error.absolute_path) for error in self.validator.iter_errors(document)}
            if refused:
                self.assertTrue({f["code"] for f in findings} & STRUCTURE, f"only the schema refuses {file}")
            for finding in findings:
                if finding["code"] not in MUST_KNOW or is_beyond(finding):
                    continue
                seen += 1
                # An unknown key is refused by its object, and a text of a list by its list.
                place = finding["pointer"]
                near = {place, place.rpartition("/")[0]} & refused or [p for p in refused if p.startswith(place + "/")]
                self.assertTrue(near, f"only the parser refuses {file}: {finding}")
        self.assertGreater(seen, 100)

    def test_rules_and_their_near_misses_are_judged_alike(self):
        rules = json.loads(read(f"{DEFINITIONS}/rules.json"))
        accepted, refused = self.agree([changed(change) for _, bad, good, *_ in rules for change in (bad, good)])
        self.assertGreater(accepted, 200)
        self.assertGreater(refused, 10)

    def test_every_single_change_is_judged_alike(self):
        for document in json.loads(read(os.path.join(os.path.dirname(__file__), "every-member.json"))):
            with self.subTest(document["name"]):
                self.assertEqual((1, 0), self.agree([document]))
                accepted, refused = self.agree(with_one_change(document))
                self.assertGreater(accepted, 50)
                self.assertGreater(refused, 200)

    def test_every_member_of_the_schema_stands_in_the_documents_that_are_changed(self):
        documents = json.loads(read(os.path.join(os.path.dirname(__file__), "every-member.json")))
        written = {key for document in documents for path in places(document) for key in path}
        known = {key for path in places(self.schema) if "properties" in path[:-1] and path[-2] == "properties"
                 for key in path[-1:]}
        self.assertEqual(set(), known - written)

    def test_every_member_says_what_it_is(self):
        for name, node in {"": self.schema, **self.schema["definitions"]}.items():
            for member, value in node.get("properties", {}).items():
                target = self.schema["definitions"][value["$ref"].rpartition("/")[2]] if "$ref" in value else value
                self.assertTrue({"title", "description"} & set(target), f"{name}.{member}")

    def test_what_a_schema_cannot_say_is_refused_by_the_parser_alone(self):
        documents = [changed(change) for _, _, change in BEYOND]
        for (reason, words, _), document, findings in zip(
                BEYOND, documents, findings_of([json.dumps(d) for d in documents])):
            with self.subTest(reason):
                self.assertTrue(self.validator.is_valid(document))
                self.assertTrue(any(f["code"] in MUST_KNOW and re.search(words, f["message"]) for f in findings), findings)


if __name__ == "__main__":
    unittest.main()
