#!/bin/bash
# mtc load: a miss runs the command, one run among the processes of a host,
# also after its holder was killed.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

# The default tiers, with time for a busy machine.
export MTC_TIERS="memory disk:$scratch/cache?deadline=10s"

# A command that counts its runs: count FILE SECONDS WORD.
cat >count <<'END'
#!/bin/sh
echo run >>"$1"
sleep "$2"
printf '%s' "$3"
END
chmod +x count
runs() {
    wc -l <"$1" 2>/dev/null || echo 0
}

ends 'a miss' 0 "$mtc" load k -- ./count once 0 value
same 'prints what the command prints' value "$(cat out)"
ends 'a hit' 0 "$mtc" load k -- ./count once 0 other
same 'is what it printed first' value "$(cat out)"
same 'the command ran once' 1 "$(runs once)"
ends 'get has it, too' 0 "$mtc" get k
ends 'a ttl' 0 "$mtc" load --ttl 90s ttl -- echo x
ends 'is kept' 0 "$mtc" get ttl --json
left=$(field left_ms)
[ "$left" -le 90000 ] || fail "90s left $left ms"

head -c 3000000 /dev/urandom >big
ends 'large output' 0 "$mtc" load big -- cat big
cmp -s big out || fail 'large output comes whole'
ends 'is cached' 0 "$mtc" get big
cmp -s big out || fail 'large output is cached whole'
ends 'no output' 0 "$mtc" load none -- true
ends 'is an empty value' 0 "$mtc" get none
ends 'standard input' 0 bash -c 'echo in | "$1" load in -- cat' - "$mtc"
same 'is the command'\''s' in "$(cat out)"
ends 'options of the command' 0 "$mtc" load opts -- echo --json -- -x
same 'are its own' '--json -- -x' "$(cat out)"
ends 'a key that begins with -' 0 "$mtc" load -- -key -- echo dashed
same 'goes behind dashes' dashed "$(cat out)"

# Failure.
ends 'a command that fails' 3 "$mtc" load bad -- sh -c 'echo no; echo why >&2
exit 7'
says 'its complaint' why
says 'its status' 'exited with 7'
same 'prints nothing' '' "$(cat out)"
ends 'is not cached' 1 "$mtc" get bad
ends 'a command that is killed' 3 "$mtc" load bad -- sh -c 'kill -9 $$'
says 'a command that is killed' 'signal 9'
ends 'a command that is none' 3 "$mtc" load bad -- ./nothing-here
says 'a command that is none' nothing-here
ends 'too much output' 3 "$mtc" load bad -- cat /dev/zero
says 'too much output' 67108864
ends 'no dashes' 2 "$mtc" load k echo x
ends 'no command' 2 "$mtc" load k --
ends 'two keys' 2 "$mtc" load k l -- echo x
ends 'a full disk' 3 bash -c '"$1" load k -- echo x >/dev/full' - "$mtc"
ends 'a tier that is away' 0 "$mtc" load k --tiers redis://127.0.0.1:1 -- \
    echo loaded
same 'a tier that is away' loaded "$(cat out)"

# A reader that goes ends the command as it would anywhere.
ends 'SIGPIPE of the command' 0 "$mtc" load pipe -- \
    sh -c 'yes | head -n 1'
same 'SIGPIPE of the command' y "$(cat out err)"

# Loads inside loads.
ends 'another key inside' 0 "$mtc" load outer -- "$mtc" load inner -- echo deep
same 'another key inside' deep "$(cat out)"
ends 'the same key inside' 3 timeout 20 \
    "$mtc" load self -- "$mtc" load self -- echo never
says 'the same key inside' 'same key'

# One run among eight processes.
pids=()
for i in 1 2 3 4 5 6 7 8; do
    "$mtc" load herd -- ./count herd 0.5 together >"herd.$i" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || fail 'one of eight loads fails'
done
same 'eight loads make one run' 1 "$(runs herd)"
for i in 1 2 3 4 5 6 7 8; do
    same 'each of eight has the value' together "$(cat "herd.$i")"
done

# The holder is killed: the next one runs the command.
"$mtc" load orphan -- ./count orphan 5 first >orphan.1 &
holder=$!
wait_until 'the first run' test -s orphan
"$mtc" load orphan -- ./count orphan 0 second >orphan.2 &
second=$!
"$mtc" load orphan -- ./count orphan 0 second >orphan.3 &
third=$!
kill -9 "$holder"
wait "$holder" 2>/dev/null
wait "$second" || fail 'a load behind a killed one fails'
wait "$third" || fail 'a load behind a killed one fails'
same 'one of the others took over' 2 "$(runs orphan)"
same 'and its value is everybody'\''s' 'second second' \
    "$(cat orphan.2) $(cat orphan.3)"

# A remove during the run keeps the outdated value out.
"$mtc" load stale -- ./count stale 1 outdated >stale.1 &
holder=$!
wait_until 'the run' test -s stale
ends 'remove during a load' 0 "$mtc" remove stale
wait "$holder" || fail 'the load fails'
same 'its caller has the value' outdated "$(cat stale.1)"
ends 'the cache has not' 1 "$mtc" get stale

# Locks: nothing is left of those that were given back, and a folder that is
# not ours alone is not used.
left=$(find "$HOME/.cache/mtc/locks" -type f | wc -l)
[ "$left" -le 1 ] || fail "$left locks are left"
chmod 777 "$HOME/.cache/mtc/locks"
"$mtc" load spare -- sh -c 'ls /tmp/mtc-$(id -u) >seen'
grep -q . seen || fail 'no lock in /tmp/mtc-UID'
rmdir "/tmp/mtc-$(id -u)" 2>/dev/null
exit "$failed"
