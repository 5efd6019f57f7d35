#!/bin/sh
# Installs the packages of the groups named (see scripts/packages), if any of
# them is missing. Services that come with a package are not started.
# MTC_DEPS=skip does nothing: for systems whose packages have other names.
#
# usage: deps.sh GROUP...
set -eu

here=$(dirname "$0")
policy=${POLICY_RC_D:-/usr/sbin/policy-rc.d}
own_policy=no

if [ "${MTC_DEPS:-}" = skip ]; then
    exit 0
fi

packages_of() {
    for group in "$@"; do
        sed -n "s/^$group: //p" "$here/packages"
    done
}

is_installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null |
        grep -qx installed
}

missing_of() {
    for package in $(packages_of "$@"); do
        is_installed "$package" || echo "$package"
    done | sort -u
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Debian asks this script, where it exists, before it starts a service.
forbid_services() {
    if [ ! -e "$policy" ]; then
        own_policy=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
}

allow_services() {
    if [ "$own_policy" = yes ]; then
        as_root rm -f "$policy"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"
}

install() {
    apt install -y --no-install-recommends "$@"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "deps: this is no Debian. Install these (Debian's names):" >&2
    packages_of "$@" | sed 's/^/    /' >&2
    echo "deps: then say MTC_DEPS=skip make ..." >&2
    exit 1
fi

missing=$(missing_of "$@")
if [ -z "$missing" ]; then
    exit 0
fi
# Package names hold no blanks.
# shellcheck disable=SC2086
set -- $missing
echo "deps: installing $*"

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "deps: needs root or sudo: apt-get install $*" >&2
    exit 1
fi

trap allow_services EXIT
trap 'exit 1' HUP INT TERM
forbid_services

find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null | grep -q . ||
    apt update
# Lists may be older than the archive: then once more with new ones.
install "$@" || { apt update && install "$@"; }
