#!/bin/sh
# Runs the tests of a build that counts what runs, and says how much of src/
# that was. Ends with an error below the bounds.
#
# usage: coverage.sh BUILD
set -eu

build=$1
lines=90
branches=80

# What links the static library with a compiler of its own finds no counters.
without='^(install_test|deps_test)$'

find "$build" -name '*.gcda' -delete
# What CMake compiled to know the compiler has no source any more.
find "$build" -path '*/CompilerId*' -name '*.gcno' -delete
ctest --preset coverage -j 2 -E "$without" || failed=yes

gcovr --root . --object-directory "$build" --filter src/ \
    --exclude-throw-branches --exclude-unreachable-branches \
    --gcov-ignore-parse-errors \
    --html-details "$build/coverage.html" --txt "$build/coverage.txt" \
    --print-summary \
    --fail-under-line "$lines" --fail-under-branch "$branches"
echo "coverage: every line in $build/coverage.html"
[ -z "${failed:-}" ]
