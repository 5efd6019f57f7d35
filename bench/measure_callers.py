#!/usr/bin/env python3
"""Measures many callers of what is missing: mtc bench stampede and storm, and
leases between processes.

A redis-server is started on a free port in a folder of its own and stopped at
the end. The ways to call take turns, five times; a figure is the median of its
turns, with the lowest and highest beside it. The tables go to
docs/performance.md, between their markers.

Nobody else should use the machine meanwhile.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

from measure_redis import PAGE, ROUNDS, free_port, spread, start_redis

BEGIN, END = "<!-- callers: begin -->", "<!-- callers: end -->"
CALLERS = 1000

# How the callers call, and the options of mtc bench for it.
STAMPEDES = {
    f"{CALLERS} threads": ("--callers", CALLERS),
    f"{CALLERS} asynchronous, one thread": ("--async", "--callers", CALLERS),
}
STORMS = {
    **STAMPEDES,
    f"{CALLERS} asynchronous, two threads": (
        *("--async", "--threads", 2),
        *("--callers", CALLERS),
    ),
}


def run(build, url, workload, options):
    """What one run of mtc bench found."""
    front = "memory?entries=5000" if workload == "storm" else "memory"
    command = [build / "mtc", "bench", workload, "--json", *options]
    command += ["--tiers", f"{front} {url}"]
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def measure(build, url, workload, ways, more=()):
    """{way: what its runs found}, in turns."""
    found = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, options in ways.items():
            one = run(build, url, workload, (*options, *more))
            print(f"  {workload}, {way}: {one['ops_per_s']:,.0f} requests/s")
            found[way].append(one)
    return found


def measure_leases(build, urls):
    """{tier: what runs of mtc_leases over it found}, in turns."""
    found = {tier: [] for tier in urls}
    for _ in range(ROUNDS):
        for tier, url in urls.items():
            done = subprocess.run(
                [str(build / "bench" / "mtc_leases"), url],
                stdout=subprocess.PIPE,
                check=True,
            )
            one = json.loads(done.stdout)
            print(f"  leases, {tier}: {one['beyond_ms']} ms")
            found[tier].append(one)
    return found


def figures(runs, name, scale, form):
    """A figure of all runs of a way."""
    return spread([one[name] * scale for one in runs], form)


def table(head, rows):
    """A table of the page."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def stampede_table(found):
    """One load, and how soon everyone has it."""
    precise, rough = "{:.2f}".format, "{:g}".format
    rows = []
    for way, runs in found.items():
        row = [way]
        row.append(figures(runs, "loads_per_key", 1, rough))
        row.append(figures(runs, "l2_gets_per_key", 1, rough))
        row.append(figures(runs, "max_over_load_ms", 1, precise))
        row.append(figures(runs, "last_after_load_ms", 1, precise))
        if runs[0]["async"]:
            row += ["", ""]
        else:
            row.append(figures(runs, "wake_floor_ms", 1, precise))
            row.append(figures(runs, "of_wake_floor", 1, precise))
        rows.append(row)
    head = ["`stampede`: callers", "loads a key", "GETs a key"]
    head += ["slowest caller beyond the load, ms", "last answer, ms"]
    return table(head + ["bare broadcast, ms", "slowest / broadcast"], rows)


def storm_table(found):
    """Requests a second, and how long they took."""
    rows = []
    for way, runs in found.items():
        row = [way]
        row.append(figures(runs, "ops_per_s", 1e-6, "{:.2f}".format))
        row.append(figures(runs, "p50_ns", 1, "{:.0f}".format))
        row.append(figures(runs, "p99_ns", 1e-6, "{:.1f}".format))
        row.append(figures(runs, "hit_ratio", 1, "{:.3f}".format))
        rows.append(row)
    head = ["`storm`: callers", "M requests/s", "p50, ns", "p99, ms"]
    return table(head + ["hit ratio"], rows)


def lease_table(found):
    """How soon all threads of all processes have what one of them loaded."""
    precise, rough = "{:.2f}".format, "{:g}".format
    rows = []
    for tier, runs in found.items():
        row = [tier, figures(runs, "loads_per_key", 1, rough)]
        row.append(figures(runs, "beyond_ms", 1, precise))
        row.append(precise(max(one["beyond_ms_max"] for one in runs)))
        rows.append(row)
    head = ["leases: tier", "loads a key", "last thread after the load, ms"]
    return table(head + ["worst key, ms"], rows)


def write(text):
    """Puts the tables into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    whole = f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
    PAGE.write_text(whole, encoding="utf-8")


def main():
    """Starts the server, measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=float, default=2.5)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    length = ("--seconds", arguments.seconds)
    with tempfile.TemporaryDirectory() as folder:
        server = start_redis(folder, port)
        try:
            stampedes = measure(build, url, "stampede", STAMPEDES)
            storms = measure(build, url, "storm", STORMS, length)
            urls = {"Redis": url, "disk": f"disk:{folder}/leases"}
            leases = measure_leases(build, urls)
        finally:
            server.terminate()
            server.wait()
    tables = [
        stampede_table(stampedes),
        storm_table(storms),
        lease_table(leases),
    ]
    write("\n\n".join(tables))


if __name__ == "__main__":
    main()
