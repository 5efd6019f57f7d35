#!/bin/bash
# Each check of scripts/ passes on a clean tree and fails on a planted fault.
# Whether the whole tree is clean is for `make check` to say. A check whose
# tool is not installed is named, not shown.
set -eu

root=${MTC_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
scratch=$(mktemp -d)
tree=$scratch/tree
trap 'rm -rf "$scratch"' EXIT
failed=0

# A part of the tree, enough to plant faults in.
copy_tree() {
    mkdir -p "$tree/src" "$tree/docs"
    cp -r "$root/include" "$root/scripts" "$root/.clang-format" "$tree"
    cp -r "$root/src/LAYERS" "$root/src/base" "$tree/src"
    cp "$root/docs/Doxyfile" "$tree/docs"
    mkdir -p "$tree/tests/scripts"
    echo '# a_test_that_is' >"$tree/tests/scripts/planted.sh"
}

# plant FILE: appends standard input to it.
plant() {
    mkdir -p "$(dirname "$tree/$1")"
    cp "$tree/$1" "$scratch/saved" 2>/dev/null || true
    cat >>"$tree/$1"
}

# restore FILE: as it was before plant.
restore() {
    rm "$tree/$1"
    if [ -e "$scratch/saved" ]; then
        mv "$scratch/saved" "$tree/$1"
    fi
    rmdir "$(dirname "$tree/$1")" 2>/dev/null || true
}

# passes CHECK: the check has nothing to say about the tree as it is.
passes() {
    if ! "$root/scripts/$1" "$tree"; then
        echo "FAILED: $1 refuses the clean tree"
        failed=1
    fi
}

# refuses CHECK TEXT FILE: the check fails and says TEXT once standard input
# is appended to FILE of a copy.
refuses() {
    plant "$3"
    if "$root/scripts/$1" "$tree" >"$scratch/out" 2>&1; then
        echo "FAILED: $1 passes with a fault in $3 ($2)"
        failed=1
    elif ! grep -qF -- "$2" "$scratch/out"; then
        echo "FAILED: $1 does not say '$2' of $3:"
        cat "$scratch/out"
        failed=1
    fi
    restore "$3"
}

lines() {
    for _ in $(seq "$1"); do
        echo "$2"
    done
}

function_of() {
    printf '/*\n * A planted file.\n */\nvoid planted(void)\n{\n'
    lines $(($1 - 3)) '    ;'
    echo '}'
}

layers() {
    passes check_layers.py
    refuses check_layers.py 'base may not include core' src/base/planted.h \
        <<<'#include "core/cache.h"'
    refuses check_layers.py 'core may not include tier' src/core/planted.c \
        <<<'#include "tier/open.h"'
    refuses check_layers.py 'never ../' src/base/planted.c \
        <<<'#include "../base/clock.h"'
    refuses check_layers.py 'write includes from src/' src/base/planted.c \
        <<<'#include "clock.h"'
    refuses check_layers.py '<sqlite3.h> belongs into' src/core/planted.c \
        <<<'#include <sqlite3.h>'
    refuses check_layers.py '<zlib.h> is not listed' src/core/planted.c \
        <<<'#include <zlib.h>'
    refuses check_layers.py 'folder stray is not listed' src/stray/planted.c \
        <<<'#include <stdio.h>'
    refuses check_layers.py 'cli/ sees include/ alone' cli/planted.c \
        <<<'#include "base/clock.h"'
    refuses check_layers.py 'examples/ sees include/ alone' \
        examples/planted.c <<<'#include "base/clock.h"'
    refuses check_layers.py 'bench/ sees include/ alone' bench/planted.c \
        <<<'#include "base/clock.h"'
    refuses check_layers.py 'a public header includes' include/mtc/planted.h \
        <<<'#include "base/clock.h"'
    refuses check_layers.py 'goes through ../' tests/planted.c \
        <<<'#include "../src/base/clock.h"'
}

sizes() {
    passes check_sizes.py
    refuses check_sizes.py 'planted: 71 lines' src/planted.c \
        < <(function_of 71)
    refuses check_sizes.py '801 lines' src/planted.c < <(lines 801 '')
    refuses check_sizes.py '81 columns' src/planted.c \
        <<<"// $(printf '%078d' 0)"
    refuses check_sizes.py '81 columns' scripts/planted.sh \
        <<<"# $(printf '%079d' 0)"
    refuses check_sizes.py 'f: 6 parameters' src/planted.c \
        <<<'void f(int a, int b, int c, int d, int e, int f) { }'
    refuses check_sizes.py 'f: nested 4 deep' src/planted.c \
        <<<'void f(void) { if (1) { for (;;) { if (1) { do { } } } } }'
    refuses check_sizes.py 'gives no reason' scripts/sizes.allow \
        <<<'src/base/url.c mtci_url_parse'
    refuses check_sizes.py 'needs no leave' scripts/sizes.allow \
        <<<'src/base/url.c mtci_no_such_function a table'
}

within_sizes() {
    plant src/planted.c <<<"$(function_of 70)
void
f(int a, int b, int c, const char *file, int line,
  void (*done)(void *ctx, int a), void *done_ctx)
{ if (1) { for (;;) { if (1) { int x[] = {1, 2}; } } } }"
    if ! "$root/scripts/check_sizes.py" "$tree"; then
        echo 'FAILED: check_sizes.py refuses what is just within the limits'
        failed=1
    fi
    restore src/planted.c
}

headers() {
    passes check_headers.py
    refuses check_headers.py 'mtc_f has no /** comment' \
        include/mtc/planted.h <<<'MTC_API int mtc_f(void);'
    refuses check_headers.py 'mtc_f lacks @return' include/mtc/planted.h \
        <<<'/** Promise. **Returns** **Threads** **Blocks** **Since** */
MTC_API int mtc_f(void);'
    refuses check_headers.py 'mtc_f lacks @param name' include/mtc/planted.h \
        <<<'/** Promise. **Returns** **Threads** **Blocks** **Since** */
MTC_API void mtc_f(const char *name);'
    for section in Returns Threads Blocks Since; do
        all='/** Promise. **Returns** **Threads** **Blocks** **Since** */'
        refuses check_headers.py "mtc_f lacks **$section**" \
            include/mtc/planted.h <<<"${all/\*\*$section\*\*/}
static inline void mtc_f(void) { }"
    done
}

files() {
    passes check_files.py
    refuses check_files.py "'utils' is no name" src/base/utils.h </dev/null
    refuses check_files.py "'tier_helper' is no name" tests/tier_helper.c \
        </dev/null
    refuses check_files.py 'does not begin with a comment' src/planted.c \
        <<<'int x;'
}

links() {
    passes check_links.py
    refuses check_links.py 'README.md:' README.md <<<'[a](docs/planted.md)'
    refuses check_links.py 'no planted.md' docs/writing-a-tier.md \
        <<<'[a](planted.md#part) [b](https://example.org)'
}

reliability() {
    passes check_reliability.py
    refuses check_reliability.py 'no tests/core/planted_test.c' \
        docs/reliability.md <<<'| 1 | a | b | `core/planted_test.c` |'
    refuses check_reliability.py 'no test a_test_that_is_not in the file' \
        docs/reliability.md \
        <<<'`scripts/planted.sh`: `a_test_that_is`, `a_test_that_is_not`'
    refuses check_reliability.py 'has no file before it' docs/reliability.md \
        <<<'`a_test_that_is_not`'
    refuses check_reliability.py 'should be number 1' docs/reliability.md \
        <<<'| 2 | a | b | no test: it cannot be shown |'
    refuses check_reliability.py 'names no test' docs/reliability.md \
        <<<'| 1 | a | b | c |'
    refuses check_reliability.py 'reads the wall clock' src/base/planted.c \
        <<<'void f(void) { clock_gettime(CLOCK_REALTIME, 0); }'
}

layout() {
    passes check_format.sh
    refuses check_format.sh 'planted.c' src/planted.c <<<'int  x;'
}

documents() {
    passes docs.sh
    refuses docs.sh 'is not documented' include/mtc/planted.h <<<'/*
 * Planted.
 */
int mtc_undocumented(void);'
}

has() {
    if ! command -v "$1" >/dev/null; then
        echo "not shown, for want of $1: $2"
        return 1
    fi
}

copy_tree
layers
sizes
within_sizes
headers
files
links
reliability
if has clang-format check_format.sh; then layout; fi
if has doxygen docs.sh; then documents; fi
exit $failed
