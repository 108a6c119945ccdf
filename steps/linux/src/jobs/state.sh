# What is known of a job. Given: $rb_home, where we keep things; $rb_bootfile, where the boot id is read.
rb_has() { command -v "$1" >/dev/null 2>&1; }
rb_boot() {
    rb_booted=-
    read -r rb_booted 2>/dev/null <"$rb_bootfile"
}
# The state letter, session, and birth of the process $1: rb_state, rb_session, rb_born; nothing where it is gone.
rb_process() {
    rb_state= rb_parent= rb_session= rb_born=
    read -r rb_line 2>/dev/null <"/proc/$1/stat" || return 1
    # The command's name stands in brackets and may hold anything: what follows the last bracket is read.
    set -- ${rb_line##*)}
    rb_state=$1 rb_parent=$2 rb_session=$4
    shift 19
    rb_born=$1
    case $rb_state in Z | X) return 1 ;; esac
}
# Whether the job's first process lives.
rb_lives() { rb_process "$rb_pid" && [ "$rb_born" = "$rb_birth" ]; }
# All other living processes that the job started, as far as they can be told: rb_members.
rb_tree() {
    rb_members=
    for rb_file in /sys/fs/cgroup/system.slice/"runbook-$1.scope" /sys/fs/cgroup/systemd/system.slice/"runbook-$1.scope"; do
        [ -r "$rb_file/cgroup.procs" ] || continue
        while read -r rb_one; do
            [ "$rb_one" = "$rb_pid" ] || rb_members="$rb_members $rb_one"
        done <"$rb_file/cgroup.procs"
    done
    # A number that leads a session is not given to a process that is born while the session has members; one that was
    # born later shows that it has none.
    if rb_process "$rb_pid" && [ "$rb_born" != "$rb_birth" ]; then return; fi
    rb_found=yes
    while [ -n "$rb_found" ]; do
        rb_found=
        for rb_file in /proc/[0-9]*; do
            rb_one=${rb_file#/proc/}
            [ "$rb_one" = "$rb_pid" ] && continue
            case " $rb_members " in *" $rb_one "*) continue ;; esac
            rb_process "$rb_one" || continue
            [ "$rb_born" -ge "$rb_birth" ] 2>/dev/null || continue
            case " $rb_members $rb_pid " in
            *" $rb_parent "*) ;;
            *) [ "$rb_session" = "$rb_pid" ] || continue ;;
            esac
            rb_members="$rb_members $rb_one" rb_found=yes
        done
    done
}
rb_ended() {
    rb_code= rb_at=
    [ -e "$rb_dir/code" ] && read -r rb_code rb_at 2>/dev/null <"$rb_dir/code"
}
# The state of the job $1: rb_is, which is absent, running, ended, lost or rebooted.
rb_look() {
    rb_dir=$rb_home/jobs/$1 rb_is=absent rb_pid= rb_kind= rb_by=
    [ -e "$rb_dir/claim" ] || return 0
    { read -r rb_then; read -r rb_pid rb_birth; read -r rb_kind; read -r rb_by; } <"$rb_dir/claim"
    rb_is=ended
    rb_ended && return 0
    rb_boot
    rb_is=rebooted
    [ "$rb_then" = "$rb_booted" ] || return 0
    rb_is=running
    rb_lives && return 0
    # It may have ended since we looked for its result.
    rb_is=ended
    rb_ended && return 0
    # Somebody killed the first process alone. What it ran runs on, and its end is all that can still be waited for.
    rb_tree "$1"
    rb_is=running
    [ -n "$rb_members" ] && return 0
    rb_is=lost
}
# What is in this file or folder outlives a crash of the host, unless its drive fails.
rb_sync() { sync "$1" 2>/dev/null || sync; }
# Says that nothing can be written, how many KiB are free, and on what.
rb_full() {
    set -- $(df -Pk "$rb_home" 2>/dev/null | tail -n 1)
    (printf 'full %s %s\n' "${4:-?}" "${6:-$rb_home}") 2>/dev/null
}
