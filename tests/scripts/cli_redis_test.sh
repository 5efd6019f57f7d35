#!/bin/bash
# The tool on a real Redis: processes agree, plain keys and values, streams.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

# Without a Redis, streams say what is missing.
ends 'publish without Redis' 3 "$mtc" stream publish s a b
says 'publish without Redis' REDIS_URL
ends 'read without Redis' 3 "$mtc" stream read s
says 'read without Redis' REDIS_URL

rm -r "$HOME/.cache"
start_redis
export REDIS_URL=$redis_url
redis() {
    redis-cli -p "$redis_port" "$@"
}

ends 'set' 0 "$mtc" set user:1 alice --ttl 90s
ends 'get in another process' 0 "$mtc" get user:1
same 'get in another process' alice "$(cat out)"
same 'the disk is not used' '' "$(find "$HOME" -name '*.db')"
same 'redis-cli finds it under its own name' alice "$(redis GET user:1)"
left=$(redis PTTL user:1)
[ "$left" -gt 60000 ] && [ "$left" -le 90000 ] || fail "PTTL is $left"
redis SET other:1 'by another program' >/dev/null
ends 'a value of another program' 0 "$mtc" get other:1
same 'a value of another program' 'by another program' "$(cat out)"
ends 'remove' 0 "$mtc" remove user:1
same 'remove' 0 "$(redis EXISTS user:1)"
ends 'removed' 1 "$mtc" get user:1
head -c 5000000 /dev/urandom >big
ends 'a large value' 0 "$mtc" set big --tiers "$redis_url?deadline=10s" <big
ends 'comes back' 0 "$mtc" get big --tiers "$redis_url?deadline=10s"
cmp -s big out || fail 'a large value comes back'
ends 'health' 0 "$mtc" health --json
same 'health' healthy "$(field state)"
ends 'a prefix' 0 "$mtc" set k v --tiers "$redis_url?prefix=app:"
same 'a prefix' v "$(redis GET app:k)"

# One run of a command, also through Redis.
ends 'a load' 0 "$mtc" load loaded -- sh -c 'echo once >>runs; echo x'
ends 'a load again' 0 "$mtc" load loaded -- sh -c 'echo once >>runs; echo y'
same 'ran once' 1 "$(wc -l <runs)"

# Streams.
ends 'an empty stream' 1 "$mtc" stream read log
ends 'publish' 0 "$mtc" stream publish log product teapot price 42
first=$(cat out)
same 'its id' "$first" "$(redis --csv XRANGE log - + | cut -d'"' -f2)"
"$mtc" stream publish log product kettle price $'a\tb\nc\\d\x01' >out
second=$(cat out)
ends 'read' 0 "$mtc" stream read log
printf '%s\t%s\n' "$first" $'product\tteapot\tprice\t42' "$second" \
    $'product\tkettle\tprice\ta\\tb\\nc\\\\d\\x01' | diff - out || fail 'read'
ends 'the newest' 0 "$mtc" stream read log --count 1
same 'the newest' "$second" "$(cut -f1 out)"
ends 'behind an id' 0 "$mtc" stream read log --after "$first"
same 'behind an id' "$second" "$(cut -f1 out)"
ends 'from the beginning' 0 "$mtc" stream read log --after 0 --count 1
same 'from the beginning' "$first" "$(cut -f1 out)"
ends 'behind the last' 1 "$mtc" stream read log --after "$second"
ends 'behind the last, with a wait' 1 \
    "$mtc" stream read log --after "$second" --wait 50ms
ends 'as JSON' 0 "$mtc" stream read log --json
is_json 'as JSON'
python3 -c 'import json
entries = json.load(open("out"))["entries"]
fields = entries[1]["fields"]
assert len(entries) == 2 and fields[0] == {"name": "product",
                                           "value": "kettle"}, entries
assert fields[1]["value"] == "a\tb\nc\\d\x01", fields' || fail 'as JSON'
ends 'nothing as JSON' 1 "$mtc" stream read none --json
is_json 'nothing as JSON'
ends 'an id as JSON' 0 "$mtc" stream publish log --json a b
is_json 'an id as JSON'

# A reader that waits is woken by another process.
"$mtc" stream read log --wait 20s >waited &
reader=$!
wait_until 'a blocked reader' \
    bash -c "redis-cli -p $redis_port CLIENT LIST | grep -q 'flags=b'"
"$mtc" stream publish log woken yes >out
wait "$reader" || fail 'a waiting reader fails'
same 'a waiting reader' "$(cat out)"$'\twoken\tyes' "$(cat waited)"

