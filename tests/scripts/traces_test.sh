#!/bin/bash
# Real traces, where MTC_TRACES names a folder of them (see
# scripts/replay_all.py): how near the default policy comes to the best known
# one of each cell, and several threads to one.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

if [ -z "${MTC_TRACES:-}" ]; then
    echo 'MTC_TRACES names no folder of traces: nothing is replayed'
    exit 0
fi

# within WHAT FIGURE MOST
within() {
    [ -n "$2" ] || fail "$1 is not told"
    awk "BEGIN {exit !($2 + 0 <= $3)}" </dev/null ||
        fail "$1 is $2 points, wanted at most $3"
}

replay_all() {
    python3 "$root/scripts/replay_all.py" --mtc "$mtc" "$MTC_TRACES" "$@"
}

ends 'one thread' 0 replay_all
cat out
within 'the mean gap' "$(awk '/^mean gap/ {print $3}' out)" 0.8
within 'the worst gap' "$(awk '/^worst gap/ {print $3}' out)" 5
ends 'threads' 0 replay_all --threads 4
tail -n 1 out
within 'the difference of threads' \
    "$(sed -nE 's/.*mean difference ([0-9.]*).*/\1/p' out)" 0.5
exit "$failed"
