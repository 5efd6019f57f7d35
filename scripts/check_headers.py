#!/usr/bin/env python3
"""Checks that every public function is documented.

The comment before each function in include/ has a line for each parameter,
@return unless it returns nothing, and **Returns**, **Threads**, **Blocks**
and **Since**.

usage: check_headers.py [ROOT]
"""

import re

import csource

SECTIONS = ("Returns", "Threads", "Blocks", "Since")

DECLARATION = re.compile(
    r"^(?:MTC_API|static inline)\b([^;{=]*?)\b(mtc_\w+)\s*\(", re.MULTILINE
)
COMMENT_BEFORE = re.compile(r"/\*\*(?:(?!\*/).)*\*/\s*\Z", re.DOTALL)
NAME = re.compile(r"(?:\(\*\s*)?(\w+)\s*(?:\[[^\]]*\])?(?:\)\s*\(.*\))?$")


def parameter_names(code, at):
    """Names of the parameters of the list that begins at this place."""
    for parameter in csource.split_parameters(code[at:]):
        if parameter != "...":
            yield NAME.search(" ".join(parameter.split())).group(1)


def missing(comment, returns, parameters):
    """What a comment does not say."""
    for name in parameters:
        if not re.search(rf"@param {name}\b", comment):
            yield f"@param {name}"
    if returns != "void" and "@return" not in comment:
        yield "@return"
    for section in SECTIONS:
        if f"**{section}**" not in comment:
            yield f"**{section}**"


def header_faults(path, text):
    """The faults of one public header."""
    code = csource.blank(text)
    for match in DECLARATION.finditer(code):
        where = f"{path}:{csource.line_of(code, match.start())}"
        name = match.group(2)
        comment = COMMENT_BEFORE.search(text[: match.start()])
        if not comment:
            yield f"{where}: {name} has no /** comment"
            continue
        parameters = parameter_names(code, match.end())
        returns = match.group(1).strip()
        for what in missing(comment.group(), returns, parameters):
            yield f"{where}: {name} lacks {what}"


def faults_of(root):
    """Every fault in the tree."""
    faults = []
    for file in csource.files(root, (".h",), ("include",)):
        path = file.relative_to(root).as_posix()
        faults += header_faults(path, csource.read(file))
    return faults


if __name__ == "__main__":
    csource.run("headers", faults_of)
