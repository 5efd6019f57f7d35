#!/bin/bash
# mtc demo: it ends by itself, its numbers fit each other, and it leaves
# nothing behind; with a disk tier and with a real Redis.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"
export TMPDIR=$scratch/tmp
mkdir "$TMPDIR"

left_behind() {
    find "$TMPDIR" "$HOME" -mindepth 1
}

cat >check.py <<'END'
import json
import sys

demo = json.load(open("out"))
second = sys.argv[1]
faults = []


def check(what, fact):
    if not fact:
        faults.append(what)


def sum_of(reads):
    names = ("memory", "second", "load", "waited", "failed")
    return sum(reads[name]["requests"] for name in names)


cached = demo["with_cache"]
stats = demo["stats"]
again = demo["reopened"]
check("the promises hold: %s" % demo["notes"], demo["is_as_promised"])
check("the second tier is %s" % second, demo["second_tier"] == second)
check("the source has 100,000 products", demo["products"] == 100000)
check("outcomes add up", sum_of(cached) == cached["all"]["requests"])
check("requests", stats["requests"] == cached["all"]["requests"])
check("misses are loads and those who waited",
      stats["misses"] == stats["loads"] + cached["waited"]["requests"])
check("hits + misses + errors = requests",
      stats["hits_memory"] + stats["hits_second"] + stats["misses"]
      + stats["errors"] == stats["requests"])
check("memory answers", cached["memory"]["requests"] > 0)
check("reads without the cache", demo["without_cache"]["all"]["requests"] > 0)
check("a thousand callers", demo["stampede"]["callers"] == 1000)
check("one load", demo["stampede"]["loads"] == 1)
check("the others waited", demo["stampede"]["waited"] == 999)
check("the reopened cache is warm", again["second"]["requests"] > 0)
check("and loads nothing", again["load"]["requests"] == 0)
check("it ends in time", demo["took_ns"] < 60e9)
for fault in faults:
    print("not so:", fault)
sys.exit(len(faults) > 0)
END

ends 'the demo on disk' 0 "$mtc" demo --seconds 1 --json
is_json 'the demo on disk'
python3 check.py disk || fail 'the demo on disk'
same 'nothing is left' '' "$(left_behind)"

ends 'for a person' 0 "$mtc" demo --seconds 1
for words in 'answered by' memory disk load 'without' 'loads  ' \
    'opened again' 'nothing is left behind'; do
    prints 'for a person' "$words"
done
same 'for a person: width' '' "$(awk 'length > 80' out)"
grep -q $'[\r\033]' out && fail 'control characters in a file'

start_redis
ends 'the demo on Redis' 0 env "REDIS_URL=$redis_url" \
    "$mtc" demo --seconds 1 --json
python3 check.py redis || fail 'the demo on Redis'
same 'Redis is empty again' 0 "$(redis-cli -p "$redis_port" DBSIZE)"
same 'nothing is left' '' "$(left_behind)"

# Ended by a signal, it cleans up and says so to its parent.
"$mtc" demo >out 2>err &
pid=$!
wait_until 'the progress' grep -qF 'with the cache    [##' err
grep -q $'[\r\033]' err && fail 'control characters in a file'
kill -TERM "$pid"
wait "$pid"
same 'ended by a signal' 143 $?
same 'nothing is left' '' "$(left_behind)"

ends 'a Redis that is away' 3 env REDIS_URL=redis://127.0.0.1:1 "$mtc" demo
says 'a Redis that is away' 'does not answer'
ends 'tiers of your own' 2 "$mtc" demo --tiers memory
ends 'no temporary folder' 3 env TMPDIR=/nowhere "$mtc" demo
exit "$failed"
