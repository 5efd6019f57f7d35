#!/usr/bin/env python3
"""Measures memory over a Redis on loopback beside hiredis by hand.

A redis-server is started on a free port in a folder of its own and stopped at
the end. Systems take turns, five times; a figure is the median of its turns,
with the lowest and highest beside it, and a ratio is the median of the ratios
of the rounds. The table goes to docs/performance.md, between its markers.

Nobody else should use the machine meanwhile.
"""

import argparse
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
ROUNDS = 5
BEGIN, END = "<!-- redis: begin -->", "<!-- redis: end -->"

# What it is called, arguments of mtc bench, of mtc_hiredis (None: what is
# beside it is redis-benchmark), and whether both run on the server's core.
CASES = (
    ("get, 1 caller, one core", ("l2-get", 1, 1), ("get", 1), True),
    ("get, 64 callers", ("l2-get", 64, 1), ("get", 64), False),
    ("set, 64 callers", ("l2-set", 64, 1), ("set", 64), False),
    ("100 keys a call, 1 caller", ("l2-get", 1, 100), ("many", 1), False),
    ("100 keys a call, 8 callers", ("l2-get", 8, 100), None, False),
)

# With memory in front, and Redis alone, which does no more than hiredis does.
TIERS = (("memory and Redis", "memory?size=1GiB {url}"), ("Redis", "{url}"))


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_redis(folder, port):
    """A server without persistence; waits until it answers."""
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
        + ["--save", "", "--appendonly", "no", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    raise SystemExit("measure_redis: the server does not start")


def rate(command, is_pinned):
    """Operations a second of a command that prints one JSON object."""
    pin = ["taskset", "-c", "0"] if is_pinned else []
    done = subprocess.run(
        pin + [str(word) for word in command],
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    return statistics.median(found.get("rounds", [found["ops_per_s"]]))


def redis_benchmark(port):
    """GETs a second of 50 connections with pipelines of 16."""
    done = subprocess.run(
        ["redis-benchmark", "-p", str(port), "-c", "50", "-P", "16", "-t"]
        + ["get", "-n", "500000", "-d", "100", "-q"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return float(re.findall(r"GET: ([0-9.]+) requests", done.stdout)[-1])


def measure(build, port, case, tiers, seconds):
    """Both sides of a case, turn by turn."""
    name, ours, theirs, is_pinned = case
    workload, threads, batch = ours
    url = f"redis://127.0.0.1:{port}"
    command = [build / "mtc", "bench", workload, "--json", "--seconds"]
    command += [seconds, "--threads", threads]
    command += ["--tiers", tiers.format(url=url)]
    if batch > 1:
        command += ["--batch", batch]
    rounds = []
    for _ in range(ROUNDS):
        mine = rate(command, is_pinned)
        if theirs is None:
            other = redis_benchmark(port)
        else:
            by_hand = [build / "bench" / "mtc_hiredis", port, *theirs, 1]
            other = rate(by_hand, is_pinned)
        rounds.append((mine, other))
        print(f"  {name}: {mine:,.0f} beside {other:,.0f}")
    return name, theirs, rounds


def measure_case(build, port, case, server, seconds):
    """A row for each list of tiers."""
    cores = "0" if case[3] else f"0-{os.cpu_count() - 1}"
    subprocess.run(
        ["taskset", "-a", "-p", "-c", cores, str(server.pid)],
        stdout=subprocess.DEVNULL,
        check=True,
    )
    rows = []
    for label, tiers in TIERS:
        print(f"{label}:")
        row = measure(build, port, case, tiers, seconds)
        rows.append((row[0], label, *row[1:]))
    return rows


def wake_ups(build, seconds):
    """Microseconds for a thread woken alone, and for one woken with others."""
    rounds = []
    for _ in range(ROUNDS):
        done = subprocess.run(
            [build / "bench" / "mtc_wake", "32", str(seconds)],
            stdout=subprocess.PIPE,
            check=True,
        )
        found = json.loads(done.stdout)
        rounds.append((found["each_us"], found["together_us"]))
    return rounds


def floor(rounds):
    """What the wake-ups cost, in a sentence."""
    form = "{:.1f}".format
    each = spread([each for each, _ in rounds], form)
    together = spread([together for _, together in rounds], form)
    return (
        "Waking a sleeping thread and switching to it takes on this machine, "
        f"in microseconds, {each} by a call each and {together} for 32 by "
        "one call (`bench/wake.c`): no call that blocks can cost less, "
        "hiredis' included."
    )


def spread(values, form):
    """Median, with lowest and highest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form(middle)} ({form(low)}–{form(high)})"


def table(rows):
    """The rows as a table of the page."""
    lines = [
        "| workload | tiers | libmtc, k keys/s | beside | k keys/s | ratio |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, label, theirs, rounds in rows:
        rival = "hiredis" if theirs else "redis-benchmark -c 50 -P 16"
        thousands = "{:.0f}".format
        cells = (
            name,
            label,
            spread([mine / 1e3 for mine, _ in rounds], thousands),
            rival,
            spread([other / 1e3 for _, other in rounds], thousands),
            spread([mine / other for mine, other in rounds], "{:.2f}".format),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Starts the server, measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=2.5)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = start_redis(folder, port)
        try:
            rows = []
            for case in CASES:
                rows += measure_case(
                    build, port, case, server, arguments.seconds
                )
            wakes = wake_ups(build, arguments.seconds / 2)
        finally:
            server.terminate()
            server.wait()
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page = f"{before}{BEGIN}\n\n{table(rows)}\n\n{floor(wakes)}\n\n{END}{after}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
