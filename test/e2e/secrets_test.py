"""Secrets go to the services that they are for, and to no other place."""
import http.server
import json
import os
import re
import tempfile
import threading
import unittest

from support import UNSYNCED_ARGUMENTS, harness

TOKEN = "TOPSECRET-bank-token-123"


class Echo(harness.HttpService):
    """Answers with the headers that it was sent."""

    def __init__(self):
        echo, self.seen, self.lock = self, [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                credentials = self.headers.get("Authorization", self.headers.get("X-Api-Key"))
                with echo.lock:
                    echo.seen.append(credentials)
                body = json.dumps({"said": credentials}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.serve(Handler)


def definition(name, service):
    return json.dumps({"dsl": 1, "name": name, "version": 1, "services": {"bank": service},
                       "defaults": {"retry": {"maxAttempts": 1}},
                       "steps": [{"name": "pay", "action": {"service": "bank", "http": "PUT /pay"}, "compensation": "none"}],
                       "output": "${steps.pay.output}"})


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="backstitch-secrets-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.enterClassContext(cls.postgres)
        cls.echo = Echo()
        cls.addClassCleanup(cls.echo.stop)
        cls.log = os.path.join(cls.folder, "server.log")
        secrets = os.path.join(cls.folder, "secrets")
        os.mkdir(secrets)
        cls.server = harness.Server(cls.postgres.url, arguments=[*UNSYNCED_ARGUMENTS, "--secrets", secrets], log=cls.log)
        cls.enterClassContext(cls.server)

    def secret(self, name, text=TOKEN, services=None, mode=0o600):
        path = os.path.join(self.folder, "secrets", name)
        for file, content in ((path, text), (path + ".services", services)):
            if content is not None:
                with open(file, "w", encoding="utf-8") as out:
                    out.write(content)
        os.chmod(path, mode)
        return path

    def secret_list(self, name, services):
        with open(os.path.join(self.folder, "secrets", name + ".services"), "w", encoding="utf-8") as out:
            out.write(services)

    def put(self, name, secret, **auth):
        auth = {"type": "bearer", "secret": secret, **auth}
        return self.server.api("PUT", f"/v1/services/{name}", {"baseUrl": self.echo.url, "auth": auth})

    def pay(self, name, service):
        """A saga of one call. @return it at its end"""
        self.server.register_text(definition(name, {"use": service}))
        status, saga, _ = self.server.start_saga(name, {}, wait="10s")
        self.assertEqual(status, 201, saga)
        return saga

    def test_a_service_of_the_list_uses_the_secret(self):
        self.secret("bank-token", services="other\nbank\n")
        self.assertIn(self.put("bank", "bank-token")[0], (200, 201))
        saga = self.pay("secrets.listed", "bank")
        self.assertEqual(saga["status"], "COMPLETED")
        self.assertEqual(self.echo.seen[-1], "Bearer " + TOKEN)
        # The service has repeated it in its answer.
        self.assertEqual(saga["output"], {"said": "Bearer ***"})
        self.assertEqual(self.postgres.query(f"select count(*) from backstitch.saga_log where data::text like '%{TOKEN}%'"), "0")

    def test_an_unknown_secret_and_one_of_another_service_are_the_same(self):
        self.secret("bare-token")
        self.secret("shop-token", services="shop\n")
        self.secret("open-token", services="thief\n", mode=0o644)
        os.mkdir(os.path.join(self.folder, "secrets", "folder-token"))
        self.secret_list("folder-token", "thief\n")
        told = set()
        for name in ("no-token", "bare-token", "shop-token", "open-token", "folder-token", "shop-token.services"):
            status, body, _ = self.put("thief", name)
            self.assertEqual(status, 422, (name, body))
            told.add(json.dumps(body["findings"][0] if "findings" in body else body["errors"][0]).replace(name, "NAME"))
        self.assertEqual(len(told), 1, told)
        self.assertEqual(self.server.api("GET", "/readyz")[0], 200)
        # Another thread writes the log.
        harness.wait_until(lambda: len(self.refused()) >= 2, 10, "the lines of the log")
        self.assertEqual(len(self.refused()), 2, self.refused())
        self.assertNotIn(TOKEN, "".join(self.refused()))

    def test_a_refused_use_is_counted_and_the_call_waits(self):
        self.secret("counted-token", services="counted\n")
        self.assertIn(self.put("counted", "counted-token")[0], (200, 201))
        self.server.register_text(definition("secrets.counted", {"use": "counted"}))
        self.secret_list("counted-token", "other\n")
        status, saga, _ = self.server.start_saga("secrets.counted", {})
        self.assertEqual(status, 201, saga)
        harness.wait_until(lambda: re.search(r'^backstitch_calls_not_sent_total{lack="secret-missing"} [1-9]',
                                             self.server.api("GET", "/metrics")[1], re.MULTILINE), 30, "the count")
        self.secret_list("counted-token", "counted\n")
        self.assertEqual(self.server.ended(saga["id"])["status"], "COMPLETED")

    def refused(self):
        with open(self.log, encoding="utf-8") as log:
            return [line for line in log if "secret-refused" in line]

    def test_a_definition_that_names_a_secret_is_refused(self):
        self.secret("inline-token", services="bank\nsecrets.inline/bank\n")
        for given in ({"auth": {"type": "bearer", "secret": "inline-token"}}, {"tls": {"ca": "inline-token"}},
                      {"tls": {"clientCert": "inline-token"}}, {"auth": {"type": "apiKey", "secret": "nope", "header": "X-A"}}):
            with self.subTest(given=given):
                status, body, _ = self.server.api("POST", "/v1/definitions",
                                                  definition("secrets.inline", {"baseUrl": self.echo.url, **given}))
                self.assertEqual(status, 422, body)
                self.assertIn("E303", json.dumps(body))


if __name__ == "__main__":
    unittest.main(verbosity=2)
