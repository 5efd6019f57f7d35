"""The tables of docs/performance.md, from results.json."""

import statistics
import sys

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

SYSTEMS = {
    "limit": "limit",
    "libmtc": "libmtc",
    "urcu-qsbr": "liburcu, QSBR",
    "urcu-bp": "liburcu, bp",
    "tbb": "TBB",
    "glib": "GLib, one lock",
    "glib-16": "GLib, 16 locks",
}
PANELS = {
    "read": "read: gets of 100,000 keys",
    "mixed": "mixed: 3 gets, then 1 set",
    "hot": "hot: all get one single key",
    "evict": "evict: 1,000,000 keys, room for 100,000",
}
POLICIES = {
    "lru": "LRU",
    "twoq": "2Q",
    "arc": "ARC",
    "lirs": "LIRS",
    "sieve": "SIEVE",
    "s3fifo": "S3-FIFO",
    "s3fifod": "S3-FIFO, adaptive",
    "wtinylfu": "W-TinyLFU",
    "moka": "moka 0.12.14",
    "quick": "quick_cache 0.7.0",
    "caffeine": "Caffeine 3.2.4",
    "caffeine_head": "Caffeine master",
}

# The policy that sees the future.
OFFLINE = "belady"


def known_online(cell):
    """Policies that do not see the future."""
    return {p: r for p, r in cell["known"].items() if p != OFFLINE}


def gaps_of(cells):
    """{policy: (mean gap, worst gap, count)}, in points, best first."""
    gaps = {}
    for cell in cells:
        known = known_online(cell)
        best = max(known.values())
        for policy, ratio in [*known.items(), ("libmtc", cell["libmtc"])]:
            gaps.setdefault(policy, []).append(100 * (best - ratio))
    found = {
        policy: (statistics.mean(own), max(own), len(own))
        for policy, own in gaps.items()
    }
    return dict(sorted(found.items(), key=lambda one: one[1][0]))


def table(head, rows):
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def millions(spread):
    """A rate and its spread."""
    low, high = spread["min"] / 1e6, spread["max"] / 1e6
    return f"{spread['median'] / 1e6:.3g} ({low:.3g}–{high:.3g})"


def share(spread):
    """A ratio and its spread."""
    low, high = spread["min"], spread["max"]
    return f"{spread['median']:.2f} ({low:.2f}–{high:.2f})"


def time(nanoseconds):
    """As people read it."""
    for unit, size in (("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds} ns"


def workload_table(results):
    """What mtc bench says of libmtc."""
    rows = []
    for row in results["workloads"]:
        name = row["workload"]
        if row["batch"] > 1:
            name += f" --batch {row['batch']}"
        get = row["get"]
        cells = [f"`{name}`", str(row["threads"]), millions(row["ops_per_s"])]
        cells += [millions(row["limit_ops_per_s"]), share(row["of_limit"])]
        cells += [f"{row['hit_ratio']:.3f}", time(get["p50_ns"])]
        cells += [time(get["p99_ns"]), time(get["p999_ns"])]
        rows.append(cells)
    head = ["workload", "threads", "M keys/s", "limit, M/s", "of limit"]
    head += ["hit ratio", "a get: p50", "p99", "p99.9"]
    return table(head, rows)


def hot_lines(results):
    """How much further threads help with one single key."""
    for row in results["workloads"]:
        if "of_one_thread" in row:
            yield (
                f"Under `hot`, {row['threads']} threads are "
                f"{share(row['of_one_thread'])} times as fast as one.\n"
            )


def contest_cell(row):
    """A rate, and its share of the limit."""
    if row is None:
        return ""
    text = f"{row['ops_per_s']['median'] / 1e6:.3g}"
    if row["system"] != "limit":
        text += f" ({row['of_limit']['median']:.2f})"
    return text


def contest_table(results):
    """All systems beside each other."""
    contests = results["contests"]
    counts = sorted({row["threads"] for row in contests})
    columns = [(panel, count) for panel in PANELS for count in counts]
    found = {
        (row["system"], row["workload"], row["threads"]): row
        for row in contests
    }
    rows = []
    for system, name in SYSTEMS.items():
        cells = [found.get((system, *column)) for column in columns]
        if any(cells):
            rows.append([name, *map(contest_cell, cells)])
    return table(["system"] + [f"{w}, {n}" for w, n in columns], rows)


def evict_line(results):
    """Hit ratios under evict."""
    said = [
        f"{SYSTEMS[row['system']]} {row['hit_ratio']:.3f}"
        for row in results["contests"]
        if row["workload"] == "evict"
        and row["threads"] == 1
        and row["system"] != "limit"
    ]
    return "Hit ratio under `evict`: " + "; ".join(said) + ".\n"


def overhead_table(results):
    """Bytes an entry."""
    found = results["overhead_bytes_per_entry"]
    rows = [
        [name, f"{found[system]:.0f}"]
        for system, name in SYSTEMS.items()
        if system in found
    ]
    return table(["system", "bytes an entry beyond key and value"], rows)


def gap_table(results):
    """Gaps of all policies."""
    rows = [
        [POLICIES.get(policy, policy), f"{mean:.2f}", f"{worst:.1f}", str(n)]
        for policy, (mean, worst, n) in gaps_of(results["hit_ratios"]).items()
    ]
    return table(["policy", "mean gap", "worst gap", "cells"], rows)


def figures(results):
    """All that stands between the markers."""
    machine = results["machine"]
    packages = ", ".join(f"{n} {v}" for n, v in machine["packages"].items())
    yield (
        f"{machine['cpu']}, {machine['cores']} cores; "
        f"{machine['compiler']}; {packages}; revision {machine['revision']}, "
        f"{machine['date']}. Median of {results['rounds']} rounds of "
        f"{results['seconds'] / results['rounds']:.2g} s, lowest and highest "
        "in brackets. Others kept the cores busy for "
        f"{100 * machine['others_busy']:.0f} % of the time.\n"
    )
    yield "### libmtc, by `mtc bench`\n"
    yield workload_table(results)
    yield from hot_lines(results)
    yield "### Beside rivals\n"
    yield "Million operations a second, by workload and threads (of limit).\n"
    yield contest_table(results)
    yield evict_line(results)
    yield "### Memory\n"
    yield overhead_table(results)
    if results["hit_ratios"]:
        yield "### Hit ratio: gap to the best online policy, in points\n"
        yield gap_table(results)


def fill_in(path, results):
    """Replaces what stands between the markers of a document."""
    text = path.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        sys.exit(f"draw: {path} lacks its markers")
    inner = "\n".join(figures(results))
    whole = f"{before}{BEGIN}\n\n{inner}\n{END}{after}"
    path.write_text(whole, encoding="utf-8")
