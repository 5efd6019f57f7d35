#!/bin/bash
# Every example is short, runs, and what it shows holds: without a Redis and
# with one; none touches the user's own cache.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

names='basic_usage stampede_protection redis_streams stream_worker
cache_strategies advanced_usage health_monitoring database_caching
custom_tier multi_tier failing_source slow_source bulk_loading
epoll_loop uv_loop libevent_loop'

for name in $names; do
    source=$root/examples/$name.c
    [ "$(wc -l <"$source")" -lt 100 ] || fail "$name has 100 lines or more"
done
for source in "$root"/examples/*.c; do
    grep -qw "$(basename "$source" .c)" <<<"$names" ||
        fail "$source is not run here"
done

run_all() {
    local name
    for name in $names; do
        ends "$name, $1" 0 timeout 60 "$build/examples/$name"
        [ -s out ] || fail "$name prints nothing"
    done
}

start_redis
REDIS_URL=$redis_url run_all 'with Redis'
same 'Redis is as before' 0 "$(redis-cli -p "$redis_port" DBSIZE)"

for name in redis_streams stream_worker; do
    ends "$name without Redis" 1 "$build/examples/$name"
    says "$name without Redis" REDIS_URL
    names=${names/$name/}
done
run_all 'without Redis'
same 'the user'\''s cache is not touched' '' "$(find "$HOME" -mindepth 1)"
same 'nothing is left' '' "$(find /tmp -maxdepth 1 \( -name 'mtc-basic-*' -o \
    -name 'mtc-advanced-*' -o -name 'mtc-tiers-*' \) -newer redis.log)"
exit "$failed"
