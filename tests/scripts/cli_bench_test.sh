#!/bin/bash
# mtc bench: every workload says what it measured, and the numbers fit each
# other; how large they are is not judged.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

# check.py WORKLOAD THREADS BATCH HIT_RATIO_MIN HIT_RATIO_MAX
cat >check.py <<'END_OF_PYTHON'
import json
import sys

bench = json.load(open("out"))
workload = sys.argv[1]
threads, batch = int(sys.argv[2]), int(sys.argv[3])
lowest, highest = float(sys.argv[4]), float(sys.argv[5])
faults = []


def check(what, fact):
    if not fact:
        faults.append(what)


def is_near(one, other):
    return abs(one - other) <= 0.001 * abs(other)


def check_times(what, times):
    check(what + " are in order", 0 < times["p50_ns"] <= times["p99_ns"]
          <= times["p999_ns"] <= times["max_ns"])


def check_spread(name, bench, ratios):
    for end, ratio in (("_min", min(ratios)), ("_max", max(ratios)),
                       ("", sorted(ratios)[len(ratios) // 2])):
        check(name + end, is_near(bench[name + end], ratio))


check("the workload", bench["workload"] == workload)
check("the threads", bench["threads"] == threads)
check("the batch", bench["batch"] == batch)
check("nothing failed", bench["failed"] == 0)
check("it took time", bench["seconds"] > 0)
check("operations", bench["ops"] > 0 and bench["ops"] % batch == 0)
check("operations a second",
      is_near(bench["ops_per_s"], bench["ops"] / bench["seconds"]))
check_times("times", bench)
check("the hit ratio is %g" % bench["hit_ratio"],
      lowest <= bench["hit_ratio"] <= highest)
check("gets and sets have times where there are both",
      ("get" in bench) == (workload != "memory")
      and ("set" in bench) == (workload in ("mixed", "memory")))
if workload == "memory":
    check("each key is set once", bench["ops"] == 1000000)
    check("every entry is held", bench["entries"] == 1000000)
    per_entry = bench["growth_bytes"] / bench["entries"]
    check("the memory grew by the entries", per_entry > 113)
    check("overhead", is_near(bench["overhead_bytes_per_entry"],
                              per_entry - 113))
else:
    ratios = [one / limit for one, limit
              in zip(bench["rounds"], bench["limit_rounds"])]
    check("five rounds", len(ratios) == 5)
    check_spread("of_limit", bench, ratios)
    check("the limit", bench["limit_ops_per_s"] > 0)
check("one thread beside several, where it is one key",
      ("of_one_thread" in bench) == (workload == "hot" and threads > 1))
if "of_one_thread" in bench:
    check("one thread works, too", bench["one_thread_ops_per_s"] > 0)
    check("beside one thread", 0 < bench["of_one_thread_min"]
          <= bench["of_one_thread"] <= bench["of_one_thread_max"])
for fault in faults:
    print("not so:", fault)
sys.exit(len(faults) > 0)
END_OF_PYTHON

# measures WORKLOAD THREADS BATCH HIT_RATIO_MIN HIT_RATIO_MAX
measures() {
    local options=(--threads "$2")
    [ "$3" == 1 ] || options+=(--batch "$3")
    ends "$1" 0 "$mtc" bench "$1" --seconds 0.2 --json "${options[@]}"
    is_json "$1"
    python3 check.py "$@" || fail "$*: $(cat out)"
}

measures read 1 1 1 1
measures read 2 16 1 1
measures mixed 2 1 1 1
measures evict 2 1 0.5 0.95
same 'evict is warmed up by a share' 2000000 "$(field warm_up_ops)"
measures evict 1 7 0.5 0.95
measures hot 3 1 1 1
measures memory 3 1 1 1
measures limit 2 1 1 1

ends 'for a person' 0 "$mtc" bench mixed --seconds 0.05
for words in workload mixed 'of limit' 'p99.9' 'a get' 'a set' 'limit: '; do
    prints 'for a person' "$words"
done
same 'for a person: width' '' "$(awk 'length > 80' out)"
ends 'tiers of your own' 0 "$mtc" bench read --seconds 0.05 --json \
    --tiers 'memory?entries=1000'
python3 -c 'import json; exit(json.load(open("out"))["hit_ratio"] > 0.9)' ||
    fail 'tiers of your own are not used'
same 'no cache of the user is touched' '' "$(find "$HOME" -mindepth 1)"

ends 'no workload' 2 "$mtc" bench
ends 'no such workload' 2 "$mtc" bench write
says 'no such workload' write
ends 'two workloads' 2 "$mtc" bench read mixed
ends 'no threads' 2 "$mtc" bench read --threads 0
ends 'too many threads' 2 "$mtc" bench read --threads 257
ends 'no batch' 2 "$mtc" bench read --batch 0
ends 'a batch of sets' 2 "$mtc" bench mixed --batch 16
says 'a batch of sets' 'mixed takes no --batch'
for seconds in 0 -1 1s 1.2.3 '' . 1e3 nan 3601; do
    ends "seconds of '$seconds'" 2 "$mtc" bench read --seconds="$seconds"
    says "seconds of '$seconds'" 'seconds are wanted'
done
ends 'a long demo' 2 "$mtc" demo --seconds 21
ends 'a short demo' 2 "$mtc" demo --seconds 0.5
ends 'wrong tiers' 2 "$mtc" bench read --tiers 'memory?size=lots'
ends 'no second tier' 2 env -u REDIS_URL "$mtc" bench l2-get
says 'no second tier' REDIS_URL
for workload in stampede storm; do
    ends "$workload without a second tier" 2 \
        env -u REDIS_URL "$mtc" bench "$workload"
    says "$workload without a second tier" REDIS_URL
    ends "$workload: threads and callers" 2 \
        "$mtc" bench "$workload" --threads 2 --callers 3
    says "$workload: threads and callers" 'a thread for each caller'
    ends "a batch of $workload" 2 "$mtc" bench "$workload" --batch 16
    ends "no callers of $workload" 2 "$mtc" bench "$workload" --callers 0
done
ends 'asynchronous read' 2 "$mtc" bench read --async
says 'asynchronous read' 'read takes no --async'
ends 'callers of read' 2 "$mtc" bench read --callers 2
says 'callers of read' 'read takes no --callers'
ends 'a batch of l2-set' 2 "$mtc" bench l2-set --batch 16
ends 'limit has no tiers' 2 "$mtc" bench limit --tiers memory
ends 'an option of others' 2 "$mtc" bench read --ttl 5s
exit "$failed"
