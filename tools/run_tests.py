#!/usr/bin/env python3
"""Runs the tests that meson declares and counts test cases, not programs.

Prints one line per suite as it ends, the output of suites that fail, the slowest suites, what failed once more (whoever
keeps only the end of a long log still learns it), and at the end `N passed, N failed`. The exit code is 0 only if nothing
failed and something ran.

A suite's declared timeout limits the time without progress: a suite that neither writes output nor uses CPU for that
long is ended. A loaded machine or a slow disk makes a suite slower but does not stop its progress.
"""
import argparse
import collections
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

DOCTEST = re.compile(r"test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped")
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests?", re.M)
UNITTEST_BAD = re.compile(r"(failures|errors|skipped)=(\d+)")
# Where a program begins to tell of a case that failed.
FAILURE = re.compile(r"^={60,}\n(?:FAIL|ERROR): |^\S+: (?:FATAL )?ERROR: ", re.M)
CASE_BEGINS = "=" * 60
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# A suite that waits in a poll loop uses some CPU; this share of one core is not progress.
MIN_CPU_SHARE = 0.01
# Whatever its progress, a suite ends after this many times its declared timeout.
MAX_TIMEOUTS = 10
SAMPLE_SECONDS = 2
# What a process is given to end after a signal before it gets SIGKILL.
GRACE_SECONDS = 10
# How soon a signal to the runner is noticed.
INTERRUPT_SECONDS = 0.2
MAX_SLOWEST = 8
MIN_SLOW_SECONDS = 1
MAX_OUTPUT_SHOWN = 20000
MAX_FAILURE_REPEATED = 3000
# Where databases of tests are kept that are not about durability, if there is room for them.
MEMORY_FOLDER = "/dev/shm"
MIN_MEMORY_BYTES = 2 << 30
PR_SET_CHILD_SUBREAPER = 36
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


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


def failure_in(output):
    """The beginning of what a program said of its first failing case; without such words, the end of its output."""
    text = ANSI.sub("", output)
    found = FAILURE.search(text)
    if not found:
        return text[-MAX_FAILURE_REPEATED:]
    # The line of a failed check stands below the name of its case.
    begin = text.rfind("\n" + CASE_BEGINS, 0, found.start())
    begin = found.start() if text.startswith(CASE_BEGINS, found.start()) or begin < 0 else begin + 1
    return text[begin:][:MAX_FAILURE_REPEATED]


Process = collections.namedtuple("Process", "state parent cpu start")


def read_process(pid):
    """State, parent, CPU seconds with those of reaped children, start time in ticks; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return Process(fields[0], int(fields[1]), sum(map(int, fields[11:15])) / CLOCK_TICKS, int(fields[19]))


def is_running(pid, start):
    process = read_process(pid)
    return process is not None and process.start == start and process.state not in ("Z", "X")


class ProcessTree:
    """A process and all of its descendants, whatever session they are in."""

    def __init__(self, root):
        self.root = root
        self.members = {}  # pid -> start time, of every process that was ever seen
        self.cpu = {}      # (pid, start time) -> CPU seconds when last seen

    def sample(self):
        """Finds new members. @return CPU seconds that all members together have used so far"""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            process = read_process(pid)
            if process:
                found[pid] = process
        children = {}
        for pid, process in found.items():
            children.setdefault(process.parent, []).append(pid)
        # Those that were seen before stay members when their parent ends.
        pending = [self.root, *(pid for pid, start in list(self.members.items())
                                if pid in found and found[pid].start == start)]
        seen = set()
        while pending:
            pid = pending.pop()
            if pid in seen or pid not in found:
                continue
            seen.add(pid)
            process = found[pid]
            self.members[pid] = process.start
            self.cpu[pid, process.start] = process.cpu
            pending.extend(children.get(pid, ()))
            if process.state == "Z" and process.parent == os.getpid() and pid != self.root:
                reap(pid)
        return sum(self.cpu.values())

    def living(self):
        """Members that still exist, zombies excluded."""
        return [pid for pid, start in list(self.members.items()) if is_running(pid, start)]

    def end(self):
        """Ends every member by process id; PostgreSQL by SIGQUIT first, so that it removes its shared memory."""
        for gentle in (True, False):
            self.sample()
            for pid in self.living():
                send(pid, signal.SIGQUIT if gentle and command_of(pid) == "postgres" else signal.SIGKILL)
            deadline = time.monotonic() + GRACE_SECONDS
            while self.living() and time.monotonic() < deadline:
                time.sleep(0.02)  # poll
            if not self.living():
                return


def command_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def reap(pid):
    """For a process that became ours because its parent ended."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def send(pid, sig):
    try:
        os.kill(pid, sig)
    except (ProcessLookupError, PermissionError):
        pass


