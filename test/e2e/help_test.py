"""What the program says before it does anything: help, exit codes, mistakes in the command line, servers that are not Backstitch."""
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support import harness

PAGE = os.path.join(harness.ROOT, "docs", "command-line.md")
ANY_ID = "019e80a1-6f3c-7b52-9d1e-0c8f5a2b4e17"


def run(*arguments, **options):
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run([harness.PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False,
                          env=environment, **{"input": "", **options})


def subcommands(*path):
    """The names in the list of commands of a help."""
    found = re.search(r"^Subcommands:\n((?:  .*\n)+)", run(*path, "--help").stdout, re.M)
    return re.findall(r"^  ([a-z][a-z-]*)", found[1], re.M) if found else []


def every_command():
    for name in subcommands():
        yield (name,)
        for inner in subcommands(name):
            yield (name, inner)


def exit_codes(text):
    """{code: meaning} of a help."""
    found = re.search(r"^Exit codes.*:\n((?:  \d  .*\n?)+)", text, re.M)
    return dict(re.findall(r"^  (\d)  (.*)$", found[1], re.M)) if found else {}


def table(page, header):
    """The rows of a table of the page, by their first cell."""
    block = page[page.index(header):].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block]
    return {row[0].strip("| `"): [cell.strip(" |") for cell in row[1:]] for row in rows}


