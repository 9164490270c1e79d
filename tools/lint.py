#!/usr/bin/env python3
"""clang-format, the house rules, and clang-tidy on the files that changed since the last commit's base."""
import argparse
import concurrent.futures
import os
import subprocess
import sys

FOLDERS = ("dsl", "engine", "adapters", "client", "app", "examples", "bench", "test")


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.split("\n")


def changed():
    names = set(git("diff", "--name-only", "--diff-filter=d", "HEAD"))
    names |= set(git("ls-files", "--others", "--exclude-standard"))
    try:
        names |= set(git("diff", "--name-only", "--diff-filter=d", "HEAD~1", "HEAD"))
    except subprocess.CalledProcessError:
        pass  # the first commit has nothing before it
    return sorted(names)


def tidied(build, source):
    """clang-tidy's findings of one file, without its count of what it left out."""
    done = subprocess.run(["clang-tidy", "-p", build, "--quiet", source], capture_output=True, text=True)
    print(done.stdout, end="", flush=True)
    return done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    names = git("ls-files") if options.all else changed()
    code = [n for n in names if n.endswith((".cpp", ".hpp")) and n.startswith(FOLDERS) and os.path.exists(n)]
    bad = 0
    if code:
        bad |= subprocess.run(["clang-format", "--dry-run", "-Werror", *code]).returncode
    bad |= subprocess.run([sys.executable, "tools/tidy.py"]).returncode
    sources = [n for n in code if n.endswith(".cpp")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in pool.map(lambda source: tidied(options.build, source), sources):
            bad |= done
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
