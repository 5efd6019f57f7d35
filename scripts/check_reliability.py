#!/usr/bin/env python3
"""Checks that docs/reliability.md names tests that exist.

A test is named by its file below tests/, in backticks, and then, in the same
paragraph, item or row, by its function. A numbered row names a test or begins
its last cell with "no test". The page also says who reads the wall clock; that
is checked, too.

usage: check_reliability.py [ROOT]
"""

import re

import csource

PAGE = "docs/reliability.md"
CODE = re.compile(r"`([^`\n]+)`")
FILE = re.compile(r"[a-z_]+(?:/[a-z0-9_]+)+\.(?:c|cpp|sh)")
NAME = re.compile(r"(?!mtci?_)[a-z0-9]+(?:_[a-z0-9]+){3,}")
BLOCK = re.compile(r"^(?=\S).+(?:\n(?![-|#\n]).+)*", re.MULTILINE)
ROW = re.compile(r"\| (\d+) \|.*\|")
WALL_CLOCK = re.compile(r"CLOCK_REALTIME|\bgettimeofday\b|\btime\((?:NULL|0|&)")
WALL_CLOCK_FOLDER = "tier/memcached"


def blocks(text):
    """Each paragraph, item or row, with the number of its first line."""
    for match in BLOCK.finditer(text):
        yield csource.line_of(text, match.start()), match.group()


def block_faults(root, first, block):
    """The faults of one block: files and tests that are not there."""
    text = None
    for match in CODE.finditer(block):
        where = f"{PAGE}:{first + block.count(chr(10), 0, match.start())}:"
        word = match.group(1)
        if FILE.fullmatch(word):
            path = root / "tests" / word
            text = csource.read(path) if path.exists() else ""
            if not text:
                yield f"{where} no tests/{word}"
        elif NAME.fullmatch(word):
            if text is None:
                yield f"{where} {word} has no file before it"
            elif text and not re.search(rf"\b{word}\b", text):
                yield f"{where} no test {word} in the file before it"


def row_faults(number, line, expected):
    """The faults of a row of the table of failures."""
    where = f"{PAGE}:{number}:"
    if int(ROW.match(line).group(1)) != expected:
        yield f"{where} this row should be number {expected}"
    last = line.rstrip().rstrip("|").rsplit("|", 1)[1].strip()
    if not last.startswith("no test") and not CODE.search(last):
        yield f"{where} the row names no test and does not say why"


def clock_faults(root):
    """Files beside those of memcached that read the wall clock."""
    for path in csource.files(root, folders=("src",)):
        name = path.relative_to(root / "src").as_posix()
        if not name.startswith(WALL_CLOCK_FOLDER) and WALL_CLOCK.search(
            csource.blank(csource.read(path))
        ):
            yield f"src/{name}: reads the wall clock, {PAGE} says it does not"


def faults_of(root):
    """Every fault in the tree."""
    faults = list(clock_faults(root))
    page = root / PAGE
    if not page.exists():
        return faults
    row = 0
    for number, block in blocks(csource.read(page)):
        faults += block_faults(root, number, block)
        if ROW.match(block):
            row += 1
            faults += row_faults(number, block, row)
    return faults


if __name__ == "__main__":
    csource.run("reliability", faults_of)
