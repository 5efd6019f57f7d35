#!/bin/sh
# Builds the reference of the interface into build/docs; a warning is an error.
# usage: docs.sh [ROOT]
set -eu

cd "${1:-$(dirname "$0")/..}"
mkdir -p build/docs
doxygen docs/Doxyfile
