#!/bin/bash
# An installed copy is enough to build and run a program: with pkg-config,
# shared and static, and with find_package.
set -eu

root=${MTC_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${MTC_BUILD_DIR:-$root/build/dev}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/usr
cd "$scratch"

cmake --install "$build" --prefix "$prefix" >install.log

for file in bin/mtc include/mtc.h include/mtc/cache.h \
    share/man/man1/mtc.1 share/bash-completion/completions/mtc; do
    test -s "$prefix/$file" || { echo "FAILED: no $file"; exit 1; }
done
"$prefix/bin/mtc" version

cat >program.c <<'END'
#include <mtc.h>
#include <stdio.h>

int main(void)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_value value;

    options.tiers = "memory";
    if (mtc_cache_open(&options, NULL, &cache) != MTC_OK)
        return 1;
    if (mtc_cache_set(cache, mtc_str("k"), mtc_str("v"), NULL) != MTC_OK)
        return 2;
    if (mtc_cache_get(cache, mtc_str("k"), &value) != MTC_OK)
        return 3;
    printf("%.*s\n", (int)value.size, (const char *)value.data);
    mtc_value_free(&value);
    return mtc_cache_close(&cache) == MTC_OK ? 0 : 4;
}
END
cat >json.c <<'END'
#include <mtc.h>
#include <mtc/json.h>
#include <stdio.h>

int main(void)
{
    puts(mtc_version());
    return 0;
}
END

# runs WHAT PROGRAM: it runs and prints v.
runs() {
    if [ "$("$2")" != v ]; then
        echo "FAILED: the program built with $1 does not run"
        exit 1
    fi
    echo "ok: $1"
}

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name libmtc.pc)")
library=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH

# What pkg-config prints is a list of words.
# shellcheck disable=SC2046
gcc program.c -o shared $(pkg-config --cflags --libs libmtc) \
    "-Wl,-rpath,$library"
runs 'pkg-config, shared' ./shared
# shellcheck disable=SC2046
gcc program.c -o static $(pkg-config --cflags libmtc) \
    $(pkg-config --static --libs libmtc | sed 's/-lmtc/-l:libmtc.a/')
runs 'pkg-config, static' ./static
if ldd static | grep -q libmtc; then
    echo 'FAILED: the static program asks for the shared library'
    exit 1
fi

mkdir user
cat >user/CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.22)
project(user C)
find_package(mtc 0.1 REQUIRED COMPONENTS json)
add_executable(shared ../program.c)
target_link_libraries(shared mtc::mtc)
add_executable(static ../program.c)
target_link_libraries(static mtc::mtc_static)
add_executable(json ../json.c)
target_link_libraries(json mtc::json)
END
cmake -S user -B user/build -G Ninja "-DCMAKE_PREFIX_PATH=$prefix" >cmake.log
cmake --build user/build >>cmake.log || { cat cmake.log; exit 1; }
runs 'find_package, shared' user/build/shared
runs 'find_package, static' user/build/static
user/build/json

if grep -rnE -- '-W(all|error)|fsanitize|-fexceptions' "$library"/cmake \
    "$PKG_CONFIG_PATH"; then
    echo "FAILED: flags of the library's own build reach its users"
    exit 1
fi
