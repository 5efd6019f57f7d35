#!/bin/bash
# scripts/deps.sh installs what is missing and nothing else, starts no
# service, and says what it needs where it cannot install.
#
# apt-get, dpkg-query, id and sudo are played by scripts that write down how
# they were called.
set -eu

root=${MTC_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
calls=$scratch/calls
failed=0
export POLICY_RC_D=$scratch/policy-rc.d

fake() {
    printf '#!/bin/sh\n%s\n' "$2" >"$scratch/bin/$1"
    chmod +x "$scratch/bin/$1"
}

# deps GROUP...: runs it with the fakes and the tools that it needs.
deps() {
    : >"$calls"
    PATH=$scratch/bin /bin/sh "$root/scripts/deps.sh" "$@" \
        >"$scratch/out" 2>&1
}

expect() {
    if ! grep -qE -- "$1" "$2"; then
        echo "FAILED: $3; looked for '$1' in:"
        cat "$2"
        failed=1
    fi
}

fresh() {
    rm -rf "${scratch:?}/bin"
    mkdir "$scratch/bin"
    for tool in dirname sed grep sort env tee chmod rm find cat; do
        ln -s "$(command -v $tool)" "$scratch/bin/$tool"
    done
    fake id 'echo 0'
    # shellcheck disable=SC2016
    fake dpkg-query 'case "$4" in gcc|cmake) echo installed;; esac'
    fake apt-get "echo apt-get \"\$@\" >>'$calls'
        test -x '$POLICY_RC_D' && echo no services >>'$calls'
        test ! -e '$scratch/fail' || { rm '$scratch/fail'; exit 1; }"
}

fresh
fake dpkg-query 'echo installed'
deps build test check docs || { echo 'FAILED: nothing missing'; failed=1; }
if [ -s "$calls" ]; then
    echo 'FAILED: apt-get is called though nothing is missing'
    failed=1
fi

fresh
deps build || { echo 'FAILED: as root'; failed=1; }
expect 'install .*ninja-build' "$calls" 'what is missing is installed'
expect '^no services' "$calls" 'services are forbidden meanwhile'
if grep -qw gcc "$calls"; then
    echo 'FAILED: what is installed is installed again'
    failed=1
fi
if [ -e "$POLICY_RC_D" ]; then
    echo 'FAILED: services stay forbidden'
    failed=1
fi

fresh
touch "$scratch/fail"
deps build || { echo 'FAILED: with lists that are too old'; failed=1; }
expect 'apt-get .*update' "$calls" 'lists are read anew after a failure'

fresh
fake id 'echo 1000'
fake sudo "echo sudo >>'$calls'; exec \"\$@\""
deps build || { echo 'FAILED: with sudo'; failed=1; }
expect '^sudo' "$calls" 'sudo is used by who is not root'

fresh
fake id 'echo 1000'
if deps build; then
    echo 'FAILED: neither root nor sudo, and it says nothing'
    failed=1
fi
expect 'needs root or sudo: .*ninja-build' "$scratch/out" 'it says what to do'

fresh
rm "$scratch/bin/apt-get"
if deps build; then
    echo 'FAILED: no apt-get, and it says nothing'
    failed=1
fi
expect 'libsqlite3-dev' "$scratch/out" 'the packages are named'
MTC_DEPS=skip deps build || { echo 'FAILED: MTC_DEPS=skip'; failed=1; }
exit $failed
