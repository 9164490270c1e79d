#!/usr/bin/env python3
"""Runs every test that meson knows of and counts cases, not programs.

Prints one line a program, the output of those that fail, and at the end `N passed, N failed`.
Exit code 0 only if nothing failed and something ran.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

DOCTEST = re.compile(r"test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped")
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests?", re.M)
UNITTEST_BAD = re.compile(r"(failures|errors|skipped)=(\d+)")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def count(output, code):
    """(passed, failed, skipped) of one program, by its own closing lines."""
    text = ANSI.sub("", output)
    found = DOCTEST.search(text)
    if found:
        _, passed, failed, skipped = map(int, found.groups())
        if code != 0 and failed == 0:
            failed = 1
        return passed, failed, skipped
    found = UNITTEST_RAN.search(text)
    if found:
        ran = int(found.group(1))
        bad = {"failures": 0, "errors": 0, "skipped": 0}
        for name, number in UNITTEST_BAD.findall(text):
            bad[name] += int(number)
        failed = bad["failures"] + bad["errors"]
        if code != 0 and failed == 0:
            failed = 1
        return max(ran - failed - bad["skipped"], 0), failed, bad["skipped"]
    return (1, 0, 0) if code == 0 else (0, 1, 0)


def run(test, build):
    environment = dict(os.environ)
    environment.update(test.get("env", {}))
    environment["BACKSTITCH_BUILD"] = os.path.abspath(build)
    started = time.monotonic()
    # A session of its own, so that whatever a crashed test left behind can be ended with it.
    process = subprocess.Popen(
        test["cmd"], cwd=test.get("workdir") or os.getcwd(), env=environment, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=test["timeout"])
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"\nkilled after {test['timeout']} s\n"
        code = 124
    return test, code, output, time.monotonic() - started


def report(result, totals):
    test, code, output, seconds = result
    passed, failed, skipped = count(output, code)
    for index, number in enumerate((passed, failed, skipped)):
        totals[index] += number
    mark = "ok    " if failed == 0 else "FAILED"
    more = f", {skipped} skipped" if skipped else ""
    print(f"{mark} {test['name']}: {passed} passed, {failed} failed{more} ({seconds:.1f} s)", flush=True)
    if failed:
        print(output[-20000:], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("names", nargs="*", help="only tests whose name has one of these in it")
    options = parser.parse_args()
    listed = json.loads(subprocess.run(["meson", "introspect", "--tests", options.build], check=True,
                                       capture_output=True, text=True).stdout)
    tests = [t for t in listed if not options.names or any(n in t["name"] for n in options.names)]
    together = [t for t in tests if t["is_parallel"]]
    alone = [t for t in tests if not t["is_parallel"]]
    totals = [0, 0, 0]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for result in pool.map(lambda t: run(t, options.build), together):
            report(result, totals)
    for test in alone:
        report(run(test, options.build), totals)
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
