# Runs the program "$@" unless it was started before; $0 is the path of the files that remember it. No other process
# is needed: everything but the program itself is done by this shell.
#
# An exclusive create is the claim. Its content tells this process from a later one with the same number.
set -C
read -r rbp_self 2>/dev/null </proc/$$/stat || rbp_self=$$
printf '%s\n' "$rbp_self" 2>/dev/null >"$0.claim" || exit 0
set +C
# Asked to end, this shell still waits and keeps the result. The program gets signals as usual.
trap : HUP INT TERM
(exec "$@")
# A reader takes it only with the newline, so a result that was cut short is none.
printf '%s\n' "$?" >"$0.code"
