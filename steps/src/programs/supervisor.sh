# Runs a program unless it was started before: $0 is the path of the files that remember it, $1 the word that its start
# was given, the rest the program. Everything is done by this shell, but for what drives and their troubles need.
set -C
# An exclusive create is the claim. Its content tells this process from a later one with the same number.
read -r rbp_self 2>/dev/null </proc/$$/stat || rbp_self=$$
true 2>/dev/null >"$0.$1.claim" || exit 0
set +C
# Without room for its content nothing is begun, and the claim is given back: the start can be repeated.
printf '%s' "$rbp_self" 2>/dev/null >"$0.$1.claim" || exec rm -f "$0.$1.claim"
# The start is forgotten before the claim is: a shell that comes so late that it can claim once more finds it gone.
read -r rbp_start 2>/dev/null <"$0.start"
[ "$rbp_start" = "$1" ] || exec rm -f "$0.$1.claim"
# Synced before the program begins: a file system that fails and is put right again, in the same boot, must not lose it.
# Nothing is tried instead: `sync` alone cannot fail, whatever the drive says. One that does not know files (coreutils before
# 8.24, a small busybox) takes no notice of the name and syncs everything, so that a failure here is always the drive's.
sync "$0.$1.claim" 2>/dev/null || exec rm -f "$0.$1.claim"
# With its newline the claim holds: until then whoever started this waits, since it may still be given back.
printf '\n' 2>/dev/null >>"$0.$1.claim" || exec rm -f "$0.$1.claim"
rbp_code="$0.$1.code"
shift
# Asked to end, this shell still waits and keeps the result. The program gets signals as usual.
trap : HUP INT TERM
(exec "$@")
rbp_end=$?
# A reader takes it only with the newline, so a result that was cut short is none. A drive that is full, or that cannot be
# written just now, must not cost the result of what has run: for an hour this shell tries again, and counts as running.
# Where the folder itself is gone, a minute has to do.
rbp_tries=0
until printf '%s\n' "$rbp_end" 2>/dev/null >"$rbp_code"; do
    [ -d "${0%/*}" ] && rbp_tries=$((rbp_tries + 1)) || rbp_tries=$((rbp_tries + 60))
    [ "$rbp_tries" -le 3600 ] && sleep 1 || exit "$rbp_end"
done
