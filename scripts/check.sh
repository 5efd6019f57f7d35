#!/bin/sh
# Runs every check of the tree, also after one has failed.
set -u

cd "$(dirname "$0")/.." || exit 1
status=0

run() {
    printf '%-10s' "$1"
    shift
    if "$@"; then
        echo ok
    else
        status=1
    fi
}

run layers scripts/check_layers.py
run sizes scripts/check_sizes.py
run headers scripts/check_headers.py
run files scripts/check_files.py
run links scripts/check_links.py
run tests scripts/check_reliability.py
run format scripts/check_format.sh
run docs scripts/docs.sh
run shell shellcheck -S warning scripts/*.sh tests/scripts/*.sh .ci/run
exit $status