class ProgressClock:
    """Decides from samples of output size and CPU time whether a suite still makes progress."""

    def __init__(self, max_idle_seconds, now):
        self.max_idle_seconds = max_idle_seconds
        self.began = self.since = now
        self.output = 0
        self.cpu = 0.0

    def sample(self, now, output, cpu):
        """@return why the suite has to end, or None while it may go on"""
        if output > self.output or cpu - self.cpu > MIN_CPU_SHARE * self.max_idle_seconds:
            self.output, self.cpu, self.since = output, cpu, now
        if now - self.since > self.max_idle_seconds:
            return f"ended: no progress for {now - self.since:.0f} s"
        if now - self.began > MAX_TIMEOUTS * self.max_idle_seconds:
            return f"ended: not finished after {now - self.began:.0f} s"
        return None


class Output:
    """Collects what a process writes, in a thread."""

    def __init__(self, stream):
        self.stream, self.chunks, self.size = stream, [], 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while chunk := os.read(self.stream.fileno(), 65536):
            self.chunks.append(chunk)
            self.size += len(chunk)

    def text(self):
        self.thread.join(GRACE_SECONDS)  # a process that was left behind may hold the pipe open
        return b"".join(self.chunks).decode("utf-8", "replace")


def make_folder(parent=None):
    """A temporary folder that servers of another user can reach."""
    folder = tempfile.mkdtemp(prefix="backstitch-test-" if parent in (None, MEMORY_FOLDER) else "", dir=parent)
    os.chmod(folder, 0o755)
    return folder


def remove_folders(*folders):
    for folder in filter(None, folders):
        shutil.rmtree(folder, ignore_errors=True)


def has_room(folder):
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    return os.access(folder, os.W_OK) and status.f_bavail * status.f_frsize >= MIN_MEMORY_BYTES


