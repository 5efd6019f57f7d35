#!/bin/bash
# The manual page renders without warnings; it and the completion know the
# commands and options that the tool has, and no others.
set -u
# shellcheck source=tests/scripts/tool.sh
. "$(dirname "$0")/tool.sh"

page=$root/man/mtc.1
if command -v groff >/dev/null; then
    same 'warnings' '' "$(groff -mandoc -Tutf8 -ww "$page" 2>&1 >page.txt)"
else
    echo 'groff is not installed: the page is not rendered'
fi

# The commands of mtc help, the options of every command.
"$mtc" help | sed -n '/^Commands/,/^$/p' | sed -n 's/^  \(.\{16\}\).*/\1/p' |
    sed 's/ *$//' | sort >commands
[ -s commands ] || fail 'mtc help lists no commands'
while read -r command; do
    # shellcheck disable=SC2086
    "$mtc" help $command
done <commands | grep -oE '^  --[a-z]+' | tr -d ' ' | sort -u >options
[ -s options ] || fail 'mtc help lists no options'

sed -n '/^\.Ss Commands/,/^\.Ss Options/p' "$page" |
    sed -nE 's/^\.It Cm ((stream )?[a-z]+).*/\1/p' | sort |
    diff commands - || fail 'mtc.1 has other commands'
grep -oE '^\.It Fl -[a-z]+' "$page" | sed 's/.*Fl -/--/' | sort -u |
    diff options - || fail 'mtc.1 has other options'

# What bash offers behind the words of a line.
# shellcheck source=completion/mtc.bash
. "$root/completion/mtc.bash"
offers() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _mtc
    printf '%s\n' "${COMPREPLY[@]}" | sort
}
offers mtc '' | diff <(sed 's/ .*//' commands | sort -u) - ||
    fail 'completion has other commands'
same 'stream' $'group\npublish\nrange\nread\ntail' "$(offers mtc stream '')"
same 'a topic' tiers "$(offers mtc help t)"
same 'behind an option with its argument' set \
    "$(offers mtc --tiers memory se)"
while read -r command; do
    # shellcheck disable=SC2086
    "$mtc" help $command | grep -oE '^  --[a-z]+' | tr -d ' ' | sort >wanted
    # shellcheck disable=SC2086
    offers mtc $command - | diff wanted - ||
        fail "completion has other options for $command"
done <commands
same 'a command behind --' yes \
    "$(offers mtc load k -- s | grep -qx sh && echo yes)"
exit "$failed"
