# Runs a program unless it was started before: $0 is the path of the files that remember it, $1 the word that its start
# was given, the rest the program. No other process is needed: everything else is done by this shell.
set -C
# An exclusive create is the claim. Its content tells this process from a later one with the same number.
read -r rbp_self 2>/dev/null </proc/$$/stat || rbp_self=$$
printf '%s\n' "$rbp_self" 2>/dev/null >"$0.$1.claim" || exit 0
set +C
# The start is forgotten before the claim is: a shell that comes so late that it can claim once more finds it gone.
read -r rbp_start 2>/dev/null <"$0.start"
[ "$rbp_start" = "$1" ] || exec rm -f "$0.$1.claim"
rbp_code="$0.$1.code"
shift
# Asked to end, this shell still waits and keeps the result. The program gets signals as usual.
trap : HUP INT TERM
(exec "$@")
# A reader takes it only with the newline, so a result that was cut short is none.
printf '%s\n' "$?" >"$rbp_code"
