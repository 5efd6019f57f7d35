#!/bin/bash
# mtc replay: traces of every form give the same figures, which are those of
# the policy; damaged files and wrong options are told apart. And
# scripts/replay_all.py, which replays a folder of them.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

# Ids 0 to 99 in a loop, five times; ids.bin is one that no name gives away.
python3 -c 'import struct, sys
ids = [i % 100 for i in range(500)]
open("loop.u64", "wb").write(struct.pack("<500Q", *ids))
open("keys.txt", "w").write("".join("key %d\n" % i for i in ids))
open("crlf.txt", "w").write("".join("key %d\r\n\r\n" % i for i in ids)[:-4])
open("letters.u64", "wb").write(b"ABCDEFGHabcdefghABCDEFGH")
open("odd.u64", "wb").write(bytes(801))
open("long.txt", "w").write("short\n" + "k" * 65537 + "\n")
open("empty.txt", "w").write("\n\n")'
cp loop.u64 ids.bin
zstd -q loop.u64 -o loop.u64.zst || fail 'zstd'
zstd -q keys.txt -o keys.txt.zst
cp loop.u64.zst packed
cat loop.u64.zst loop.u64.zst >twice.u64.zst
: >none.u64

# has WHAT FIELDS: the objects of out have these, in this order.
has() {
    local name
    for name in trace capacity policy requests hits hit_ratio; do
        sed -nE "s/.*\"$name\": \"?([^\",}]*).*/\1/p" out >"$name.column"
    done
    same "$1" "$2" "$(paste -d ' ' trace.column capacity.column \
        policy.column requests.column hits.column hit_ratio.column)"
}

# gives TRACE CAPACITY POLICY REQUESTS HITS HIT_RATIO [OPTION...]
gives() {
    local what="$1 at $2 by $3"
    ends "$what" 0 "$mtc" replay --json --capacity "$2" "$1" --policy "$3" \
        "${@:7}"
    has "$what" "$1 $2 $3 $4 $5 $6"
}

for trace in loop.u64 ids.bin loop.u64.zst packed keys.txt keys.txt.zst \
    crlf.txt; do
    gives "$trace" 200 duel 500 400 0.8
    gives "$trace" 50 lru 500 0 0
done
gives twice.u64.zst 200 duel 1000 900 0.9
gives letters.u64 9 duel 3 1 0.333333
gives loop.u64 100 lru 500 400 0.8 --threads 1
gives loop.u64 200 s3fifo 500 400 0.8 --seed 7
is_json 'one object'
same 'the seed' 7 "$(field seed)"
ends 'the policy by default' 0 "$mtc" replay loop.u64 --capacity 200 --json
has 'the policy by default' 'loop.u64 200 duel 500 400 0.8'

# With threads each request is made once, by whoever takes its block.
ends 'threads' 0 "$mtc" replay loop.u64 --threads 4 --capacity 200 --json
prints 'threads: requests' '"requests": 500,'
hits=$(field hits)
[ "$hits" -ge 100 ] && [ "$hits" -le 400 ] || fail "threads: $hits hits"

# The seed is fixed: one thread gives the same result each time.
python3 -c 'import random, struct
random.seed(3)
ids = [int(random.paretovariate(0.7)) for _ in range(30000)]
open("skew.u64", "wb").write(struct.pack("<30000Q", *[i % 9999 for i in ids]))'
ends 'once' 0 "$mtc" replay skew.u64 --capacity 64 --capacity 500 --json
same 'a line a capacity' 2 "$(wc -l <out)"
mv out once
ends 'again' 0 "$mtc" replay skew.u64 --capacity 64 --capacity 500 --json
cmp -s once out || fail 'two runs differ'

# Without --capacity: parts of the hundred keys; the second trace has five.
seq 5 >five.txt
ends 'by default' 0 "$mtc" replay loop.u64 five.txt --json
same 'by default' '1 5 10 25 1' \
    "$(sed -E 's/.*"capacity": ([0-9]*).*/\1/' out | paste -sd ' ')"

ends 'for a person' 0 "$mtc" replay ./loop.u64 keys.txt --capacity 200
for words in trace capacity policy requests 'hit ratio' ' loop.u64' ' duel' \
    ' 500 ' ' 400 ' 0.8000; do
    prints 'for a person' "$words"
