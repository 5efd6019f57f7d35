#!/usr/bin/env python3
"""Checks what includes what.

src/LAYERS says which folder of src/ may include which, and where each
third-party header may be included. The tool, the examples and the benchmarks
see include/ alone, and headers beside themselves; bench/ shares the harness of
mtc bench, which lies in cli/.

usage: check_layers.py [ROOT]
"""

import pathlib
import re

import csource

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)

# What the C library and the kernel bring along.
SYSTEM_FOLDERS = ("sys", "linux", "net", "netinet", "arpa")
SYSTEM = set(
    "assert complex ctype dirent dlfcn errno execinfo fcntl fenv float ftw"
    " getopt inttypes iso646 langinfo libgen limits locale malloc math netdb"
    " poll pthread pwd regex sched search semaphore setjmp signal spawn"
    " stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib"
    " stdnoreturn string strings syslog termios tgmath threads time uchar"
    " unistd wchar wctype".split()
)

# What of C++ without C is used.
SYSTEM_CPP = ("new", "string", "string_view")

# Folders that see include/ alone, each with the folders that it shares.
USERS = {"cli": (), "examples": (), "bench": ("cli",)}


class Layers:
    """The rules of src/LAYERS."""

    def __init__(self, path):
        self.folders = {}
        self.third = {}
        self.faults = []
        for number, line in enumerate(csource.read(path).splitlines(), 1):
            line = line.split("#")[0].strip()
            left, colon, right = line.partition(":")
            if not line:
                continue
            if not colon:
                self.faults.append(f"src/LAYERS:{number}: no ':'")
            elif left.startswith("third "):
                self.third[left.split()[1]] = right.split()
            else:
                self.folders[left.strip()] = right.split()


def is_system(header):
    """Whether <header> comes with the C library or the kernel."""
    parts = header.split("/")
    if len(parts) > 1:
        return parts[0] in SYSTEM_FOLDERS
    return header[:-2] in SYSTEM or header in SYSTEM_CPP


def is_within(path, places):
    """Whether path is one of the places or lies below one."""
    return any((path + "/").startswith(place + "/") for place in places)


def third_party_fault(layers, path, header):
    """What is wrong with a third-party header in path, or None."""
    if header not in layers.third:
        return f"<{header}> is not listed in src/LAYERS"
    if not is_within(path, layers.third[header]):
        places = " ".join(layers.third[header])
        return f"<{header}> belongs into {places}"
    return None


def own_fault(root, layers, path, header):
    """What is wrong with an include of ours, or None."""
    top, _, rest = path.partition("/")
    folder = str(pathlib.PurePath(rest).parent)
    target = str(pathlib.PurePath(header).parent)
    if header == "mtc.h" or header.startswith("mtc/"):
        is_there = (root / "include" / header).is_file()
        return None if is_there else f'no "{header}" in include/'
    if top == "include":
        return f'a public header includes "{header}"'
    if top in USERS:
        places = [(root / path).parent, *(root / one for one in USERS[top])]
        is_there = any((place / header).is_file() for place in places)
        return None if is_there else f'{top}/ sees include/ alone: "{header}"'
    if target == ".":
        return f'"{header}": write includes from src/'
    if target != folder and target not in layers.folders[folder]:
        return f'{folder} may not include {target}: "{header}"'
    is_there = (root / "src" / header).is_file()
    return None if is_there else f'no "{header}" in src/'


def include_fault(root, layers, path, kind, header):
    """What is wrong with one include, or None."""
    if ".." in header.split("/"):
        return f'"{header}": write includes from src/, never ../'
    if kind == '"':
        return own_fault(root, layers, path, header)
    if header == "mtc.h" or header.startswith("mtc/"):
        return None if path.split("/")[0] in USERS else f'write "{header}"'
    if is_system(header):
        return None
    return third_party_fault(layers, path, header)


def file_faults(root, layers, file):
    """The faults of one file."""
    path = file.relative_to(root).as_posix()
    folder = pathlib.PurePath(path).parent.relative_to(path.split("/")[0])
    if path.startswith("src/") and str(folder) not in layers.folders:
        return [f"{path}:1: folder {folder} is not listed in src/LAYERS"]
    text = csource.read(file)
    faults = []
    for match in INCLUDE.finditer(text):
        fault = include_fault(root, layers, path, *match.groups())
        if fault:
            faults.append(
                f"{path}:{csource.line_of(text, match.start(1))}: {fault}"
            )
    return faults


def faults_of(root):
    """Every fault in the tree."""
    layers = Layers(root / "src" / "LAYERS")
    faults = list(layers.faults)
    for file in csource.files(root, folders=("include", "src", *USERS)):
        faults += file_faults(root, layers, file)
    for file in csource.files(root, folders=("tests", "fuzz")):
        path = file.relative_to(root).as_posix()
        for match in INCLUDE.finditer(csource.read(file)):
            if ".." in match.group(2).split("/"):
                faults.append(f'{path}: "{match.group(2)}" goes through ../')
    return faults


if __name__ == "__main__":
    csource.run("layers", faults_of)