class Runner:
    """Runs suites; on an exception or a signal it ends all processes that it started."""

    def __init__(self, build, sample_seconds=SAMPLE_SECONDS):
        self.build, self.sample_seconds = os.path.abspath(build), sample_seconds
        self.running = {}
        self.lock = threading.Lock()
        self.stopping = False
        # Every suite's temporary files are in here, so that nothing stays behind.
        self.folder = make_folder()
        self.memory = make_folder(MEMORY_FOLDER) if has_room(MEMORY_FOLDER) else None

    def environment(self, test, folder, memory):
        return {**os.environ, **test.get("env", {}), "BACKSTITCH_BUILD": self.build, "TMPDIR": folder,
                **({"BACKSTITCH_TEST_MEMORY": memory} if memory else {}),
                # What unit tests with doctest print as each case begins; see test/support/doctest_main.cpp.
                "BACKSTITCH_TEST_PROGRESS": "1",
                # A Python suite without progress is ended by SIGABRT and shows where it was.
                "PYTHONFAULTHANDLER": "1"}

    def run(self, test):
        """@return (test, exit code, output, seconds)"""
        started = time.monotonic()
        with self.lock:
            if self.stopping:
                return test, 1, "not started\n", 0.0
            folder = make_folder(self.folder)
            memory = make_folder(self.memory) if self.memory else None
            process = subprocess.Popen(
                test["cmd"], cwd=test.get("workdir") or os.getcwd(), env=self.environment(test, folder, memory),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
            tree = self.running[process.pid] = ProcessTree(process.pid)
        output = Output(process.stdout)
        why = self.wait(process, tree, output, ProgressClock(test["timeout"], started))
        tree.sample()
        left = tree.living()
        tree.end()
        text = output.text() + (f"\n{why}\n" if why else "")
        process.stdout.close()
        with self.lock:
            del self.running[process.pid]
        remove_folders(folder, memory)
        if left and not why:
            text += f"\n{len(left)} processes were left behind and ended\n"
        return test, 124 if why else process.returncode, text, time.monotonic() - started

    def wait(self, process, tree, output, clock):
        """Returns when the process has ended; @return why it was made to end, if it was"""
        why = None
        while True:
            try:
                process.wait(self.sample_seconds if why is None else GRACE_SECONDS)
                return why
            except subprocess.TimeoutExpired:
                if why is not None:
                    process.kill()
                    continue
            why = clock.sample(time.monotonic(), output.size, tree.sample())
            if why:
                process.send_signal(signal.SIGABRT)

    def close(self):
        """Ends what still runs: politely first, so that suites take down what they started."""
        with self.lock:
            self.stopping = True
            trees = list(self.running.values())
        for tree in trees:
            tree.sample()
            send(tree.root, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(tree.root in tree.living() for tree in trees) and time.monotonic() < deadline:
            time.sleep(0.05)  # poll
        for tree in trees:
            tree.end()
        remove_folders(self.folder, self.memory)


class Report:
    """Prints what ends, and the totals."""

    def __init__(self, suites):
        self.suites, self.ended = suites, 0
        self.totals = [0, 0, 0]
        self.seconds = {}
        self.failures = []  # (suite, what it said)

    def add(self, test, code, output, seconds):
        passed, failed, skipped = count(output, code)
        for index, number in enumerate((passed, failed, skipped)):
            self.totals[index] += number
        self.ended += 1
        self.seconds[test["name"]] = seconds
        mark = "ok    " if failed == 0 else "FAILED"
        more = f", {skipped} skipped" if skipped else ""
        print(f"[{self.ended}/{self.suites}] {mark} {test['name']}: {passed} passed, {failed} failed{more} "
              f"({seconds:.1f} s)", flush=True)
        if failed:
            self.failures.append((test["name"], failure_in(output)))
            print(output[-MAX_OUTPUT_SHOWN:], flush=True)

    def close(self):
        """@return the exit code"""
        slowest = sorted(self.seconds.items(), key=lambda item: -item[1])[:MAX_SLOWEST]
        slowest = [f"{name} {seconds:.1f} s" for name, seconds in slowest if seconds >= MIN_SLOW_SECONDS]
        if slowest and self.suites > 1:
            print("slowest: " + ", ".join(slowest))
        if self.suites > 1:
            for name, said in self.failures:
                print(f"failed: {name}\n{said}")
        passed, failed, skipped = self.totals
        print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
        return 0 if failed == 0 and passed > 0 else 1


def select(tests, names):
    return [t for t in tests if not names or any(name in t["name"] for name in names)]


def order(tests, times):
    """The longest first, so that no long suite begins when the others have ended; unmeasured ones by their timeout."""
    return sorted(tests, key=lambda test: -times.get(test["name"], test["timeout"]))


def targets_of(tests, targets, build):
    """The ninja targets that these tests need: what they depend on, and the program that they run."""
    build = os.path.join(os.path.abspath(build), "")
    files = {target["id"]: target["filename"] for target in targets}
    paths = {test["cmd"][0] for test in tests}
    for test in tests:
        for depended in test["depends"]:
            paths.update(files.get(depended, ()))
    return sorted(path[len(build):] for path in paths if path.startswith(build))


def introspect(what, build):
    return json.loads(subprocess.run(["meson", "introspect", what, build], check=True, capture_output=True,
                                     text=True).stdout)


def times_file(build):
    return os.path.join(build, "meson-logs", "suite-times.json")


def read_times(build):
    try:
        with open(times_file(build), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def write_times(build, times):
    with open(times_file(build), "w", encoding="utf-8") as file:
        json.dump(times, file, indent=1, sort_keys=True)


class Interrupt:
    """SIGINT and SIGTERM, noted until somebody asks: raised wherever the main thread happens to be, an exception could be
    swallowed there."""

    def __init__(self):
        self.received = False
        for sig in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(sig) != signal.SIG_IGN:
                signal.signal(sig, self.note)

    def note(self, *_):
        self.received = True

    def check(self):
        if self.received:
            raise KeyboardInterrupt


def run_beside(tests, jobs, runner, report, interrupt):
    """Runs `jobs` tests at a time."""
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            pending = {pool.submit(runner.run, test) for test in tests}
            while pending:
                interrupt.check()
                ended, pending = wait(pending, INTERRUPT_SECONDS, FIRST_COMPLETED)
                for future in ended:
                    report.add(*future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.close()
            raise


def run_all(tests, options, interrupt):
    times = read_times(options.build)
    together = order([t for t in tests if t["is_parallel"]], times)
    alone = order([t for t in tests if not t["is_parallel"]], times)
    report, runner = Report(len(tests)), Runner(options.build)
    try:
        run_beside(together, options.jobs, runner, report, interrupt)
        run_beside(alone, 1, runner, report, interrupt)
    finally:
        runner.close()
    write_times(options.build, {**times, **report.seconds})
    return report.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1),
                        help="suites at a time; most of them wait more than they compute")
    parser.add_argument("--targets", action="store_true", help="print the ninja targets that the tests need, run nothing")
    parser.add_argument("names", nargs="*", help="only tests whose name has one of these in it")
    options = parser.parse_args()
    tests = select(introspect("--tests", options.build), options.names)
    if not tests:
        sys.exit("no test has a name with " + " or ".join(f'"{name}"' for name in options.names) + " in it")
    if options.targets:
        print("\n".join(targets_of(tests, introspect("--targets", options.build), options.build)))
        return 0
    # Processes whose parent was killed become ours, so that close() finds them.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        return run_all(tests, options, Interrupt())
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
