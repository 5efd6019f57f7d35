#!/bin/sh
# Runs every fuzz target of a build for some seconds each, from its corpus.
# What is found new stays below the build; a crash ends with an error and the
# name of the file that causes it.
#
# usage: fuzz.sh BUILD SECONDS
set -eu

build=$1
seconds=$2
corpora=$(cd "$(dirname "$0")/../fuzz/corpus" && pwd)

for corpus in "$corpora"/*; do
    name=$(basename "$corpus")
    found=$build/fuzz/found-$name
    mkdir -p "$found"
    echo "fuzz: $name for $seconds s"
    "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=65536 \
        -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$build/fuzz/crash-$name-" "$found" "$corpus"
done