done
same 'for a person: lines' 3 "$(wc -l <out)"
same 'for a person: width' '' "$(awk 'length > 80' out)"
same 'for a person: aligned' 1 "$(awk '{print length}' out | sort -u | wc -l)"

# refuses WHAT STATUS TEXT WORD...: it says so and prints no figures.
refuses() {
    local what=$1 status=$2 text=$3
    shift 3
    ends "$what" "$status" "$mtc" replay --json "$@"
    says "$what" "$text"
    same "$what: prints nothing" '' "$(cat out)"
}

head -c 30 loop.u64.zst >cut.u64.zst
head -c 2 loop.u64.zst >stub.u64.zst
python3 -c 'data = bytearray(open("loop.u64.zst", "rb").read())
data[len(data) // 2] ^= 255
data[len(data) // 2 + 1] ^= 255
open("flipped.u64.zst", "wb").write(data)'
zstd -q odd.u64 -o odd.u64.zst
printf 'no zstd at all' >named.zst
refuses 'a packed trace that was cut' 3 'ends in the middle' cut.u64.zst
refuses 'a stub of one' 3 'ends in the middle' stub.u64.zst
refuses 'a damaged one' 3 'flipped.u64.zst: damaged zstd' flipped.u64.zst
refuses 'one in name only' 3 'named.zst: damaged zstd' named.zst
refuses 'bytes left over' 3 '801 bytes, which is no whole number' odd.u64
refuses 'bytes left over, packed' 3 'odd.u64.zst: 801 bytes' odd.u64.zst
refuses 'no file' 3 'nowhere.u64: No such file' nowhere.u64
refuses 'a folder' 3 'Is a directory' "$HOME"
refuses 'an empty file' 3 'none.u64: no keys' none.u64
refuses 'empty lines' 3 'empty.txt: no keys' empty.txt
refuses 'a line that is no key' 3 'line 2: a key has at most 65536' long.txt
refuses 'no such policy' 2 'there are duel, lru' loop.u64 --policy best
refuses 'a policy with a tail' 2 'no such policy' loop.u64 \
    --policy 'lru&size=1MiB'
refuses 'no trace' 2 'too few words'
refuses 'no capacity' 2 'a number from 1' loop.u64 --capacity 0
refuses 'seed 0' 2 'a number from 1' loop.u64 --seed 0
refuses 'tiers' 2 'takes no --tiers' loop.u64 --tiers memory
ends 'no memory for it' 3 bash -c 'ulimit -v 1000000
    "$1" replay loop.u64 --capacity 100000000' - "$mtc"
says 'no memory for it' 'out of memory'
# shellcheck disable=SC2046
refuses 'too many capacities' 2 'at most 64' loop.u64 \
    $(for i in $(seq 65); do echo "--capacity $i"; done)
ends 'a full disk' 3 bash -c '"$1" replay loop.u64 >/dev/full' - "$mtc"
same 'no cache of the user is touched' '' "$(find "$HOME" -mindepth 1)"

# A folder of traces: gaps to the best policy that does not see the future.
all() {
    python3 "$root/scripts/replay_all.py" --mtc "$mtc" "$@"
}
mkdir traces
cp loop.u64.zst traces/
cp keys.txt traces/
cat >traces/hit_ratios.csv <<'END_OF_CSV'
trace,size,policy,hit_ratio
loop,200,lru,0.79
loop,200,lirs,0.82
loop,200,belady,0.9
keys,200,lru,0.8
absent,9,lru,0.5
END_OF_CSV
ends 'a folder' 0 all traces
prints 'a folder' '2 cells'
says 'a folder' 'no file of absent'
same 'gaps of loop: ours, lirs, lru' '2.00 0.00 3.00' \
    "$(awk '$1 == "loop" {print $5, $7, $10}' <(sed 's/gap://' out))"
same 'mean: ours, lru' '1.00 1.50' "$(awk '/^mean/ {print $3, $8}' out)"
same 'worst: ours, lru' '2.00 3.00' "$(awk '/^worst/ {print $3, $8}' out)"
ends 'with threads' 0 all traces --threads 2 --policy lru
prints 'with threads' '2 threads against 1: mean difference'
ends 'no folder' 2 all nowhere
says 'no folder' 'nowhere: no such folder'
ends 'no hit ratios' 2 all "$HOME"
says 'no hit ratios' 'no hit_ratios.csv'
exit "$failed"
