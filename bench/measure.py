#!/usr/bin/env python3
"""Measures libmtc, its rivals and the ceiling, and writes results.json.

Every figure is the median of five rounds in which all take turns; the lowest
and the highest round stand beside it. With --traces, or MTC_TRACES, a folder
as scripts/replay_all.py wants it is replayed, too; without, the hit ratios of
the last time are kept.

Nobody else should use the machine meanwhile.
"""

import argparse
import collections
import csv
import datetime
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results.json"
SEED = 1

# Workload, batch; each is run with every count of threads.
WORKLOADS = (("read", 1), ("read", 16), ("mixed", 1), ("evict", 1), ("hot", 1))
CONTESTS = ("read", "mixed", "hot", "evict")
PACKAGES = {"GLib": "glib-2.0", "liburcu": "liburcu", "TBB": "tbb"}
TIMES = ("p50_ns", "p99_ns", "p999_ns", "max_ns")


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument(
        "--seconds", type=float, default=2.5, help="of each in a run"
    )
    parser.add_argument(
        "--traces", type=pathlib.Path, default=os.environ.get("MTC_TRACES")
    )
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS)
    return parser.parse_args()


def run(*command):
    """The JSON lines that a command prints."""
    print("  " + " ".join([pathlib.Path(command[0]).name, *command[1:]]))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"measure: it ended with {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def text_of(*command):
    """The first line that a command prints, or an empty text."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT
        )
    except OSError:
        return ""
    return done.stdout.split("\n")[0]


def spread(figures):
    """Median, lowest and highest."""
    return {
        "median": float(f"{statistics.median(figures):.4g}"),
        "min": float(f"{min(figures):.4g}"),
        "max": float(f"{max(figures):.4g}"),
    }


def ratios(rounds, others):
    """One beside the other, round by round."""
    return [one / other for one, other in zip(rounds, others)]


def thread_counts(cores):
    """1, 2, 4, ... up to the cores, six of them at most."""
    counts = [1, 2]
    while counts[-1] * 2 <= cores and len(counts) < 6:
        counts.append(counts[-1] * 2)
    return counts


def machine():
    """What the figures depend on, and nothing that tells whose it is."""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        models = [line for line in info if line.startswith("model name")]
    return {
        "cpu": models[0].split(":")[1].strip() if models else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "compiler": text_of("cc", "--version"),
        "date": datetime.date.today().isoformat(),
        "revision": text_of("git", "describe", "--always", "--dirty"),
        "packages": {
            name: text_of("pkg-config", "--modversion", package)
            for name, package in PACKAGES.items()
        },
    }


def busy_seconds():
    """Processor time that this machine, and that our programs spent."""
    with open("/proc/stat", encoding="utf-8") as stat:
        ticks = [int(one) for one in stat.readline().split()[1:9]]
    user, nice, system, _, _, *interrupts = ticks
    all_ticks = user + nice + system + sum(interrupts)
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    every = all_ticks / os.sysconf("SC_CLK_TCK")
    return every, own.ru_utime + own.ru_stime


class Others:
    """How busy others keep the cores while we measure."""

    def __init__(self):
        self.begun = time.monotonic()
        self.every, self.own = busy_seconds()

    def share(self):
        """Of all cores, since the beginning."""
        every, own = busy_seconds()
        theirs = every - self.every - (own - self.own)
        cores = os.cpu_count() * (time.monotonic() - self.begun)
        return round(max(0, theirs) / cores, 3)


def measure_workload(tool, case, threads, seconds):
    """One run of mtc bench."""
    workload, batch = case
    command = [str(tool), "bench", workload, "--json"]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    if batch > 1:
        command += ["--batch", str(batch)]
    (found,) = run(*command)
    row = {"workload": workload, "batch": batch, "threads": threads}
    row["ops_per_s"] = spread(found["rounds"])
    row["limit_ops_per_s"] = spread(found["limit_rounds"])
    row["of_limit"] = spread(ratios(found["rounds"], found["limit_rounds"]))
    row["hit_ratio"] = found["hit_ratio"]
    row["get"] = {name: found["get"][name] for name in TIMES}
    if "of_one_thread" in found:
        row["of_one_thread"] = {
            "median": found["of_one_thread"],
            "min": found["of_one_thread_min"],
            "max": found["of_one_thread_max"],
        }
    return row


def measure_contest(program, workload, threads, seconds):
    """One run of all systems; one row for each."""
    found = run(str(program), workload, str(threads), str(seconds))
    limit = found[0]["rounds"]
    for one in found:
        if one["failed"] > 0:
            sys.exit(f"measure: calls of {one['system']} failed")
        yield {
            "workload": workload,
            "threads": threads,
            "system": one["system"],
            "ops_per_s": spread(one["rounds"]),
            "of_limit": spread(ratios(one["rounds"], limit)),
            "hit_ratio": one["hit_ratio"],
        }


def measure_memory(tool, program, rivals):
    """Bytes an entry beyond key and value."""
    found = run(str(tool), "bench", "memory", "--json")
    found[0]["system"] = "libmtc"
    for rival in rivals:
        found += run(str(program), "memory", rival)
    return {one["system"]: one["overhead_bytes_per_entry"] for one in found}


def read_known(folder):
    """{(trace, size): {policy: hit ratio}} from hit_ratios.csv."""
    known = collections.defaultdict(dict)
    path = folder / "hit_ratios.csv"
    with path.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            cell = row["trace"], int(row["size"])
            known[cell][row["policy"]] = float(row["hit_ratio"])
    return known


def measure_hit_ratios(tool, folder):
    """A row for each trace and size: ours, and the known ones."""
    known = read_known(folder)
    for trace in dict.fromkeys(trace for trace, _ in known):
        files = sorted(folder.glob(f"{trace}.*"))
        sizes = [size for name, size in known if name == trace]
        if not files:
            continue
        command = [str(tool), "replay", str(files[0]), "--json"]
        command += ["--seed", str(SEED)]
        for size in sizes:
            command += ["--capacity", str(size)]
        for one in run(*command):
            yield {
                "trace": trace,
                "capacity": one["capacity"],
                "libmtc": round(one["hit_ratio"], 4),
                "known": known[trace, one["capacity"]],
            }


def old_hit_ratios(path):
    """Those of the last time."""
    if not path.is_file():
        return []
    return json.loads(path.read_text(encoding="utf-8")).get("hit_ratios", [])


def measure(arguments):
    """Everything."""
    tool = arguments.build / "mtc"
    program = arguments.build / "bench" / "mtc_rivals"
    seconds = arguments.seconds
    others = Others()
    results = {"machine": machine(), "seconds": seconds, "rounds": 5}
    counts = thread_counts(results["machine"]["cores"])
    results["workloads"] = [
        measure_workload(tool, case, threads, seconds)
        for case in WORKLOADS
        for threads in counts
    ]
    results["contests"] = [
        row
        for workload in CONTESTS
        for threads in counts
        for row in measure_contest(program, workload, threads, seconds)
    ]
    systems = dict.fromkeys(row["system"] for row in results["contests"])
    rivals = [one for one in systems if one not in ("limit", "libmtc")]
    results["overhead_bytes_per_entry"] = measure_memory(tool, program, rivals)
    if arguments.traces:
        results["hit_ratios"] = list(
            measure_hit_ratios(tool, arguments.traces)
        )
    else:
        results["hit_ratios"] = old_hit_ratios(arguments.output)
    results["machine"]["others_busy"] = others.share()
    return results


def write(path, results):
    """One row a line, so that a change can be read."""
    parts = []
    for name, value in results.items():
        if isinstance(value, list):
            rows = ",\n".join("    " + json.dumps(row) for row in value)
            parts.append(f'  "{name}": [\n{rows}\n  ]')
        else:
            parts.append(f'  "{name}": {json.dumps(value)}')
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    OPTIONS = parse_arguments()
    write(OPTIONS.output, measure(OPTIONS))
