#!/bin/sh
# Checks that clang-format 14 would change no C file.
# usage: check_format.sh [ROOT]
set -eu

cd "${1:-$(dirname "$0")/..}"

format=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$format" ] || ! "$format" --version | grep -q 'version 14\.'; then
    echo "check_format: needs clang-format 14 (make deps)" >&2
    exit 1
fi

for folder in include src cli examples tests bench fuzz; do
    if [ -d "$folder" ]; then
        find "$folder" -name '*.[ch]' -o -name '*.cpp'
    fi
done | xargs -r "$format" --dry-run -Werror
