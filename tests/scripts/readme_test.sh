#!/usr/bin/env bash
# The program in README.md is at most 30 lines of code, compiles without a
# warning as C11 and prints what its loader gave.
set -eu

source_dir=${MTC_SOURCE_DIR:?}
build_dir=${MTC_BUILD_DIR:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

sed -n '/^```c$/,/^```$/p' "$source_dir/README.md" | sed '/^```/d' \
    > "$work/program.c"
lines=$(grep -cv '^[[:space:]]*$' "$work/program.c")
if [ "$lines" -lt 10 ] || [ "$lines" -gt 30 ]; then
    echo "the program in README.md has $lines lines, not 10 to 30" >&2
    exit 1
fi

sanitize=$(sed -n 's/^MTC_SANITIZE:STRING=//p' "$build_dir/CMakeCache.txt")
cc -std=c11 -Wall -Wextra -Wpedantic -Werror ${sanitize:+-fsanitize=$sanitize} \
    -I "$source_dir/include" "$work/program.c" -o "$work/program" \
    -L "$build_dir" -lmtc -Wl,-rpath,"$build_dir"

unset MTC_TIERS REDIS_URL
said=$(XDG_CACHE_HOME="$work/cache" "$work/program")
if [ "$said" != "a teapot" ]; then
    echo "the program in README.md says '$said', not 'a teapot'" >&2
    exit 1
fi
if [ "$(stat -c %a "$work/cache/mtc/program")" != 700 ]; then
    echo "the default disk tier's folder is not private" >&2
    exit 1
fi
