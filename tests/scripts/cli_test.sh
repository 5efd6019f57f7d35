#!/bin/bash
# The tool: words and options, exit statuses, bytes as they are, JSON.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

# Processes agree through the default: memory and disk.
ends 'a miss' 1 "$mtc" get k
same 'a miss prints nothing' '' "$(cat out err)"
ends 'set' 0 "$mtc" set k v
same 'set prints nothing' '' "$(cat out err)"
ends 'get in another process' 0 "$mtc" get k
printf v >wanted
cmp -s wanted out || fail 'get writes exactly the bytes'
script -qec "'$mtc' get k" /dev/null >out </dev/null
same 'and a newline to a terminal' 'v' "$(tr -d '\r' <out)"
same 'one' 1 "$(wc -l <out)"
same 'the cache folder is private' 700 \
    "$(stat -c %a "$HOME/.cache/mtc" | tail -n 1)"
ends 'remove' 0 "$mtc" remove k nothing
ends 'removed' 1 "$mtc" get k
ends 'another name is another cache' 0 "$mtc" --name other set k else
ends 'not under the first name' 1 "$mtc" get k
ends 'under its own' 0 "$mtc" get k --name other
prints 'under its own' else

# Bytes.
head -c 300000 /dev/urandom >big
ends 'a value from standard input' 0 "$mtc" set big <big
ends 'binary bytes' 0 "$mtc" get big
cmp -s big out || fail 'binary bytes come back'
ends 'an empty value' 0 "$mtc" set empty ''
ends 'is a hit' 0 "$mtc" get empty
same 'of no bytes' 0 "$(stat -c %s out)"
ends 'an empty standard input' 0 "$mtc" set empty2 </dev/null
ends 'is a value, too' 0 "$mtc" get empty2
odd=$'a b\n\t\xff%:"'
ends 'a key of odd bytes' 0 "$mtc" set "$odd" yes
ends 'is found' 0 "$mtc" get "$odd"
prints 'is found' yes
ends 'an empty key' 0 "$mtc" set '' nothing
ends 'is a key' 0 "$mtc" get ''
ends 'a key that begins with -' 0 "$mtc" set -- -k -v
ends 'behind dashes' 0 "$mtc" get -- -k
same 'its value begins so, too' -v "$(cat out)"
head -c $((65 << 20)) /dev/zero >huge
ends 'a value over the limit' 3 "$mtc" set huge <huge
says 'a value over the limit' 67108864
ends 'leaves nothing' 1 "$mtc" get huge
head -c 65536 /dev/zero | tr '\0' k >key
ends 'the longest key' 0 "$mtc" set "$(cat key)" v
ends 'a key over the limit' 3 "$mtc" set "$(cat key)k" v
ends 'is no miss' 3 "$mtc" get "$(cat key)k"

# Lives.
ends 'a ttl' 0 "$mtc" set short v --ttl 90s
ends 'its rest' 0 "$mtc" get short --json
left=$(field left_ms)
[ "$left" -gt 60000 ] && [ "$left" -le 90000 ] || fail "90s left $left ms"
ends 'a short ttl' 0 "$mtc" set --ttl=50ms short v
sleep 0.1
ends 'a life that is over' 1 "$mtc" get short
for wrong in 0s -5s 5 s 1.5s 99999999999d 10y ''; do
    ends "--ttl '$wrong'" 2 "$mtc" set k v --ttl "$wrong"
    says "--ttl '$wrong'" 'a duration'
done

# Options before and behind; usage.
ends 'options in front' 1 "$mtc" --json --tiers memory get k
same 'options in front' MISS "$(field status)"
ends 'options behind' 1 "$mtc" get k --tiers memory --json
same 'options behind' MISS "$(field status)"
ends 'options around' 1 "$mtc" --tiers=memory get --json k
ends 'no command' 2 "$mtc"
ends 'no such command' 2 "$mtc" fetch k
says 'no such command' fetch
ends 'no such option' 2 "$mtc" get k --loud
says 'no such option' --loud
ends 'an option of another command' 2 "$mtc" get k --ttl 5s
says 'an option of another command' --ttl
ends 'an option without its argument' 2 "$mtc" set k v --ttl
ends 'a switch with an argument' 2 "$mtc" get k --json=yes
ends 'too few words' 2 "$mtc" get
says 'too few words' 'usage: mtc get'
ends 'too many words' 2 "$mtc" get a b
ends 'half a command' 2 "$mtc" stream
ends 'a wrong URL' 2 "$mtc" get k --tiers 'memory?size=lots'
says 'a wrong URL' 'size=lots'
ends 'a scheme that is none' 2 "$mtc" get k --tiers 'carrier-pigeon:'
says 'a scheme that is none' carrier-pigeon
ends 'a wrong name' 2 "$mtc" get k --name a/b
ends 'a disk that cannot be' 3 "$mtc" get k --tiers disk:/proc/nowhere

