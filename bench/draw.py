#!/usr/bin/env python3
"""Draws docs/performance/*.svg from results.json and fills in the tables.

The tables of docs/performance.md stand between two markers; no figure in them
is typed by hand. gnuplot draws.
"""

import argparse
import json
import pathlib
import re
import subprocess

import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Shades from few threads to many; they differ in lightness, too.
BLUES = ("#9ecae1", "#0072b2")
GREYS = ("#d4d4d4", "#8c8c8c")
WHITES = ("#ffffff", "#f0f0f0")

HEAD = """
set encoding utf8
set terminal svg size {width},{height} noenhanced font "sans-serif,12" \\
  background "white"
set output "{path}"
set border 3 linecolor "#666666"
set tics nomirror out scale 0.5 textcolor "#333333"
set style line 9 linecolor "#e4e4e4" linewidth 1
"""

BARS = """
$bars << EOD
{data}
EOD
set title "{title}" font ",13" offset 0,-0.4
set yrange [0.4:{top}]
set xrange [0:{right:.3f}]
set ytics ({tics}) scale 0
set xlabel "million operations a second" offset 0,0.4
set grid xtics linestyle 9
set style fill solid 1 border linecolor "#555555"
plot $bars using 1:2:(0):1:3:4:5 with boxxyerror linecolor rgb variable \\
    linewidth 0.6 notitle, \\
  $bars using 1:2:6:7 with xerrorbars linecolor "#222222" linewidth 1 \\
    pointsize 0 pointtype 0 notitle, \\
  $bars using 7:2:8 with labels left offset 0.6,0 font ",10" notitle
"""

CURVES = """$one using 1:6:7 with filledcurves fillcolor "#e6e6e6" \\
    title "all known policies", \\
  $one using 1:8 with lines linecolor "#555555" dashtype (2,3) linewidth 1 \\
    title "clairvoyant", \\
  $one using 1:5 with linespoints linecolor "#999999" linewidth 1.3 \\
    pointtype 7 pointsize 0.3 title "LRU", \\
  $one using 1:4 with linespoints linecolor "#009e73" linewidth 1.3 \\
    pointtype 9 pointsize 0.45 title "quick_cache 0.7.0", \\
  $one using 1:3 with linespoints linecolor "#d55e00" linewidth 1.3 \\
    pointtype 5 pointsize 0.35 title "Caffeine master", \\
  $one using 1:2 with linespoints linecolor "#0072b2" linewidth 2.2 \\
    pointtype 7 pointsize 0.45 title "libmtc"
"""

TRACE = """
$one << EOD
{data}
EOD
set title "{trace}" font ",13" offset 0,-0.5
set xtics ({tics})
set xrange [{left}:{right}]
set yrange [0:100]
plot {curves}"""

GAPS = """
$gaps << EOD
{data}
EOD
set multiplot layout 1,2 title "Gap to the best online policy of each \\
trace and size, in percentage points" font ",13"
set yrange [{bottom}:0.6]
set ytics ({tics}) scale 0
set grid xtics linestyle 9
set style fill solid 1 noborder
set xrange [0:*]
set offsets 0, graph 0.14, 0, 0
set title "mean" offset 0,-0.5
set lmargin at screen 0.185
set rmargin at screen 0.58
plot $gaps using 1:2:(0):1:($2-0.34):($2+0.34):4 with boxxyerror \\
    linecolor rgb variable notitle, \\
  $gaps using 1:2:(stringcolumn(5)) with labels left offset 0.5,0 \\
    font ",10" notitle
set title "worst"
set lmargin at screen 0.62
set rmargin at screen 0.97
unset ytics
plot $gaps using 3:2:(0):3:($2-0.34):($2+0.34):4 with boxxyerror \\
    linecolor rgb variable notitle, \\
  $gaps using 3:2:(stringcolumn(6)) with labels left offset 0.5,0 \\
    font ",10" notitle
unset multiplot
"""


def gnuplot(path, size, text):
    """Draws one picture."""
    head = HEAD.format(path=path, width=size[0], height=size[1])
    subprocess.run(["gnuplot"], input=head + text, text=True, check=True)
    drawn = path.read_text(encoding="utf-8")
    title = path.stem.replace("_", " ")
    drawn = drawn.replace("<title>Gnuplot</title>", f"<title>{title}</title>")
    path.write_text(drawn, encoding="utf-8")


def hexes(colour):
    """The three parts of #rrggbb."""
    return re.findall("..", colour[1:])


def shade(ends, share):
    """A colour between two."""
    pairs = [(int(a, 16), int(b, 16)) for a, b in zip(*map(hexes, ends))]
    mixed = [round(a + (b - a) * share) for a, b in pairs]
    return "0x" + "".join(f"{part:02x}" for part in mixed)


def colour_of(system, share):
    """Ours is blue, the ceiling white, all others are grey."""
    ends = {"libmtc": BLUES, "limit": WHITES}.get(system, GREYS)
    return shade(ends, share)


def tics_of(names):
    """Names at their places."""
    return ", ".join(f'"{name}" {place}' for name, place in names)


def bar(row, middle, height, share):
    """A line of data: one bar."""
    rate = {name: one / 1e6 for name, one in row["ops_per_s"].items()}
    label = f"{rate['median']:.3g}"
    if row["system"] != "limit":
        label += f"  ({row['of_limit']['median']:.2f})"
    return (
        f"{rate['median']:.4f} {middle:.4f} {middle - height / 2:.4f} "
        f"{middle + height / 2:.4f} {colour_of(row['system'], share)} "
        f'{rate["min"]:.4f} {rate["max"]:.4f} "{label}"'
    )