# Ids of one's own, ranges.
ends 'an id of its own' 0 "$mtc" stream publish own --id 7-0 n seven
ends 'the id again' 1 "$mtc" stream publish own --id 7-0 n seven
ends 'another id' 0 "$mtc" stream publish own --id 8-0 n eight
ends 'no stream' 1 "$mtc" stream publish absent --existing n v
ends 'no stream as JSON' 1 \
    "$mtc" stream publish absent --existing n v --json
same 'no stream as JSON' '{"status": "MISS"}' "$(cat out)"
ends 'no id of its own' 2 "$mtc" stream publish own --id '$' n v
says 'no id of its own' '--id $: an id is wanted'
ends 'max and age' 2 "$mtc" stream publish own --max 1 --age 1h n v
ends 'a range' 0 "$mtc" stream range own --from 7-0 --to 7
same 'a range' $'7-0\tn\tseven' "$(cat out)"
ends 'an empty range' 1 "$mtc" stream range own --from 9
ends 'by age' 0 "$mtc" stream publish own --age 1h --exact n new
same 'by age' 1 "$(redis XLEN own)"

# A tail is woken by another process, and ends after its count.
"$mtc" stream tail own log --count 1 >tailed &
tail=$!
wait_until 'a blocked tail' \
    bash -c "redis-cli -p $redis_port CLIENT LIST | grep -q 'flags=b'"
"$mtc" stream publish log tailed yes >out
wait "$tail" || fail 'a tail fails'
same 'a tail' $'log\t'"$(cat out)"$'\ttailed\tyes' "$(cat tailed)"

ends 'a tail as JSON' 0 "$mtc" stream tail log --after 0 --count 1 --json
same 'a tail as JSON' "$first" "$(python3 -c 'import json
print(json.load(open("out"))["entry"]["id"])')"
ends 'a tail of one stream twice' 2 "$mtc" stream tail log log

# Groups.
ends 'a group' 0 "$mtc" stream group create own workers
ends 'a group again' 1 "$mtc" stream group create own workers
ends 'read as a consumer' 0 "$mtc" stream group read own workers one
id=$(cut -f1 out)
ends 'nothing more' 1 "$mtc" stream group read own workers one --wait 10ms
ends 'pending' 0 "$mtc" stream group pending own workers
same 'pending' "$id"$'\tone' "$(cut -f1,2 out)"
ends 'pending as JSON' 0 "$mtc" stream group pending own workers --json
is_json 'pending as JSON'
ends 'nothing idle' 1 "$mtc" stream group claim own workers two
ends 'claim' 0 "$mtc" stream group claim own workers two --idle 1ms
same 'claim' "$id" "$(cut -f1 out)"
ends 'acknowledge' 0 "$mtc" stream group ack own workers "$id"
same 'acknowledge' 1 "$(cat out)"
ends 'nothing pending' 1 "$mtc" stream group pending own workers
ends 'remove a consumer' 0 "$mtc" stream group remove own workers two
ends 'remove a group' 0 "$mtc" stream group remove own workers
ends 'it has gone' 1 "$mtc" stream group remove own workers --json
is_json 'it has gone'
ends 'no action' 2 "$mtc" stream group dance own workers
ends 'a wrong id to acknowledge' 2 "$mtc" stream group ack own workers 7-x
says 'a wrong id to acknowledge' 'ack 7-x: an id is wanted'
ends 'no id to acknowledge' 2 "$mtc" stream group ack own workers '$'
ends 'a group without a name' 2 "$mtc" stream group read own '' one
says 'a group without a name' 'a name has not 1 to 4096 bytes'

redis EVAL 'for i = 1, 3000 do redis.call("XADD", "long", "*", "n", i) end' 0 \
    >/dev/null
ends 'trimming' 0 "$mtc" stream publish long n last --max 100
length=$(redis XLEN long)
[ "$length" -ge 100 ] && [ "$length" -lt 400 ] || fail "trimmed to $length"

# On a busy machine some call may take longer than usual.
usual_url=$REDIS_URL
export REDIS_URL="$redis_url?deadline=20s"
ends 'measuring what Redis has' 0 \
    "$mtc" bench l2-get --threads 4 --seconds 0.5 --json
is_json 'measuring what Redis has'
python3 -c 'import json; bench = json.load(open("out"))
assert bench["hit_ratio"] == 1 and bench["failed"] == 0, bench
assert len(bench["rounds"]) == 5 and min(bench["rounds"]) > 0, bench' ||
    fail 'measuring what Redis has'
