#!/usr/bin/env python3
"""Checks that the documents link to files that exist.

usage: check_links.py [ROOT]
"""

import re

import csource

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)")


def file_faults(root, path, text):
    """The faults of one document."""
    for match in LINK.finditer(text):
        target = match.group(1)
        if re.match(r"[a-z]+:", target):
            continue
        if not (path.parent / target).exists():
            where = f"{path.relative_to(root)}:"
            yield f"{where}{csource.line_of(text, match.start())}: no {target}"


def faults_of(root):
    """Every fault in the tree."""
    faults = []
    for path in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        faults += file_faults(root, path, csource.read(path))
    return faults


if __name__ == "__main__":
    csource.run("links", faults_of)