# Help and version.
for words in '' get set remove load stats health ping 'stream publish' \
    'stream read' demo bench version help tiers; do
    # shellcheck disable=SC2086
    ends "help $words" 0 "$mtc" help $words
    same "help $words: width" '' "$(awk 'length > 80' out)"
done
ends 'help of nothing' 2 "$mtc" help nothing
ends '--help' 0 "$mtc" set --help
prints '--help' '--ttl DURATION'
ends 'help tells the exit statuses' 0 "$mtc" --help
prints 'help tells the exit statuses' '1  miss'
ends 'version' 0 "$mtc" version
prints 'version' 'libmtc 0.'
ends '--version' 0 "$mtc" --version
ends 'docs/options.md' 0 "$mtc" help tiers --markdown
diff "$root/docs/options.md" out ||
    fail 'docs/options.md is not what mtc help tiers --markdown prints'

# JSON, of any bytes.
"$mtc" set json $'tab\t"quote"\\ \x01 \xc3\xa4'
ends 'a value as JSON' 0 "$mtc" get json --json
is_json 'a value as JSON'
same 'its value' $'tab\t"quote"\\ \x01 \xc3\xa4' "$(field value)"
same 'where it came from' disk "$(field from)"
printf '\xff\0x' | "$mtc" set json
ends 'bytes as JSON' 0 "$mtc" get json --json
same 'in base64' /wB4 "$(field value_base64)"
ends 'a key of odd bytes' 0 "$mtc" get "$odd" --json
same 'in base64, too' "$(printf %s "$odd" | base64)" "$(field key_base64)"
for words in 'set k v' 'get k' 'remove k' stats health ping version \
    'load k -- echo hi'; do
    # shellcheck disable=SC2086
    ends "$words --json" 0 "$mtc" --json $words
    is_json "$words --json"
    same "$words --json" OK "$(field status)"
done

# Where output cannot go, and input cannot come from.
ends 'a full disk' 3 bash -c '"$1" get big >/dev/full' - "$mtc"
says 'a full disk' 'No space left'
ends 'a full disk, JSON' 3 bash -c '"$1" --json get big >/dev/full' - "$mtc"
ends 'no standard output' 3 bash -c '"$1" get big >&-' - "$mtc"
ends 'no standard input' 3 bash -c '"$1" set k <&-' - "$mtc"
ends 'a folder as input' 3 bash -c '"$1" set k </' - "$mtc"
head -c 1000000 /dev/urandom >million
"$mtc" set million <million
ends 'a reader that goes' 3 \
    bash -c '"$1" get million | head -c 1 >/dev/null; exit "${PIPESTATUS[0]}"' \
    - "$mtc"
same 'a reader that goes: no words' '' "$(cat err)"

# Tiers that are there, or not.
ends 'stats' 0 "$mtc" stats
prints 'stats' disk
ends 'health' 0 "$mtc" health
prints 'health' healthy
ends 'ping' 0 "$mtc" ping --count 3
prints 'ping' up
ends 'memory alone' 0 "$mtc" set k v --tiers memory
says 'memory alone' warning
ends 'no home' 0 env -u HOME "$mtc" set k v
says 'no home' warning
away=redis://127.0.0.1:1
ends 'get from a tier that is away' 3 "$mtc" get k --tiers "$away"
says 'get from a tier that is away' 'Connection refused'
ends 'set to it' 3 "$mtc" set k v --tiers "memory $away"
ends 'remove from it' 3 "$mtc" remove k --tiers "memory $away"
ends 'health of it' 3 "$mtc" health --tiers "memory $away" --json
is_json 'health of it'
same 'health of it' degraded "$(field state)"
ends 'ping of it' 3 "$mtc" ping --tiers "memory $away" --count 1
prints 'ping of it' down
ends 'a password' 3 "$mtc" get k --tiers redis://:s3cret@127.0.0.1:1
grep -q s3cret out err && fail 'a password is shown'

# The environment.
ends 'MTC_TIERS' 1 env MTC_TIERS='noop:' "$mtc" get big
ends '--tiers before MTC_TIERS' 0 env MTC_TIERS='noop:' \
    "$mtc" get big --tiers "disk:$HOME/.cache/mtc/mtc"
exit "$failed"
