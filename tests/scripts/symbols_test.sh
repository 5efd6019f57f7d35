#!/bin/bash
# The shared library exports what the headers declare and nothing else, and
# the static one claims no name outside mtc_ and mtci_.
set -eu

root=${MTC_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${MTC_BUILD_DIR:-$root/build/dev}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

find "$root/include" -name '*.h' ! -name json.h -exec cat {} + |
    tr '\n' ' ' | grep -oE 'MTC_API [^;(]*' | grep -oE 'mtc_\w+ *$' |
    tr -d ' ' | sort -u >"$scratch/declared"
nm -D --defined-only "$build/libmtc.so" | awk '$2 != "A" {print $3}' |
    sed 's/@.*//' | sort -u >"$scratch/exported"
if ! diff "$scratch/declared" "$scratch/exported"; then
    echo 'FAILED: declared (<) and exported (>) differ'
    failed=1
fi

nm -g --defined-only "$build/libmtc.a" | awk '$2 ~ /[TDBRC]/ {print $3}' |
    grep -vE '^mtci?_' >"$scratch/foreign" || true
if [ -s "$scratch/foreign" ]; then
    echo 'FAILED: names in libmtc.a that do not begin with mtc_ or mtci_:'
    cat "$scratch/foreign"
    failed=1
fi
exit $failed
