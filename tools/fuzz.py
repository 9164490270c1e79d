#!/usr/bin/env python3
"""Fuzzes the targets of test/fuzz, each for a while, as many at once as there are cores.

Prints one line a target with its number of runs, and at the end `N passed, N failed`. What ends a
target is kept in BUILD/found/; put it into test/fuzz/regressions/TARGET/ with a name that says what
it is. What was found interesting is kept in BUILD/corpus/ for the next time.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUZZ = os.path.join(ROOT, "test/fuzz")
TARGETS = sorted(os.path.basename(p)[:-len(".seeds")] for p in glob.glob(os.path.join(FUZZ, "seeds/*.seeds")))
RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
NOISE = re.compile(r"#|\s*NEW_FUNC|INFO:|0x[0-9a-f]{2},|stat::")
SLOW_SECONDS = 10
MEMORY_MB = 2048


def documents(target):
    """Files that are inputs as they are."""
    definitions = [os.path.join(ROOT, "test/definitions/good"), os.path.join(ROOT, "test/definitions/bad"),
                   *glob.glob(os.path.join(ROOT, "examples/*/"))]
    found = os.path.join(FUZZ, "regressions", target)
    folders = (definitions if target in ("definition", "json_gate") else []) + [found]
    return [p for f in folders for p in glob.glob(os.path.join(f, "*"))
            if os.path.isfile(p) and (f == found or p.endswith(".json"))]


def prepare(build, target):
    """The target's corpus: what it has from earlier runs, its seeds and its documents."""
    corpus = os.path.join(build, "corpus", target)
    os.makedirs(corpus, exist_ok=True)
    with open(os.path.join(FUZZ, "seeds", target + ".seeds"), "rb") as file:
        inputs = file.read().split(b"\n---\n")
    for path in documents(target):
        with open(path, "rb") as file:
            inputs.append(file.read())
    for index, content in enumerate(inputs):
        with open(os.path.join(corpus, f"seed-{index:04}"), "wb") as file:
            file.write(content)
    return corpus


def fuzz(build, target, seconds, seed):
    corpus = prepare(build, target)
    found = os.path.join(build, "found")
    os.makedirs(found, exist_ok=True)
    command = [os.path.join(build, "test/fuzz/fuzz_" + target), corpus, f"-dict={FUZZ}/language.dict",
               f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={SLOW_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
               f"-artifact_prefix={found}/{target}-", "-print_final_stats=1", "-verbosity=1"]
    environment = dict(os.environ, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
    started = time.monotonic()
    done = subprocess.run(command, env=environment, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = done.stdout
    runs = RUNS.search(output)
    mark = "ok    " if done.returncode == 0 else "FAILED"
    print(f"{mark} {target}: {runs.group(1) if runs else '?'} runs ({time.monotonic() - started:.1f} s)", flush=True)
    if done.returncode != 0:
        lines = [line[:300] for line in output.splitlines() if not NOISE.match(line)]
        print("\n".join(lines[-40:]), flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build-fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="a target (default 60)")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices; 0, the default: another each time")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="of " + ", ".join(TARGETS) + "; default all")
    options = parser.parse_args()
    unknown = [t for t in options.targets if t not in TARGETS]
    if unknown:
        parser.error(f"no target {unknown[0]}; there are {', '.join(TARGETS)}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda target: fuzz(os.path.abspath(options.build), target, options.seconds, options.seed),
                                options.targets or TARGETS))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
