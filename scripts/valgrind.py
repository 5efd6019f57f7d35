#!/usr/bin/env python3
"""Runs the quick tests under valgrind.

usage: valgrind.py BUILD [--jobs N] [TEST...]

Storms play few seeds (MTC_TEST_ROUNDS, 2 unless set). A test passes if it does
so there, and valgrind has nothing to say of memory. Those in SKIPPED are left
out, for the reason given. Some have deadlines of half a second, which a machine
that is busy otherwise does not keep under valgrind.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

TIMEOUT_S = 900
HERE = pathlib.Path(__file__).resolve().parent
VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
            "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect",
            "--fair-sched=yes", "--max-threads=1600",
            f"--suppressions={HERE / 'valgrind.suppress'}"]

SKIPPED = {
    # What belonged to threads that a forked child does not have is lost there.
    "fork_anew_test",
    "fork_disk_test",
    "fork_redis_test",
    "fork_test",
    # Likewise; and handshakes take longer there than the client waits.
    "tls_test",
}


def tests_of(build):
    """The quick tests of a build: name, command, folder."""
    listing = subprocess.run(
        ["ctest", "--test-dir", build, "--show-only=json-v1", "-L", "quick"],
        check=True, capture_output=True, text=True)
    for test in json.loads(listing.stdout)["tests"]:
        properties = {p["name"]: p["value"] for p in test["properties"]}
        yield test["name"], test["command"], properties["WORKING_DIRECTORY"]


def run(test):
    """Name, whether it passed, and what it printed."""
    name, command, folder = test
    environment = {"MTC_TEST_ROUNDS": "2", **os.environ}
    try:
        done = subprocess.run(VALGRIND + command, cwd=folder,
                              env=environment, timeout=TIMEOUT_S,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired as late:
        return name, False, (late.stdout or b"") + b"\ntoo late"
    return name, done.returncode in (0, 77), done.stdout


def main():
    """Runs what is asked for; 1 if any test failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("tests", nargs="*")
    wanted = parser.parse_intermixed_args()
    tests = [t for t in tests_of(wanted.build) if t[0] not in SKIPPED and
             (not wanted.tests or t[0] in wanted.tests)]
    failed = []
    with concurrent.futures.ThreadPoolExecutor(wanted.jobs) as pool:
        for name, has_passed, output in pool.map(run, tests):
            print(f"{name}: {'passed' if has_passed else 'FAILED'}", flush=True)
            if not has_passed:
                failed.append(name)
                sys.stdout.write(output.decode(errors="replace"))
    print(f"valgrind: {len(tests)} tests, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
