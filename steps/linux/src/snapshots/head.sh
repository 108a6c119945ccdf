# Words that are read by their key. A line end inside of a word would be a word of its own: it becomes a space.
tell() { printf '@told %s %s\n' "$1" "$(printf %s "$2" | tr '\n\r' '  ')"; }
# some KEY MOST: tells the lines that it reads, and how many there are beyond MOST.
some() {
    tr '\r' ' ' | awk -v key="$1" -v most="$2" 'NF && ++n <= most { print "@told " key " " $0 } END { if (n > most) print "@told " key " and " n - most " more" }'
}
# fail KIND WORDS: why nothing came of it. Kinds: missing, refused, full, locked, partly, failed.
fail() { printf '@fail %s %s\n' "$1" "$(printf %s "$2" | tr '\n\r' '  ')"; exit 90; }
needs() { has "$1" || fail missing "$1 is not installed"; }
# run COMMAND...: its output goes where the job's goes; its last line of errors is kept in $words, or the one that says that
# something is locked: advice may follow it.
run() {
    words=''
    errors=$(mktemp) || fail full 'no room for a temporary file'
    "$@" 2>"$errors"
    code=$?
    cat "$errors" >&2
    words=$(grep 'is already locked' "$errors" | tail -n 1)
    [ -n "$words" ] || words=$(grep -v '^[[:space:]]*$' "$errors" | tail -n 1)
    rm -f "$errors"
    return "$code"
}
# What a tool's refusal means, by its words.
because() {
    case $words in
        *'o space left'* | *'nsufficient free space'* | *'insufficient free extents'*) fail full "$words" ;;
        *'already locked'*) fail locked "$words" ;;
        *) fail failed "${1:-$2}${words:+: $words}" ;;
    esac
}
# What belongs to this backup, and to this way back to it, where a name must be short.
short=$(printf %s "$token" | tr -d - | cut -c 1-8)
turn=$(printf %s "$job" | tr -d - | cut -c 1-8)
# The first file system that is mounted below a path.
below() { findmnt -ln -o TARGET 2>/dev/null | at="${1%/}/" awk 'index($0, ENVIRON["at"]) == 1 { print; exit }'; }
# script TEXT: a script of the runbook. It is not among the arguments of a process, and what it runs reads nothing of it.
script() { printf '%s\n' "$1" | sh -c 'said=$(cat); exec </dev/null; set -eu; eval "$said"' hook; }
hook() { [ -z "$2" ] || script "$2" >&2 || fail failed "the hook \`$1\` exited with $?"; }
# The hook `before` is followed by the hook `after` in any case, also where what is between them fails, or itself.
open=
around() {
    open=yes
    hook before "$before"
}
over() {
    [ -n "$open" ] || return 0
    open=
    hook after "$after"
}
trap over EXIT
