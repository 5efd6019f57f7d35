# What the tests of the tool share: a place of their own, checks that say what
# failed, servers on free loopback ports. Sourced; the caller is in $scratch
# afterwards, which is removed at its end.
# shellcheck shell=bash disable=SC2034

root=${MTC_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
build=${MTC_BUILD_DIR:-$root/build/dev}
mtc=$build/mtc
scratch=$(mktemp -d)
failed=0
servers=()

unset MTC_TIERS REDIS_URL XDG_CACHE_HOME MTC_LOADING NO_COLOR
export HOME=$scratch/home
mkdir "$HOME"
cd "$scratch" || exit 1

end() {
    local pid
    for pid in "${servers[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    cd /
    rm -rf "$scratch"
}
trap end EXIT

fail() {
    echo "FAILED: $*"
    failed=1
}

# same WHAT WANTED GOT
same() {
    [ "$2" == "$3" ] || fail "$1: wanted '$2', got '$3'"
}

# ends WHAT STATUS COMMAND...: output and error are in out and err afterwards.
ends() {
    local what=$1 wanted=$2 status=0
    shift 2
    "$@" >out 2>err || status=$?
    [ "$status" == "$wanted" ] ||
        fail "$what: wanted status $wanted, got $status: $(head -c 300 err)"
}

# says WHAT TEXT: the last command of ends complained of it.
says() {
    grep -qF -- "$2" err || fail "$1: '$2' is not in: $(head -c 300 err)"
}

# prints WHAT TEXT: the last command of ends printed it among other things.
prints() {
    grep -qF -- "$2" out || fail "$1: '$2' is not in: $(head -c 300 out)"
}

# field NAME: a top-level field of the JSON object in out; "none" without it.
field() {
    python3 -c 'import json, sys
print(json.load(open("out")).get(sys.argv[1], "none"))' "$1"
}

# is_json WHAT: out holds one JSON value and a newline.
is_json() {
    python3 -m json.tool out >/dev/null || fail "$1: no JSON: $(cat out)"
    same "$1: lines" 1 "$(wc -l <out)"
}

# wait_until WHAT COMMAND...: at most ten seconds.
wait_until() {
    local what=$1
    shift
    for _ in $(seq 500); do
        if "$@" >/dev/null 2>&1; then
            return
        fi
        sleep 0.02
    done
    fail "$what did not happen"
}

# start_redis [ARG...]: a redis-server on a free port: $redis_port, $redis_url,
# $redis_pid.
start_redis() {
    for _ in 1 2 3 4 5; do
        redis_port=$((20000 + RANDOM % 20000))
        redis-server --port "$redis_port" --bind 127.0.0.1 --save '' \
            --appendonly no --dir "$scratch" "$@" >redis.log 2>&1 &
        redis_pid=$!
        for _ in $(seq 100); do
            if grep -q 'Ready to accept' redis.log; then
                servers+=("$redis_pid")
                redis_url=redis://127.0.0.1:$redis_port
                return
            fi
            kill -0 "$redis_pid" 2>/dev/null || break
            sleep 0.05
        done
        kill "$redis_pid" 2>/dev/null
    done
    fail "redis-server does not start: $(cat redis.log)"
    exit 1
}
