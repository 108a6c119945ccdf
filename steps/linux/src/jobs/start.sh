# Starts a job. Given: what supervisor.sh wants, and the job itself in $rb_job.
umask 077
rb_look "$rb_token"
[ "$rb_is" = absent ] || { echo already; exit 0; }
[ ! -e "$rb_home/forgotten/$rb_token" ] || { echo forgotten; exit 0; }
mkdir -p "$rb_home/jobs" "$rb_home/forgotten" || { rb_full; exit 0; }
find "$rb_home/forgotten" -type f -mtime +1 -exec rm -f {} + 2>/dev/null
# Ends when the supervisor has said how it stands, which it does before the job itself begins.
rb_begin() {
    printf '%s\n# %s over' "$rb_job" "$rb_token" |
        "$@" /bin/sh -c "$rb_supervisor" rb "$rb_home" "$rb_token" "$rb_run" "$rb_kind_of" "$rb_only" "$rb_until" \
            "$rb_after" "$rb_user" 2>/dev/null &
}
rb_has setsid || { echo nosetsid; exit 0; }
rb_said=
if [ -d "$rb_systemd" ] && rb_has systemd-run && [ "$(id -u)" = 0 ]; then
    # A unit of its own is not ended with our session, and has a name that people find.
    rb_said=$(rb_begin setsid systemd-run --quiet --scope --slice=system.slice --unit="runbook-$rb_token" --description="runbook $rb_run")
fi
# The claim decides, so trying twice starts it once.
[ -n "$rb_said" ] || rb_said=$(rb_begin setsid)
printf '%s\n' "${rb_said:-failed}"
