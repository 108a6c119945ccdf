
# Locks that a package manager does not wait for by itself, or waits for without end.
until=$(($(date +%s) + lock_wait))
left() {
    seconds=$((until - $(date +%s)))
    if [ "$seconds" -gt 0 ]; then echo "$seconds"; else echo 0; fi
}
# Errors go through a file: a service that a package starts may hold a pipe open for ever. Below /run there is room when
# the disks are full.
for words_in in /run /dev/shm "${TMPDIR:-/tmp}" /tmp; do
    words=$(mktemp "$words_in/runbook.XXXXXX" 2>/dev/null) && break
done
[ -n "${words:-}" ] || { echo "no place for a temporary file" >&2; exit 1; }
trap 'rm -f "$words" "${litter:-$words}"' EXIT
# patiently COMMAND...: again until the time is over, as long as nothing but a lock is in its way.
patiently() {
    while :; do
        "$@" 2>"$words"
        code=$?
        if [ $code -eq 0 ] || [ "$(left)" -eq 0 ] || ! locked "$code" "$words"; then
            cat "$words" >&2
            return $code
        fi
        sleep 1
    done
}
