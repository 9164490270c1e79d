#!/usr/bin/env python3
"""The house rules that a program can check: include arrows, banned calls, sizes, links.

Runs as a test in milliseconds. Each rule says what to do instead.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODE = (".cpp", ".hpp")

# What a folder may not name, and why. The longest folder that matches decides.
BANNED_INCLUDES = {
    "dsl": r"<(backstitch/(engine|postgres|http|rest|asio|client)/|pqxx|boost/|cpprest|spdlog|thread|mutex)",
    "engine": r"<(backstitch/(postgres|http|rest|asio|client|memory)/|pqxx|boost/|cpprest|spdlog|thread)",
    "client": r"<(backstitch/(engine|dsl|postgres|http|rest|asio)/|pqxx|boost/|spdlog)",
}
# The JSON library reads numbers that no saga can hold, and changes others.
UNGATED = {r"Json::parse\(|json::parse\(": "dsl::parse_json for what comes in, dsl::stored_json for what is stored"}
BANNED_CALLS = {
    "adapters": UNGATED,
    "app": {**UNGATED,
            r"\bprintf\(|\bf?puts\(|\bfprintf\(|\bfwrite\(|\bcout\b|\bcerr\b": "print(), which writes control characters out"},
    "dsl": {**UNGATED,
            r"system_clock::now|steady_clock::now": "time comes in as an argument",
            r"\brandom_device\b|\bmt19937": "chance comes in as an argument"},
    "engine": {**UNGATED,
               r"system_clock::now|steady_clock::now": "Executor::now() or the stimulus' time",
               r"sleep_for|sleep_until": "Executor::call_after",
               r"\brandom_device\b|\bmt19937": "the Random port",
               r"std::thread\b": "an Executor"},
    "test": {r"sleep_for|sleep_until|time\.sleep\(": "wait for a condition with a deadline, or the virtual clock"},
}
# The one file that writes to the terminal.
WRITES = os.path.join("app", "terminal.cpp")
LINE_MAX = {".cpp": 100, ".hpp": 100, ".py": 120}
# A row of a test's table is one line, however wide: broken rows are harder to read than long ones.
TEST_LINE_MAX = 150
FILE_MAX = 500
# A poll between two looks at a condition is not a sleep that hopes; the line says that it is one.
SLEEP_ALLOWED = re.compile(r"poll")


def files():
    for folder in ("dsl", "engine", "adapters", "client", "app", "examples", "bench", "test", "tools"):
        for at, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = [f for f in folders if not f.startswith((".", "__"))]
            for name in names:
                yield os.path.relpath(os.path.join(at, name), ROOT)


def check_code(path, lines, problems):
    top = path.split(os.sep)[0]
    banned_include = re.compile(r"\s*#\s*include\s*" + BANNED_INCLUDES[top]) if top in BANNED_INCLUDES else None
    calls = {re.compile(k): v for k, v in BANNED_CALLS.get(top, {}).items()}
    longest = TEST_LINE_MAX if top == "test" else LINE_MAX[os.path.splitext(path)[1]]
    if len(lines) > FILE_MAX:
        problems.append(f"{path}: {len(lines)} lines; split it by responsibility (at most {FILE_MAX})")
    for number, line in enumerate(lines, 1):
        if len(line) > longest:
            problems.append(f"{path}:{number}: {len(line)} columns; at most {longest}")
        if banned_include and banned_include.match(line):
            problems.append(f"{path}:{number}: include against the arrows: {line.strip()}")
        for pattern, instead in calls.items():
            if pattern.search(line) and not SLEEP_ALLOWED.search(line) and path != WRITES:
                problems.append(f"{path}:{number}: use {instead} instead of `{line.strip()}`")


def check_links(problems):
    link = re.compile(r"\]\(([^)#:\s]+)(#[^)]*)?\)")
    for at, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if not f.startswith((".", "build", "node_modules", "vendor"))]
        for name in names:
            if not name.endswith(".md"):
                continue
            with open(os.path.join(at, name), encoding="utf-8") as file:
                for target, _ in link.findall(file.read()):
                    if not os.path.exists(os.path.join(at, target)):
                        problems.append(f"{os.path.relpath(os.path.join(at, name), ROOT)}: no such file: {target}")


def check_codes(problems):
    """Every finding the checker can give has its line in docs/findings.md."""
    with open(os.path.join(ROOT, "docs/findings.md"), encoding="utf-8") as file:
        told = set(re.findall(r"^\| \[([EW]\d{3})\]\(", file.read(), re.MULTILINE))
    given = set()
    for path in files():
        if path.startswith("dsl") and path.endswith(".cpp"):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                given |= set(re.findall(r'"([EW]\d{3})"', file.read()))
    problems.extend(f"docs/findings.md: nothing about {code}" for code in sorted(given - told))
    problems.extend(f"docs/findings.md: nothing gives {code}" for code in sorted(told - given))


# A code of the API, where the server makes an error of it.
ERROR_CODE = re.compile(
    r"(?:ErrorCode::\w+,\s*|\b(?:refuse|invalid|flaw|flawed|problem|make)\(\s*(?:\d{3},\s*)?|reason = |\{\d{3}, |[?:] )"
    r'"([a-z]+(?:-[a-z]+)+|internal|overloaded)"')
# Codes that end a start of the server, or stand in a list of reasons: never those of a problem document.
NOT_ANSWERED = {"callback-url-invalid", "database-copied", "database-identity-unknown", "database-pooled", "database-url-invalid", "host-option-invalid", "json-too-many-items", "listen-failed", "origin-option-invalid",
                "pivot-differs", "proxy-option-invalid", "step-differs"}
STARTING = ("adapters/postgres/migrator", "adapters/postgres/private_cluster", "adapters/postgres/private_directory",
            "adapters/postgres/cluster_access", "adapters/postgres/schema_history", "adapters/postgres/server_safety",
            "adapters/postgres/startup_checks", "adapters/postgres/hosts", "adapters/postgres/server_identity")
ANSWERING = ("engine/runtime", "engine/machine", "adapters/rest", "adapters/postgres", "adapters/system/worker_threads", "dsl/json_gate")


def check_error_codes(problems):
    """Every code of a problem document has its row in docs/errors.md, from which the server answers /errors/CODE."""
    with open(os.path.join(ROOT, "docs/errors.md"), encoding="utf-8") as file:
        told = {code for codes in re.findall(r"^\| (`[^|]*`) \|", file.read(), re.MULTILINE)
                for code in re.findall(r"`([^`]+)`", codes)}
    given = set()
    for path in files():
        if path.startswith(ANSWERING) and not path.startswith(STARTING) and path.endswith(".cpp"):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                given |= set(ERROR_CODE.findall(file.read()))
    problems.extend(f"docs/errors.md: nothing about {code}" for code in sorted(given - told - NOT_ANSWERED))
    kebab = {code for code in told if code == code.lower()} - {"definition-invalid", "service-invalid"}  # made by findings_problem
    problems.extend(f"docs/errors.md: nothing gives {code}" for code in sorted(kebab - given))


def main():
    problems = []
    for path in files():
        if path.endswith(CODE) or (path.startswith("test") and path.endswith(".py")):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                check_code(path, file.read().splitlines(), problems)
    check_links(problems)
    check_codes(problems)
    check_error_codes(problems)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