ends 'measuring it in batches' 0 \
    "$mtc" bench l2-get --batch 100 --seconds 0.5
prints 'measuring it in batches' 'by round: '
ends 'measuring sets' 0 "$mtc" bench l2-set --threads 4 --seconds 0.5
redis EXISTS user:00000000 >out
same 'sets reach Redis' 1 "$(cat out)"
redis FLUSHALL >/dev/null

# calls COMMAND: how often Redis has carried it out since CONFIG RESETSTAT.
calls() {
    redis INFO commandstats | sed -n "s/^cmdstat_$1:calls=\([0-9]*\),.*/\1/p"
}

# has FACT: of the JSON object in out, as Python has it in bench.
has() {
    python3 -c 'import json, sys
bench = json.load(open("out"))
sys.exit(not eval(sys.argv[1]))' "$1" || fail "not so: $1: $(cat out)"
}

# stampedes WHAT [OPTION...]: 20 keys, one load and one GET for each.
stampedes() {
    local what=$1
    shift
    redis CONFIG RESETSTAT >/dev/null
    ends "$what" 0 "$mtc" bench stampede --callers 50 --json "$@" \
        --tiers "memory $redis_url?deadline=20s"
    is_json "$what"
    same "$what: GETs" 20 "$(calls get)"
    has 'bench["callers"] == 50 and bench["ops"] == 1000'
    has 'bench["loads_per_key"] == 1 and bench["l2_gets_per_key"] == 1'
    has 'bench["failed"] == 0 and bench["p50_ns"] > 50000000'
    has '0 < bench["wake_floor_ms_min"] <= bench["wake_floor_ms"]'
    has 'bench["last_after_load_ms"] > 0'
    has 'bench["max_over_load_ms_min"] <= bench["max_over_load_ms_max"]'
}

# storms WHAT [OPTION...]: most requests are hits, and some are loaded.
storms() {
    local what=$1
    shift
    ends "$what" 0 "$mtc" bench storm --callers 50 --seconds 0.5 --json "$@" \
        --tiers "memory?entries=5000 $redis_url?deadline=20s"
    is_json "$what"
    has 'bench["callers"] == 50 and bench["failed"] == 0'
    has 'len(bench["rounds"]) == 5 and sum(bench["rounds"]) > 0'
    has '0.5 < bench["hit_ratio"] < 1 and 0 < bench["loads"] < bench["ops"]'
    has '0 < bench["p50_ns"] <= bench["p99_ns"] <= bench["max_ns"]'
}

stampedes 'a stampede of threads'
has 'bench["threads"] == 50'
storms 'a storm of threads'
same 'cold keys are in Redis' 1 "$(redis EXISTS cold:00199999)"
same 'no more of them than told' 0 "$(redis EXISTS cold:00200000)"
stampedes 'a stampede that does not block' --async
has 'bench["threads"] == 1 and bench["async"]'
stampedes 'a stampede on two queues' --async --threads 2
has 'bench["threads"] == 2'
storms 'a storm that does not block' --async
has 'bench["threads"] == 1 and bench["async"]'
storms 'a storm on two queues' --async --threads 2
has 'bench["threads"] == 2'
redis --scan --pattern 'new:*' | grep -qx 'new:[0-9]\{10\}' ||
    fail 'new keys reach Redis'
ends 'a storm, for a person' 0 "$mtc" bench storm --threads 8 --seconds 0.1
prints 'a storm, for a person' '8 callers; '
ends 'a stampede, for a person' 0 "$mtc" bench stampede --threads 8
prints 'a stampede, for a person' 'after a bare broadcast: '
same 'for a person: width' '' "$(awk 'length > 80' out)"
redis FLUSHALL >/dev/null
export REDIS_URL=$usual_url

redis SET text x >/dev/null
ends 'a key that is no stream' 3 "$mtc" stream read text
says 'a key that is no stream' 'does the key hold a stream'
ends 'no stream, as JSON' 3 "$mtc" stream range text --json
is_json 'no stream, as JSON'
ends 'a field without a value' 2 "$mtc" stream publish log a b c
says 'a field without a value' 'c has no value'
ends 'a wrong id' 2 "$mtc" stream read log --after yesterday
says 'a wrong id' yesterday
kill "$redis_pid"
wait "$redis_pid" 2>/dev/null
ends 'a Redis that has gone' 3 "$mtc" stream publish log a b
ends 'reads of it' 3 "$mtc" get user:1
exit "$failed"
