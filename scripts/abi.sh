#!/bin/sh
# Compares the binary interface of the libraries with that of a revision, by
# default the last tag. Ends with an error if anything but an addition changed.
#
# usage: abi.sh BUILD [REVISION]
set -eu

build=$1
name=${2:-$(git describe --tags --abbrev=0 2>/dev/null || true)}
status=0

if [ -z "$name" ]; then
    echo "abi: nothing was released yet; make abi BASE=REVISION compares"
    exit 0
fi
base=$(git rev-parse --verify --quiet "$name^{commit}") || {
    echo "abi: no such revision: $name" >&2
    exit 2
}

# What the revision was made of, in a directory of its own.
rm -rf "$build/base"
mkdir -p "$build/base"
git archive "$base" | tar -xm -C "$build/base"

libraries() {
    cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DMTC_TESTS=OFF >/dev/null
    cmake --build "$2" --target mtc_shared mtc_json -- --quiet
}

libraries "$build/base" "$build/old"
libraries . "$build/new"

for library in libmtc libmtc-json; do
    if abidiff --no-added-syms \
        --headers-dir1 "$build/base/include" --headers-dir2 include \
        "$build/old/$library.so" "$build/new/$library.so"; then
        echo "abi: $library: nothing was taken away or changed"
    else
        echo "abi: $library: programs made for $name may break" >&2
        status=1
    fi
done
exit $status
