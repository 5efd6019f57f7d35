#!/bin/sh
# Runs clang-tidy (.clang-tidy) and cppcheck (scripts/cppcheck.suppress) on the
# library.
#
# usage: lint.sh BUILD
set -eu

build=$1
jobs=$(nproc)
status=0

echo "lint: cppcheck"
cppcheck --enable=warning,performance,portability --std=c11 --quiet \
    --error-exitcode=1 --max-configs=1 -j "$jobs" \
    --suppressions-list=scripts/cppcheck.suppress \
    -D_GNU_SOURCE -D__x86_64__ -D__SSE2__ -D__GNUC__=12 \
    -I include -I src src || status=1

echo "lint: clang-tidy"
find src -name '*.c' -print0 | sort -z |
    xargs -0 -P "$jobs" -n 4 clang-tidy -p "$build" --quiet || status=1

exit $status
