"""Participants behind a forward proxy: the node's, and a service's own with credentials."""
import base64
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest
import unittest.mock

from support import UNSYNCED_ARGUMENTS, harness

CREDENTIALS = "engine:TOPSECRET-proxy-password"
SENT = "Basic " + base64.b64encode(CREDENTIALS.encode()).decode()


class ForwardProxy(harness.HttpService):
    """Answers requests in absolute form as their participant would, and repeats the credentials that it was sent."""

    def __init__(self):
        proxy, self.seen, self.lock = self, [], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                credentials = self.headers.get("Proxy-Authorization")
                with proxy.lock:
                    proxy.seen.append((self.path, self.headers["Host"], credentials))
                body = json.dumps({"said": credentials}).encode()
                self.send_response(407 if "/guarded/" in self.path else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_CONNECT(self):
                with proxy.lock:
                    proxy.seen.append((self.path, self.headers["Host"], None))
                self.send_error(403)

            def log_message(self, *_):
                pass

        self.serve(Handler)


def definition(name, service):
    return json.dumps({"dsl": 1, "name": name, "version": 1, "services": {"bank": {"use": service}},
                       "defaults": {"retry": {"maxAttempts": 1}},
                       "steps": [{"name": "pay", "action": {"service": "bank", "http": "PUT /pay"}, "compensation": "none"}],
                       "output": "${steps.pay.output}"})


class EgressProxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="backstitch-proxy-")
        cls.addClassCleanup(folder.cleanup)
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.enterClassContext(cls.postgres)
        cls.proxy, cls.own = ForwardProxy(), ForwardProxy()
        for one in (cls.proxy, cls.own):
            cls.addClassCleanup(one.stop)
        cls.log = os.path.join(folder.name, "server.log")
        secrets = os.path.join(folder.name, "secrets")
        os.mkdir(secrets)
        for name, text in (("proxy-user", CREDENTIALS), ("proxy-user.services", "own\nplain\n")):
            with open(os.path.join(secrets, name), "w", encoding="utf-8") as out:
                out.write(text)
            os.chmod(os.path.join(secrets, name), 0o600)
        cls.server = harness.Server(
            cls.postgres.url, log=cls.log,
            arguments=[*UNSYNCED_ARGUMENTS, "--secrets", secrets, "--egress-proxy", cls.proxy.url, "--no-egress-proxy",
                       "direct.test", "--allow-host", "bank.test"])
        environment = {"https_proxy": "http://user:TOPSECRET-in-the-environment@proxy.test:3128", "ALL_PROXY": cls.own.url}
        with unittest.mock.patch.dict(os.environ, environment):
            cls.enterClassContext(cls.server)

    def put(self, name, **service):
        return self.server.api("PUT", f"/v1/services/{name}", service)

    def pay(self, service):
        """A saga of one call. @return it at its end"""
        self.server.register_text(definition(f"proxied.{service}", service))
        status, saga, _ = self.server.start_saga(f"proxied.{service}", {}, wait="10s")
        self.assertEqual(status, 201, saga)
        return saga

    def test_a_service_without_a_proxy_of_its_own_is_called_through_the_nodes(self):
        self.assertIn(self.put("bank", baseUrl="http://bank.test/api")[0], (200, 201))
        self.assertEqual(self.pay("bank")["status"], "COMPLETED")
        self.assertIn(("http://bank.test/api/pay", "bank.test", None), self.proxy.seen)

    def test_a_tunnel_that_is_refused_is_a_call_that_was_not_sent(self):
        self.assertIn(self.put("closed", baseUrl="https://bank.test")[0], (200, 201))
        saga = self.pay("closed")
        self.assertEqual(saga["status"], "FAILED")
        self.assertIn("answered CONNECT with 403", json.dumps(saga))
        self.assertIn(("bank.test:443", "bank.test:443", None), self.proxy.seen)

    def test_a_proxy_that_asks_for_credentials_settles_nothing_unless_a_rule_says_so(self):
        rule = {"status": 407, "when": "${response.from == 'intermediary'}", "is": "transient"}
        for name, outcomes, code in (("guarded", [], "OUTCOME_UNKNOWN"), ("guarded-alone", [rule], "RETRIES_EXHAUSTED")):
            with self.subTest(name):
                status, body, _ = self.put(name, baseUrl="http://bank.test/guarded", outcomes=outcomes)
                self.assertIn(status, (200, 201), body)
                failure = self.pay(name)["failure"]
                self.assertEqual(failure["code"], code)
                self.assertIn("ANSWER_FOREIGN, an intermediary answered 407", failure["message"])

    def test_a_service_is_called_through_its_own_proxy_and_its_credentials_are_nowhere(self):
        status, body, _ = self.put("own", baseUrl="http://127.0.0.1:9/api", proxy=self.own.url,
                                   proxyAuth={"type": "basic", "secret": "proxy-user"})
        self.assertIn(status, (200, 201), body)
        saga = self.pay("own")
        self.assertEqual((saga["status"], saga["output"]), ("COMPLETED", {"said": "Basic ***"}))
        self.assertEqual(self.own.seen, [("http://127.0.0.1:9/api/pay", "127.0.0.1:9", SENT)])
        for secret in (CREDENTIALS, SENT.split()[1]):
            self.assertEqual(self.postgres.query(f"select count(*) from backstitch.saga_log where data::text like '%{secret}%'"), "0")
            self.assertNotIn(secret, self.logged())

    def test_a_proxy_is_judged_as_a_base_url_is(self):
        for proxy, told in (("http://proxy.test:3128", "--allow-host proxy.test:3128"), ("http://10.0.0.1", "--allow-host 10.0.0.1:80"),
                            ("http://user:TOPSECRET@127.0.0.1", "http://HOST:PORT")):
            with self.subTest(proxy):
                status, body, _ = self.put("judged", baseUrl="http://bank.test", proxy=proxy)
                self.assertEqual(status, 422, body)
                self.assertIn(told, json.dumps(body))
                self.assertNotIn("TOPSECRET", json.dumps(body))

    def test_a_definition_has_no_proxy_of_its_own(self):
        document = json.loads(definition("proxied.inline", "bank"))
        document["services"]["bank"] = {"baseUrl": "http://bank.test", "proxy": self.own.url}
        status, body, _ = self.server.api("POST", "/v1/definitions", json.dumps(document))
        self.assertEqual(status, 422, body)
        self.assertIn("only a registered service may have a proxy", json.dumps(body))

    def logged(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def test_a_proxy_of_the_environment_is_named_as_not_used(self):
        lines = [line for line in self.logged().splitlines() if "environment-proxy-unused" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("https_proxy, ALL_PROXY", lines[0])
        self.assertNotIn("TOPSECRET", self.logged())

    def test_a_proxy_that_cannot_be_used_is_refused_at_the_start(self):
        for arguments in (["--egress-proxy", "https://proxy.test"], ["--egress-proxy", "http://user:TOPSECRET@proxy.test"],
                          ["--egress-proxy", "http://proxy.test", "--no-egress-proxy", "*.corp.test"],
                          ["--no-egress-proxy", "corp.test"]):
            with self.subTest(arguments):
                done = subprocess.run([harness.PROGRAM, "serve", "--database", self.postgres.url, *arguments], capture_output=True,
                                      text=True, timeout=120)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("option-invalid", done.stderr)
                self.assertNotIn("TOPSECRET", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
