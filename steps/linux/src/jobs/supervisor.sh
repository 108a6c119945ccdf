# Runs a job unless it was started before, and keeps its end: $1 where we keep things, $2 the token, $3 the run, $4 the
# kind of job, $5 whether it is the only one (yes or no), $6 the uptime after which it is not begun any more, $7 what comes
# after it, $8 the user it runs as (none: this one). The job itself comes over standard input, with a last line that says so.
rb_home=$1 rb_token=$2 rb_run=$3 rb_kinds=$4 rb_only=$5 rb_until=$6 rb_after=$7 rb_user=$8
# Asked to end, this shell still waits and keeps the result. The job gets signals as usual.
trap : HUP INT TERM
# Whoever started this may be gone.
rb_say() { (printf '%s\n' "$*") 2>/dev/null; }
rb_job=$(cat)
case $rb_job in *"# $rb_token over") ;; *) exit 0 ;; esac
cd /
umask 077
rb_own=$rb_home/jobs/$rb_token
if [ "$rb_only" = yes ]; then
    rb_has flock || { rb_say noflock; exit 0; }
    exec 9>>"$rb_home/lock" || { rb_full; exit 0; }
    rb_tries=0 rb_is=
    until flock -n 9; do
        rb_holder= rb_by=
        read -r rb_holder rb_by 2>/dev/null <"$rb_home/holder"
        [ "$rb_holder" = "$rb_token" ] && { rb_say already; exit 0; }
        rb_tries=$((rb_tries + 1)) rb_said=$rb_by
        [ -n "$rb_holder" ] && rb_look "$rb_holder"
        # It may just have taken the lock, and not have said so yet; or be about to give it up.
        if [ "$rb_is" = running ] || [ $rb_tries -ge 3 ]; then rb_say "busy $rb_said"; exit 0; fi
        sleep 1
    done
    # Where the first process of the last job was killed, what it ran may run on without the lock.
    rb_holder= rb_said=
    read -r rb_holder rb_said 2>/dev/null <"$rb_home/holder"
    if [ -n "$rb_holder" ] && [ "$rb_holder" != "$rb_token" ]; then
        rb_look "$rb_holder"
        [ "$rb_is" = running ] && { rb_say "busy $rb_said"; exit 0; }
    fi
    printf '%s %s\n' "$rb_token" "$rb_run" >"$rb_home/holder.part" && mv -f "$rb_home/holder.part" "$rb_home/holder" || {
        rb_full
        exit 0
    }
fi
rb_boot
rb_booting=$rb_booted
rb_process $$
rb_claim=$rb_own/claim.$$
# The result takes its room now: it must be written down also when the disk is full.
mkdir -p "$rb_own" && : >>"$rb_own/out" && : >>"$rb_own/err" &&
    printf '%-40s\n' - >"$rb_own/room.$$" && { ln "$rb_own/room.$$" "$rb_own/code.part" 2>/dev/null; rm -f "$rb_own/room.$$"; } &&
    printf '%s\n%s %s\n%s\n%s\n' "$rb_booting" "$$" "$rb_born" "$rb_kinds" "$rb_run" >"$rb_claim" ||
    { rm -f "$rb_claim"; rb_full; exit 0; }
# Nothing is tried instead: `sync` alone cannot fail, whatever the drive says.
sync "$rb_claim" 2>/dev/null || { rm -f "$rb_claim"; rb_say unsynced; exit 0; }
# Who comes this late was given up by those who sent it.
if read -r rb_up rb_rest 2>/dev/null </proc/uptime && [ "$rb_until" != - ] && [ "${rb_up%.*}" -gt "$rb_until" ]; then
    rm -f "$rb_claim"
    rb_say late
    exit 0
fi
# A link is whole or not there, and there is only one.
ln "$rb_claim" "$rb_own/claim" 2>/dev/null
rb_linked=$?
rm -f "$rb_claim"
[ $rb_linked = 0 ] || { rb_say already; exit 0; }
# It was forgotten by who does not know of this late start.
[ ! -e "$rb_home/forgotten/$rb_token" ] || { rm -f "$rb_own/claim"; rmdir "$rb_own" 2>/dev/null; rb_say forgotten; exit 0; }
# Only what is known after a crash as well may be done.
rb_sync "$rb_own"
rb_say started
exec >>"$rb_own/out" 2>>"$rb_own/err" </dev/null
rb_inner='umask 022; rb=$(cat); exec </dev/null; eval "$rb"'
RUNBOOK_JOB=$rb_own
export RUNBOOK_JOB
# Root needs no leave to be somebody else: sudo may want a terminal, or not know root.
rb_be() {
    rb_login=$(getent passwd "$rb_user" 2>/dev/null) || rb_login=
    rb_shell=${rb_login##*:} rb_login=${rb_login%:*}
    set -- env -u RUNBOOK_JOB -u SUDO_USER -u SUDO_UID -u SUDO_GID -u SUDO_COMMAND -u MAIL HOME="${rb_login##*:}" \
        USER="$rb_user" LOGNAME="$rb_user" SHELL="${rb_shell:-/bin/sh}" "$@"
    if [ -n "$rb_login" ] && rb_has runuser; then
        runuser -u "$rb_user" -- "$@"
    elif [ -n "$rb_login" ] && rb_has setpriv; then
        setpriv --reuid="$rb_user" --regid="$(id -g "$rb_user")" --init-groups -- "$@"
    else
        sudo -n -u "$rb_user" -- "$@"
    fi
}
if [ -n "$rb_user" ]; then
    printf '%s\n' "$rb_job" | rb_be /bin/sh -c "$rb_inner" "runbook-$rb_token" 9>&-
else
    printf '%s\n' "$rb_job" | /bin/sh -c "$rb_inner" "runbook-$rb_token" 9>&-
fi
rb_code=$?
# In its place, so that no room is needed.
printf '%s %s\n' "$rb_code" "$(date -u +%s)" 1<>"$rb_own/code.part"
rb_sync "$rb_own/code.part"
mv -f "$rb_own/code.part" "$rb_own/code"
rb_sync "$rb_own"
[ "$rb_after" = reboot ] && [ "$rb_code" = 0 ] || exit 0
if [ -d "$rb_systemd" ] && rb_has systemd-run; then
    systemd-run --quiet --on-active=5 --timer-property=AccuracySec=100ms systemctl reboot </dev/null >/dev/null 2>&1 && exit 0
fi
exec 9>&-
setsid /bin/sh -c 'sleep 3; systemctl reboot || shutdown -r now || reboot' </dev/null >/dev/null 2>&1 &
