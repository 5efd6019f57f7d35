#!/bin/bash
# Each public header compiles alone, as C11 and as C++17, without a warning.
set -eu

root=${MTC_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
failed=0

# compiles COMPILER LANGUAGE STANDARD
compiles() {
    if ! command -v "$1" >/dev/null; then
        echo "not tried, for want of $1"
        return
    fi
    for header in "$root"/include/mtc.h "$root"/include/mtc/*.h; do
        wants=
        # libuv's own header is none of plain C11.
        [ "${header##*/}" != uv.h ] || wants=-D_GNU_SOURCE
        if ! printf '#include "%s"\n' "${header#"$root"/include/}" |
            "$1" -x "$2" "-std=$3" ${wants:+"$wants"} \
                -Wall -Wextra -Wpedantic -Werror \
                -I"$root/include" -fsyntax-only -; then
            echo "FAILED: ${header#"$root"/} as $3 with $1"
            failed=1
        fi
    done
}

compiles gcc c c11
compiles g++ c++ c++17
compiles clang c c11
compiles clang++ c++ c++17
exit $failed