def panel_of_bars(title, rows):
    """gnuplot's commands for one panel of horizontal bars."""
    here = {row["system"] for row in rows}
    systems = [system for system in tables.SYSTEMS if system in here]
    counts = sorted({row["threads"] for row in rows})
    height = 0.78 / len(counts)
    lines = []
    for row in rows:
        place = len(systems) - systems.index(row["system"])
        index = counts.index(row["threads"])
        middle = place + 0.39 - height * (index + 0.5)
        share = index / max(1, len(counts) - 1)
        lines.append(bar(row, middle, height, share))
    names = [
        (tables.SYSTEMS[system], len(systems) - index)
        for index, system in enumerate(systems)
    ]
    return BARS.format(
        data="\n".join(lines),
        title=title,
        top=len(systems) + 0.6,
        right=max(row["ops_per_s"]["max"] for row in rows) / 1e6 * 1.3,
        tics=tics_of(names),
    )


def draw_throughput(results, path):
    """Throughput by threads, beside the ceiling and the rivals."""
    contests = results["contests"]
    counts = sorted({row["threads"] for row in contests})
    threads = ", ".join(str(count) for count in counts)
    text = (
        'set multiplot layout 2,2 title "'
        f"From light to dark: {threads} threads.  In brackets: share of the "
        "limit with as many threads.\\nBar: median of five rounds; "
        'line: lowest to highest." font ",12"\n'
        "set lmargin 15\nset rmargin 2\n"
    )
    for workload, title in tables.PANELS.items():
        rows = [row for row in contests if row["workload"] == workload]
        text += panel_of_bars(title, rows)
    each = 150 + 7 * max(26, 15 * len(counts))
    gnuplot(path, (980, 2 * each + 50), text + "unset multiplot\n")


def line_of_cell(cell):
    """Capacity, ours, Caffeine, quick_cache, LRU, lowest, best, Belady."""
    known = tables.known_online(cell)
    ratios = [cell["libmtc"], known.get("caffeine_head")]
    ratios += [known.get("quick"), known.get("lru")]
    ratios += [min(known.values()), max(known.values())]
    ratios.append(cell["known"].get(tables.OFFLINE))
    shown = ["NaN" if one is None else f"{100 * one:.2f}" for one in ratios]
    return " ".join([str(cell["capacity"]), *shown])


def short(count):
    """A count in few letters."""
    if count < 1000:
        return str(count)
    thousands = count / 1000
    return f"{thousands:.1f}k" if thousands < 10 else f"{thousands:.0f}k"


def panel_of_trace(trace, cells):
    """gnuplot's commands for one trace."""
    sizes = [cell["capacity"] for cell in cells]
    return TRACE.format(
        data="\n".join(line_of_cell(cell) for cell in cells),
        trace=trace,
        tics=tics_of([(short(size), size) for size in sizes]),
        left=min(sizes) * 0.8,
        right=max(sizes) * 1.25,
        curves=CURVES,
    )


def draw_hit_ratios(results, path):
    """Hit ratio by size, a panel for each trace."""
    cells = results["hit_ratios"]
    traces = list(dict.fromkeys(cell["trace"] for cell in cells))
    rows = -(-(len(traces) + 1) // 3)
    text = f"""
set multiplot layout {rows},3 title \\
  "Hit ratio in percent, by entries that the cache holds" font ",13"
set logscale x 10
set xtics font ",10"
set ytics 25
set grid xtics ytics linestyle 9
unset key
"""
    for trace in traces:
        own = [cell for cell in cells if cell["trace"] == trace]
        text += panel_of_trace(trace, own)
    text += f"""
unset title; unset border; unset tics; unset grid
set key at screen 0.985, screen {1 / rows - 0.035:.3f} right top Left \\
  reverse font ",12" spacing 1.4 samplen 3
set xrange [1e9:1e10]
plot {CURVES}
unset multiplot
"""
    gnuplot(path, (960, 235 * rows + 30), text)


def draw_gaps(results, path):
    """How far each policy is from the best of each cell."""
    gaps = tables.gaps_of(results["hit_ratios"])
    lines, names = [], []
    for index, (policy, (mean, worst, _)) in enumerate(gaps.items()):
        colour = "0x0072b2" if policy == "libmtc" else "0xb8b8b8"
        lines.append(
            f"{mean:.6f} {-index} {worst:.6f} {colour} {mean:.2f} {worst:.1f}"
        )
        names.append((tables.POLICIES.get(policy, policy), -index))
    text = GAPS.format(
        data="\n".join(lines), tics=tics_of(names), bottom=0.4 - len(gaps)
    )
    gnuplot(path, (900, 28 * len(gaps) + 90), text)


def main():
    """Everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--results", type=pathlib.Path, default=ROOT / "bench/results.json"
    )
    parser.add_argument("--docs", type=pathlib.Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text(encoding="utf-8"))
    folder = arguments.docs / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    draw_throughput(results, folder / "throughput.svg")
    if results["hit_ratios"]:
        draw_hit_ratios(results, folder / "hit_ratios.svg")
        draw_gaps(results, folder / "gaps.svg")
    tables.fill_in(arguments.docs / "performance.md", results)


if __name__ == "__main__":
    main()
