#!/bin/bash
# The tool on a cluster of two masters, of which one dies.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

# part NAME: a field of the first tier in out.
part() {
    python3 -c 'import json, sys
print(json.load(open("out"))["tiers"][0].get(sys.argv[1], "none"))' "$1"
}

start_master() {
    start_redis --cluster-enabled yes --cluster-config-file "$1.conf" \
        --cluster-require-full-coverage no
    redis-cli -p "$redis_port" CLUSTER ADDSLOTSRANGE "$2" "$3" >/dev/null
}

knows_all() {
    redis-cli -p "$1" CLUSTER INFO >info &&
        grep -q cluster_slots_assigned:16384 info &&
        grep -q cluster_state:ok info
}

start_master a 0 8191
first=$redis_port
start_master b 8192 16383
second=$redis_port
second_pid=$redis_pid
redis-cli -p "$first" CLUSTER MEET 127.0.0.1 "$second" >/dev/null
wait_until 'the first master knows all' knows_all "$first"
wait_until 'the second master knows all' knows_all "$second"
export MTC_TIERS="redis+cluster://127.0.0.1:$first"

ends 'health' 0 "$mtc" health --json
same 'health' healthy "$(field state)"
same 'parts' 2 "$(part parts)"
same 'parts down' 0 "$(part parts_down)"
ends 'stats' 0 "$mtc" stats --json
same 'stats: parts' 2 "$(part parts)"

kill -9 "$second_pid"
ends 'health of a part' 3 "$mtc" health --json
same 'health of a part' degraded "$(field state)"
same 'state of the tier' 'partly down' "$(part state)"
same 'parts down' 1 "$(part parts_down)"
ends 'health in words' 3 "$mtc" health
prints 'health in words' 'partly down  1 of 2 parts down'
prints 'health names the node' "127.0.0.1:$second"
ends 'stats of a part' 0 "$mtc" stats --json
same 'stats: parts down' 1 "$(part parts_down)"
ends 'stats in words' 0 "$mtc" stats
prints 'stats in words' '1 of 2 parts down'

ends 'a tier without parts' 0 "$mtc" health --json --tiers memory
same 'a tier without parts' none "$(part parts)"
exit "$failed"
