# Completion of mtc(1) for bash. tests/scripts/completion_test.sh compares its
# words with those of mtc help.

_mtc_commands='get set remove load stats health ping stream demo bench replay version help'
_mtc_general='--tiers --name --json --help --version'

# The options of a command beside the general ones.
_mtc_own_options() {
    case $1 in
    set | load) echo --ttl ;;
    ping) echo --count ;;
    'stream publish') echo --max --age --exact --id --existing ;;
    'stream read') echo --count --after --wait ;;
    'stream range') echo --from --to --count ;;
    'stream tail') echo --after --count ;;
    'stream group') echo --after --count --wait --idle ;;
    demo) echo --seconds ;;
    bench) echo --seconds --threads --callers --async --batch ;;
    replay) echo --capacity --policy --threads --seed ;;
    help) echo --markdown ;;
    esac
}

# Fills _mtc_words with the words before the cursor that are no options, and
# sets _mtc_dashes to the index behind "--", if there is one.
_mtc_find_words() {
    local i
    _mtc_words=()
    _mtc_dashes=
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --)
            _mtc_dashes=$((i + 1))
            return
            ;;
        --tiers | --name | --ttl | --count | --max | --after | --wait | --seconds | \
            --age | --id | --from | --to | --idle | \
            --threads | --callers | --batch | --capacity | --policy | --seed)
            ((i++))
            ;;
        -*) ;;
        *) _mtc_words+=("${COMP_WORDS[i]}") ;;
        esac
    done
}

_mtc() {
    local word=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD - 1]}
    local _mtc_words _mtc_dashes choices=
    COMPREPLY=()
    _mtc_find_words
    local command=${_mtc_words[0]-}

    if [[ -n $_mtc_dashes && $command == load ]]; then
        if declare -F _command_offset >/dev/null; then
            _command_offset "$_mtc_dashes"
        elif ((COMP_CWORD == _mtc_dashes)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        return
    fi
    if [[ $command == replay && $word != -* && $before != --* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
    fi
    [[ $command == stream ]] && command+=" ${_mtc_words[1]-}"

    case $before in
    --tiers)
        choices='memory disk: redis:// rediss:// redis+cluster://'
        choices+=' redis+sentinel:// rediss+cluster:// rediss+sentinel://'
        choices+=' memcached:// noop:'
        ;;
    --ttl | --wait | --age | --idle) choices='10s 5m 1h 3h' ;;
    --policy) choices='duel lru s3fifo tinylfu' ;;
    --name | --count | --max | --after | --seconds | --threads | --callers | \
        --batch | --capacity | --seed | --id | --from | --to) return ;;
    *)
        case $word in
        -*) choices="$_mtc_general $(_mtc_own_options "$command")" ;;
        *)
            case ${#_mtc_words[@]},$command in
            0,*) choices=$_mtc_commands ;;
            1,stream*) choices='publish read range tail group' ;;
            2,'stream group') choices='create read ack pending claim remove' ;;
            1,bench) choices='read mixed evict hot memory limit l2-get l2-set
                stampede storm' ;;
            1,help) choices="$_mtc_commands tiers" ;;
            2,'help'*) choices= ;;
            esac
            ;;
        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

complete -F _mtc mtc
