#!/usr/bin/env python3
"""Checks sizes: lines of files and functions, columns, parameters, nesting.

A function over the limit is listed with its reason in scripts/sizes.allow.

usage: check_sizes.py [ROOT]
"""

import re

import csource

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 80
PARAMETERS_MAX = 5
NESTING_MAX = 3

# What is no parameter of its own: the context of a callback, a line of a file,
# how many items there are.
SECOND_HALF = re.compile(r"void \*(?:\w+_)?ctx$|int line$|size_t count$")
CONTROL = re.compile(r"\b(?:if|for|while|switch|[A-Z][A-Z_]+)\s*$")


def parameter_count(function):
    """Parameters, halves of one thing counted as one."""
    halves = [p for p in function.parameters[1:] if SECOND_HALF.search(p)]
    return len(function.parameters) - len(halves)


def opens_block(body, at):
    """Whether the '{' at this place belongs to if, for, else and so on."""
    before = body[:at].rstrip()
    if not before.endswith(")"):
        return bool(re.search(r"\b(?:else|do)$", before))
    depth = 0
    for index in range(len(before) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(before[index], 0)
        if depth == 0:
            return bool(CONTROL.search(before[:index]))
    return False


def nesting(function):
    """How deep blocks lie in each other."""
    deepest = 0
    stack = []
    for match in re.finditer(r"[{}]", function.body):
        if match.group() == "{":
            stack.append(opens_block(function.body, match.start()))
            deepest = max(deepest, sum(stack))
        elif stack:
            stack.pop()
    return deepest


def function_faults(path, function, allowed):
    """The faults of one function; takes what it uses out of allowed."""
    where = f"{path}:{function.line}: {function.name}"
    count = parameter_count(function)
    depth = nesting(function)
    if function.line_count > FUNCTION_LINES_MAX:
        if allowed.pop((path, function.name), None) is None:
            yield f"{where}: {function.line_count} lines"
    if count > PARAMETERS_MAX:
        yield f"{where}: {count} parameters"
    if depth > NESTING_MAX:
        yield f"{where}: nested {depth} deep"


def text_faults(path, text):
    """The faults of any text file."""
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"{path}:1: {len(lines)} lines"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield f"{path}:{number}: {len(line)} columns"


def read_allowed(root):
    """The allow list: (path, function) to reason; and its own faults."""
    path = root / "scripts" / "sizes.allow"
    allowed, faults = {}, []
    for number, line in enumerate(csource.read(path).splitlines(), 1):
        words = line.split(None, 2)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3:
            faults.append(f"scripts/sizes.allow:{number}: gives no reason")
        else:
            allowed[words[0], words[1]] = words[2]
    return allowed, faults


def faults_of(root):
    """Every fault in the tree."""
    allowed, faults = read_allowed(root)
    for file in csource.files(root):
        path = file.relative_to(root).as_posix()
        text = csource.read(file)
        faults += text_faults(path, text)
        for function in csource.functions(text):
            faults += function_faults(path, function, allowed)
    for file in csource.files(root, (".py", ".sh"), ("scripts", "tests")):
        faults += text_faults(file.relative_to(root), csource.read(file))
    for path, name in allowed:
        faults.append(f"scripts/sizes.allow: {path} {name} needs no leave")
    return faults


if __name__ == "__main__":
    csource.run("sizes", faults_of)
