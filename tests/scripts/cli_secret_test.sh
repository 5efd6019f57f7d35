#!/bin/bash
# A password is in nothing that the tool writes: output, complaints, files, the
# arguments of what it starts. With the right one, a wrong one, and a server
# that is not there.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

secret=Zq8vKw4Lm2xR7nTc
wrong=Yp7uJv3Kl1wQ6mSb
shown="$secret|$wrong"

# One command; how it ends does not matter here, if it is understood.
try() {
    local status=0
    timeout 60 "$mtc" "$@" <value >>all 2>&1 || status=$?
    [ "$status" -le 3 ] || fail "$1 ends with $status"
    [ "$status" != 2 ] || usage=$((usage + 1))
    tried=$((tried + 1))
}

try_all() {
    local json
    for json in '' --json; do
        # shellcheck disable=SC2086
        {
            try set k $json
            try get k $json
            try get none $json
            try stats $json
            try health $json
            try ping --count 2 $json
            try load l $json -- sh -c 'echo loaded'
            try stream publish s name value $json
            try stream read s $json
            try stream range s $json
            try remove k $json
        }
    done
}

# nothing_shown WHERE FILE...
nothing_shown() {
    local where=$1
    shift
    grep -qsrE -- "$shown" "$@" &&
        fail "$where: $(grep -srEh -- "$shown" "$@" | head -c 300)"
}

printf value >value
tried=0
usage=0
: >all
start_redis --requirepass "$secret"
host=127.0.0.1:$redis_port

REDIS_URL=redis://:$secret@$host try_all
REDIS_URL=redis://default:$wrong@$host try_all
MTC_TIERS="memory redis://:$secret@127.0.0.1:1" try_all
sentinels="$host/main?sentinel_password=$wrong"
MTC_TIERS="memory redis+sentinel://:$secret@$sentinels" try_all
MTC_TIERS="memory redis+cluster://:$secret@$host" try_all
MTC_TIERS="memory rediss://:$secret@$host?tls_insecure=on" try_all
REDIS_URL=redis://:$wrong@$host try bench storm --seconds 0.1 --callers 2
[ "$tried" == 133 ] || fail "$tried commands"
[ "$usage" == 0 ] || fail "$usage were not understood"
REDIS_URL="redis://:$secret?x@$host" try get k
REDIS_URL="redis://:$secret@$host:x" try get k
try get k --tiers "redis://:$secret@$host?sentinel_password=$wrong"
[ "$usage" == 3 ] || fail "$usage wrong URLs"
grep -q WRONGPASS all || fail 'no wrong password was tried'
grep -q loaded all || fail 'nothing was loaded'
nothing_shown 'what was written' all

# What a load starts sees its own arguments, and those of mtc.
cat >show <<'END'
#!/bin/sh
tr '\0' '\n' <"/proc/$$/cmdline"
tr '\0' '\n' <"/proc/$PPID/cmdline"
END
chmod +x show
REDIS_URL=redis://:$secret@$host ends 'a load' 0 "$mtc" load args -- ./show
prints 'the arguments' ./show
prints 'the arguments' load
nothing_shown 'the arguments' out

# Locks, and what else is left behind.
nothing_shown 'a file' "$HOME"
[ -d "$HOME/.cache/mtc" ] || fail 'there are no files to look at'
exit "$failed"
