#!/usr/bin/env python3
"""Checks names and first lines of files.

No file or folder has a name that says nothing, and every C file begins with
a comment that says what it is.

usage: check_files.py [ROOT]
"""

import re

import csource

EMPTY_NAMES = re.compile(
    r"(?:^|_)(?:utils?|common|misc|types|managers?|helpers?)(?:_|$)"
)
HEAD = re.compile(r"/\*\n \* \S")


def file_faults(path, text):
    """The faults of one file."""
    for part in path.with_suffix("").parts:
        if EMPTY_NAMES.search(part):
            yield f"{path}:1: '{part}' is no name: say what it is"
    if not HEAD.match(text):
        yield f"{path}:1: does not begin with a comment on what it is"


def faults_of(root):
    """Every fault in the tree."""
    faults = []
    for file in csource.files(root):
        faults += file_faults(file.relative_to(root), csource.read(file))
    return faults


if __name__ == "__main__":
    csource.run("files", faults_of)
