# Words that are read by their key. A line end inside of a word would be a word of its own: it becomes a space.
tell() { printf '@told %s %s\n' "$1" "$(printf %s "$2" | tr '\n\r' '  ')"; }
# fail KIND WORDS: why nothing came of it. Kinds: missing, refused, full, partly, failed.
fail() { printf '@fail %s %s\n' "$1" "$(printf %s "$2" | tr '\n\r' '  ')"; exit 90; }
needs() { has "$1" || fail missing "$1 is not installed"; }
# run COMMAND...: its output goes where the job's goes; its last line of errors is kept in $words.
run() {
    words=''
    errors=$(mktemp) || fail full 'no room for a temporary file'
    "$@" 2>"$errors"
    code=$?
    cat "$errors" >&2
    words=$(grep -v '^[[:space:]]*$' "$errors" | tail -n 1)
    rm -f "$errors"
    return "$code"
}
# What a tool's refusal means, by its words.
because() {
    case $words in
        *'o space left'* | *'nsufficient free space'* | *'insufficient free extents'*) fail full "$words" ;;
        *) fail failed "${1:-$2}${words:+: $words}" ;;
    esac
}
# hook NAME SCRIPT: a script of the runbook, beside the snapshot.
hook() {
    [ -n "$2" ] || return 0
    printf '%s\n' "$2" | sh -eu -s || fail failed "the hook \`$1\` exited with $?"
}