class Help(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.helps = {" ".join(command): run(*command, "--help").stdout for command in every_command()}
        with open(PAGE, encoding="utf-8") as page:
            cls.page = page.read()

    def test_the_help_of_every_command_has_an_example_of_it_and_its_exit_codes(self):
        self.assertGreater(len(self.helps), 20)
        for command, text in self.helps.items():
            example = re.search(r"^Example:\n  (.*)$", text, re.M)
            self.assertIsNotNone(example, command)
            self.assertTrue(example[1].startswith(f"backstitch {command}"), example[1])
            self.assertEqual({"0", "2"} - set(exit_codes(text)), set(), command)

    def test_every_option_of_an_example_exists(self):
        for command, text in self.helps.items():
            example = re.search(r"^Example:\n  (.*)$", text, re.M)[1]
            for option in re.findall(r" (--[a-z-]+)", example):
                self.assertRegex(text, rf"(?m)^  {option}\b", command)

    def test_the_page_of_the_command_line_has_the_exit_codes_that_the_help_has(self):
        general = exit_codes(run("--help").stdout)
        self.assertEqual(sorted(general), ["0", "1", "2", "3", "4", "5", "6"])
        documented = {code: row[0] for code, row in table(self.page, "| code | meaning |").items()}
        self.assertEqual(documented, general)
        rows = table(self.page, "| command | 0 | 1 | 4 |")
        self.assertEqual(set(rows), set(self.helps))
        for command, text in self.helps.items():
            codes = exit_codes(text)
            self.assertEqual(rows[command], [codes.get(code, "–") for code in "014"], command)

    def test_the_page_of_the_command_line_has_the_shape_of_everything_that_is_printed_as_json(self):
        documented = table(self.page, "| command | `--json` prints |")
        self.assertEqual(set(documented), {c for c, text in self.helps.items() if re.search(r"^  --json", text, re.M)
                                           or c.startswith("services ")})

    def test_the_page_of_the_command_line_shows_mistakes_as_the_program_answers_them(self):
        mistakes = self.page[self.page.index("## Mistakes"):]
        shown = re.findall(r"^    \$ backstitch (.*)\n((?:    .*\n)+)", mistakes, re.M)
        self.assertGreater(len(shown), 2)
        for arguments, output in shown:
            done = run(*arguments.split())
            self.assertEqual(re.sub("(?m)^    ", "", output), done.stdout + done.stderr)


class Mistakes(unittest.TestCase):
    def refused(self, *arguments, **options):
        """The lines that the mistake is answered with."""
        done = run(*arguments, **options)
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertNotIn("ubcommand", done.stderr)
        return done.stderr.splitlines()

    def test_an_unknown_command_is_named_with_the_nearest_one_and_two_lines_of_help(self):
        for arguments, named in ((("regster",), "`regster`; did you mean `register`?"), (("histori", ANY_ID), "`history`?"),
                                 (("valdate", "--help"), "`validate`?"), (("services", "putt"), "`put`?")):
            lines = self.refused(*arguments)
            self.assertEqual(len(lines), 3, lines)
            self.assertIn("unknown command", lines[0])
            self.assertIn(named, lines[0])
            self.assertIn("backstitch", lines[1])
            self.assertIn("--help", lines[2])
        self.assertEqual(self.refused("nothing-like-it")[0], "error: unknown command `nothing-like-it`")

    def test_no_command_at_all_is_answered_with_two_lines_of_help(self):
        lines = self.refused()
        self.assertEqual((len(lines), lines[0]), (3, "error: no command is given"))

    def test_an_unknown_option_is_named_with_the_nearest_one_of_its_command(self):
        for arguments, named in ((("start", "orders.place", "--inpt", "{}"), "`--inpt`; did you mean `--input`?"),
                                 (("start", "--wit=30s"), "`--wit`; did you mean `--wait`?"),
                                 (("cancel", ANY_ID, "--reasn", "x"), "`--reason`?"), (("list", "--al"), "`--all`?"),
                                 (("rehearse", "x.json", "--fial", "a=refuse"), "`--fial`"), (("--explode",), "`--explode`"),
                                 (("services", "put", "a", "b", "--explode"), "`--explode`"), (("list", "-x"), "`-x`")):
            lines = self.refused(*arguments)
            self.assertEqual(len(lines), 3, lines)
            self.assertIn("unknown option", lines[0])
            self.assertIn(named, lines[0])
            self.assertTrue(lines[1].startswith("Example: backstitch "), lines[1])

    def test_a_word_too_many_and_one_too_few_are_named(self):
        self.assertEqual(self.refused("show", ANY_ID, "more")[0], "error: unexpected argument `more`")
        self.assertIn("NAME", self.refused("start")[0])
        self.assertIn("STEP is missing", self.refused("skip", ANY_ID)[0])
        self.assertIn("NAME is missing", self.refused("signal", ANY_ID)[0])
        self.assertIn("--wait", self.refused("start", "a", "--wait")[0])

    def test_a_saga_is_named_in_exactly_one_way(self):
        for command in ("show", "history", "watch", "cancel", "retry"):
            self.assertIn("no saga is named", self.refused(command)[0])
            self.assertIn("not by both", self.refused(command, ANY_ID, "--business-key", "k", "--definition", "d")[0])
        self.assertIn("not by both", self.refused("skip", ANY_ID, "step", "--business-key", "k")[0])
        self.assertIn("--definition is for", self.refused("show", ANY_ID, "--definition", "d")[0])

    def test_a_command_that_changes_a_saga_refuses_the_beginning_of_an_id(self):
        for command in (["cancel"], ["retry"], ["suspend"]):
            self.assertIn("whole id", self.refused(*command, ANY_ID[:13])[0])
        self.assertIn("whole id", self.refused("signal", ANY_ID[:8], "go")[0])
        self.assertIn("whole id", self.refused("resolve", ANY_ID[:30], "step", "--as", "done")[0])
        self.assertIn("needs --definition", self.refused("cancel", "--business-key", "o-17")[0])

    def test_a_document_is_a_file_standard_input_or_json_in_place(self):
        for arguments in (("start", "a", "--input"), ("signal", ANY_ID, "go", "--payload"), ("services", "put", "a"),
                          ("resolve", ANY_ID, "step", "--as", "done", "--output"), ("rehearse", "x.json", "--input")):
            for given in ("{not json", "not-there.json"):
                if arguments[0] == "services" and given.startswith("{"):
                    continue  # the server judges it
                self.assertIn(given, self.refused(*arguments, given)[0])
        lines = self.refused("resolve", ANY_ID, "step", "--as", "done", "--output", "-", "--captured", "-", input="{}")
        self.assertIn("only once", lines[0])

    def test_the_address_of_a_server_that_is_not_a_url_is_misuse(self):
        for url in ("127.0.0.1:7420", "nowhere", "ftp://127.0.0.1", ""):
            self.assertIn("not the URL of a server", self.refused("list", "--server", url)[0])

    def test_a_port_that_is_taken_is_answered_with_the_option_that_the_command_has(self):
        with socket.socket() as taken, tempfile.TemporaryDirectory() as folder:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            os.chmod(folder, 0o755)
            done = run("dev", "--port", str(taken.getsockname()[1]), "--data", os.path.join(folder, "dev"))
        self.assertEqual((done.returncode, done.stdout), (3, ""), done.stderr)
        self.assertIn("Choose another port with --port PORT.", done.stderr)
        self.assertNotIn("--listen", done.stderr)


class Stranger(ThreadingHTTPServer):
    """Another program on the port: it gives every request the same answer."""

    daemon_threads = True

    def __init__(self, status, headers, body):
        stranger, self.requests = self, []

        class Handler(BaseHTTPRequestHandler):
            def do_any(self):
                stranger.requests.append(self.path)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_any

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


class OtherServers(unittest.TestCase):
    COMMANDS = (("list",), ("show", ANY_ID), ("show", ANY_ID[:8]), ("history", ANY_ID), ("watch", ANY_ID), ("definitions",),
                ("services",), ("services", "show", "a"), ("services", "put", "a", "{}"), ("nodes",), ("cancel", ANY_ID),
                ("signal", ANY_ID, "go"), ("start", "a", "--input", "{}", "--wait", "10s"))

    def test_an_answer_that_no_backstitch_gives_is_an_error_with_the_address(self):
        for status, headers, body in ((200, HTML, b"<h1>It works!</h1>"), (404, HTML, b"<h1>Not Found</h1>"),
                                      (200, JSON, b'{"status": "ok"}'), (200, JSON, b"[]"), (200, JSON, b"null"),
                                      (404, JSON, b'{"detail": "Not Found"}'), (500, JSON, b'{"code": 500, "errors": 7}'),
                                      (204, {}, b""), (200, {"Content-Type": "text/html; charset=odd"}, b"\xff")):
            with Stranger(status, headers, body) as stranger:
                for command in self.COMMANDS:
                    done = run(*command, "--server", stranger.url)
                    self.assertEqual(done.returncode, 3, (command, body, done.stdout, done.stderr))
                    self.assertIn(f"{stranger.url} does not answer like a Backstitch server", done.stderr)
                    self.assertIn(f" {status} ", done.stderr)

    def test_a_redirect_is_not_followed(self):
        with Stranger(200, JSON, b'{"id": "x", "sagas": []}') as target:
            for status in (301, 302, 303, 307, 308):
                with Stranger(status, {"Location": target.url + "/login"}, b"") as stranger:
                    for command in self.COMMANDS if status == 302 else self.COMMANDS[-1:]:
                        done = run(*command, "--server", stranger.url, "--token", "t")
                        self.assertEqual(done.returncode, 3, done.stderr)
                        self.assertIn(f"with {status}: the server redirects to {target.url}/login, which is not followed.",
                                      done.stderr)
                        self.assertNotIn("started", done.stdout + done.stderr)
            self.assertEqual(target.requests, [])

    def test_a_redirect_of_the_same_request_names_the_server_to_use(self):
        for path, command in (("/v1/sagas", ("start", "a", "--input", "{}", "--wait", "10s")), ("/v1/nodes", ("nodes",)),
                              (f"/v1/sagas/{ANY_ID}", ("show", ANY_ID))):
            for base in ("https://saga.example", "https://saga.example:8443/prefix"):
                with Stranger(301, {"Location": base + path + "?x=1"}, b"") as stranger:
                    done = run(*command, "--server", stranger.url)
                self.assertEqual(done.returncode, 3)
                self.assertIn(f"the server redirects to {base}; use that with --server", done.stderr)
        for location in ("", "/v1/nodes"):
            with Stranger(308, {"Location": location} if location else {}, b"") as stranger:
                done = run("nodes", "--json", "--server", stranger.url)
            self.assertEqual((done.returncode, json.loads(done.stdout)["error"]["code"]), (3, "server-redirects"))
            self.assertIn(f"redirects to {location or 'no address'}, which", done.stdout)

    def test_an_answer_that_names_another_saga_is_not_taken_for_the_one_asked_for(self):
        other = json.dumps({"id": ANY_ID[:-1] + "1", "status": "COMPLETED", "name": "other"}).encode()
        with Stranger(200, JSON, other) as stranger:
            for command in (("show", ANY_ID), ("watch", ANY_ID), ("cancel", ANY_ID), ("signal", ANY_ID, "go"),
                            ("services", "put", "a", "{}")):
                done = run(*command, "--server", stranger.url)
                self.assertEqual(done.returncode, 3, (command, done.stdout))
                self.assertIn("does not answer like a Backstitch server", done.stderr)

    def test_a_start_whose_fate_is_not_known_names_the_key_to_repeat_it_under(self):
        said = re.compile(r"The saga may have been started; repeat with --key (\S+), ")
        problem = {"type": "/errors/outcome-unknown", "status": 503, "code": "outcome-unknown", "detail": "Unknown."}
        for status, headers, body in ((502, HTML, b"<h1>Bad Gateway</h1>"), (504, {}, b""), (503, HTML, b"reset"),
                                      (200, HTML, b"<h1>It works!</h1>"), (503, JSON, json.dumps(problem).encode()),
                                      (200, {"Content-Length": "9000"}, b"{")):
            with Stranger(status, headers, body) as stranger:
                done = run("start", "a", "--input", "{}", "--key", "k-1", "--server", stranger.url)
                self.assertEqual((done.returncode, said.search(done.stderr)[1]), (3, "k-1"), done.stderr)
                made = [said.search(run("start", "a", "--input", "{}", "--server", stranger.url).stderr)[1] for _ in "ab"]
                self.assertNotEqual(*made)
                answer = run("start", "a", "--input", "{}", "--json", "--server", stranger.url)
                self.assertRegex(json.loads(answer.stdout)["error"]["message"], said)
                for command, may_be_done in ((("cancel", ANY_ID), True), (("signal", ANY_ID, "go"), True), (("list",), False)):
                    answered = run(*command, "--server", stranger.url).stderr
                    self.assertNotRegex(answered, said)
                    self.assertEqual("It may have been done; look before you repeat it." in answered, may_be_done, answered)

    def test_a_start_that_was_surely_not_made_names_no_key(self):
        with Stranger(403, HTML, b"<h1>Forbidden</h1>") as forbids, Stranger(301, {"Location": "https://x.example"}, b"") as moves:
            for url in (forbids.url, moves.url, f"http://127.0.0.1:{harness.free_port()}"):
                done = run("start", "a", "--input", "{}", "--server", url)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertNotIn("may have been started", done.stderr)

    def test_a_server_that_speaks_another_protocol_is_unreachable(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()

            def greet():
                try:
                    while True:
                        connection, _ = listener.accept()
                        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                        connection.close()
                except OSError:
                    pass  # closed: the test is over
            threading.Thread(target=greet, daemon=True).start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            done = run("list", "--server", url)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(url, done.stderr)

    def test_with_json_the_error_is_json(self):
        with Stranger(200, HTML, b"<h1>It works!</h1>") as stranger:
            done = run("list", "--json", env={"BACKSTITCH_SERVER": stranger.url})
        self.assertEqual((done.returncode, json.loads(done.stdout)["error"]["code"]), (3, "not-backstitch"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
