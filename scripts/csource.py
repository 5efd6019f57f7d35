"""C sources as the checks see them.

Finds the files, blanks what is no code, and cuts out function definitions.
It relies on code that compiles and that clang-format has laid out; it is no
parser of C.
"""

import pathlib
import re
import sys

FOLDERS = ("include", "src", "cli", "examples", "tests", "bench", "fuzz")

TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*"  # comments
    r'|"(?:\\.|[^"\\\n])*"'  # strings
    r"|'(?:\\.|[^'\\\n])*'",  # characters
    re.DOTALL,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
LINKAGE = re.compile(r'extern\s+"[^"\n]*"\s*\{')
ATTRIBUTE = re.compile(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)")


def root_of(arguments):
    """The tree to check: the first argument, or the one of this script."""
    if len(arguments) > 1:
        return pathlib.Path(arguments[1]).resolve()
    return pathlib.Path(__file__).resolve().parent.parent


def files(root, suffixes=(".c", ".h", ".cpp"), folders=FOLDERS):
    """Every file with one of the suffixes, sorted."""
    found = []
    for folder in folders:
        found += [
            path
            for path in (root / folder).rglob("*")
            if path.suffix in suffixes and path.is_file()
        ]
    return sorted(found)


def read(path):
    """The text of a file."""
    return path.read_text(encoding="utf-8")


def spaces(match):
    """As much blank as the match is long; lines stay where they are."""
    return re.sub(r"[^\n]", " ", match.group())


def blank(text):
    """The text with comments, strings and directives blanked."""
    text = LINKAGE.sub(spaces, text)
    text = TOKEN.sub(spaces, text)
    return DIRECTIVE.sub(spaces, text)


def line_of(text, offset):
    """The number of the line that holds the offset."""
    return text.count("\n", 0, offset) + 1


class Function:
    """A function definition."""

    def __init__(self, code, start, body, end):
        head = ATTRIBUTE.sub(spaces, code[start:body])
        name = re.search(r"(\w+)\s*\(", head)
        self.name = name.group(1)
        self.parameters = split_parameters(head[name.end() :])
        self.body = code[body:end]
        self.line = line_of(code, start)
        self.line_count = line_of(code, end) - self.line + 1


def split_parameters(text):
    """The parameters of a list whose '(' was already read."""
    parameters, current, depth = [], "", 0
    for char in text:
        if char == ")" and depth == 0:
            break
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            parameters.append(current.strip())
            current = ""
        else:
            current += char
    parameters.append(current.strip())
    return [p for p in parameters if p not in ("", "void")]


def functions(text):
    """Every function definition of a file, in order."""
    code = blank(text)
    depth = start = body = 0
    is_function = False
    for match in re.finditer(r"[{};]", code):
        char, at = match.group(), match.start()
        if char == "{":
            if depth == 0:
                head = ATTRIBUTE.sub(spaces, code[start:at]).rstrip()
                is_function = head.endswith(")")
                body = at
            depth += 1
        elif char == "}" and depth > 0:
            depth -= 1
            if depth == 0 and is_function:
                first = start + len(code[start:]) - len(code[start:].lstrip())
                yield Function(code, first, body, at)
                is_function = False
        if depth == 0:
            start = at + 1


def report(check, faults):
    """Prints the faults and gives the exit status."""
    for fault in faults:
        print(fault)
    count = len(faults)
    if count:
        print(f"{check}: {count} fault{'s' if count > 1 else ''}")
        return 1
    return 0


def run(check, faults_of):
    """The main of every check: faults_of(root) gives a list of lines."""
    sys.exit(report(check, faults_of(root_of(sys.argv))))
