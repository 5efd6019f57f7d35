#!/usr/bin/env python3
"""Replays a folder of traces and shows the gaps to the best known policies.

The folder has traces as mtc replay reads them, NAME.u64.zst or any other
ending, and hit_ratios.csv with the columns trace, size, policy, hit_ratio:
what known policies reach. A cell is a trace at a size; a gap is the best
policy of the cell less the one in question, in percentage points. Policies
that see the future are left out.

With --threads T every trace is also replayed by one thread, and the mean
difference of the two is shown.
"""

import argparse
import collections
import csv
import json
import pathlib
import subprocess
import sys

OFFLINE = {"belady", "min", "opt"}
AGAINST = "caffeine_head,lirs,quick,s3fifod,lru"
ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILDS = ("release", "dev")


def fail(text):
    """Ends with a message and status 2."""
    print(f"replay_all: {text}", file=sys.stderr)
    sys.exit(2)


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--mtc", help="the tool (default: the built one)")
    parser.add_argument("--policy", help="of memory (default: its default)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trace", action="append", help="only this one")
    parser.add_argument(
        "--against",
        default=AGAINST,
        help="policies to show beside ours (default: %(default)s)",
    )
    return parser.parse_args()


def tool_of(arguments):
    """The path of mtc."""
    if arguments.mtc:
        return arguments.mtc
    for build in BUILDS:
        path = ROOT / "build" / build / "mtc"
        if path.is_file():
            return str(path)
    return fail("mtc is not built; build it or say --mtc PATH")


def read_known(folder):
    """{(trace, size): {policy: hit ratio}} from hit_ratios.csv."""
    path = folder / "hit_ratios.csv"
    if not folder.is_dir():
        fail(f"{folder}: no such folder of traces")
    if not path.is_file():
        fail(f"{folder}: no hit_ratios.csv in it")
    known = collections.defaultdict(dict)
    with path.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            if row["policy"] not in OFFLINE:
                cell = row["trace"], int(row["size"])
                known[cell][row["policy"]] = float(row["hit_ratio"])
    return known


def trace_file(folder, trace):
    """The file of a trace, or None."""
    files = sorted(folder.glob(f"{trace}.*"))
    return files[0] if files else None


def replay(tool, file, sizes, arguments, threads):
    """{size: hit ratio} of a trace."""
    command = [tool, "replay", str(file), "--json"]
    command += ["--threads", str(threads), "--seed", str(arguments.seed)]
    if arguments.policy:
        command += ["--policy", arguments.policy]
    for size in sizes:
        command += ["--capacity", str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        fail(f"mtc replay {file.name} ended with {done.returncode}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {row["capacity"]: row["hit_ratio"] for row in rows}


def replay_all(known, tool, arguments, threads):
    """{cell: hit ratio} of every cell whose trace is there."""
    ours = {}
    for trace in dict.fromkeys(trace for trace, _ in known):
        if arguments.trace and trace not in arguments.trace:
            continue
        file = trace_file(arguments.folder, trace)
        if file is None:
            print(f"replay_all: no file of {trace}", file=sys.stderr)
            continue
        sizes = [size for name, size in known if name == trace]
        ratios = replay(tool, file, sizes, arguments, threads)
        ours.update({(trace, size): ratios[size] for size in sizes})
    return ours


def gap(cell_known, ratio):
    """How far below the best of the cell, in points; None without ratio."""
    if ratio is None:
        return None
    return 100 * (max(cell_known.values()) - ratio)


def gap_rows(known, ours, against):
    """(cell, best policy, its ratio, our ratio, gaps: ours first)."""
    for cell, ratio in ours.items():
        best = max(known[cell], key=known[cell].get)
        ratios = [ratio] + [known[cell].get(policy) for policy in against]
        gaps = [gap(known[cell], one) for one in ratios]
        yield cell, best, known[cell][best], ratio, gaps


def show(figure):
    """A gap, or a dash."""
    return "-" if figure is None else f"{figure:.2f}"


def print_gaps(rows, against):
    """The table of cells, then mean and worst."""
    width = max([7] + [len(policy) for policy in against])
    names = ["ours"] + against
    head = f"{'trace':<10} {'size':>7} {'best':>7} {'ours':>7}"
    print(head + "  gap:" + "".join(f" {name:>{width}}" for name in names))
    for (trace, size), best, top, ratio, gaps in rows:
        line = f"{trace:<10} {size:>7} {top:>7.4f} {ratio:>7.4f}      "
        line += "".join(f" {show(figure):>{width}}" for figure in gaps)
        print(f"{line}  {best}")
    columns = list(zip(*(gaps for *_, gaps in rows)))
    there = [[one for one in column if one is not None] for column in columns]
    means = [sum(column) / len(column) if column else None for column in there]
    worst = [max(column, default=None) for column in there]
    for name, figures in (("mean gap", means), ("worst gap", worst)):
        line = "".join(f" {show(figure):>{width}}" for figure in figures)
        print(f"{name:<40}{line}")


def print_difference(alone, together, threads):
    """How far several threads are from one."""
    apart = [100 * abs(together[cell] - alone[cell]) for cell in alone]
    print(
        f"{threads} threads against 1: mean difference"
        f" {sum(apart) / len(apart):.2f} points, largest {max(apart):.2f}"
    )


def main():
    """Replays and shows."""
    arguments = parse_arguments()
    known = read_known(arguments.folder)
    tool = tool_of(arguments)
    against = [name for name in arguments.against.split(",") if name]
    ours = replay_all(known, tool, arguments, arguments.threads)
    if not ours:
        fail(f"{arguments.folder}: no trace of hit_ratios.csv in it")
    rows = list(gap_rows(known, ours, against))
    print_gaps(rows, against)
    print(f"{len(rows)} cells")
    if arguments.threads > 1:
        alone = replay_all(known, tool, arguments, 1)
        print_difference(alone, ours, arguments.threads)


if __name__ == "__main__":
    main()
