# runbook guard: the script at the end of this text runs once, however often this command is delivered.
# A second delivery waits for the first one's result, prints it and exits with its code. A delivery whose
# predecessor died without a result prints what there is and exits with 75.
rbg_token='@TOKEN@'
rbg_instance=$(printf '%s' "${AWS_SSM_INSTANCE_ID:-${INSTANCE_ID:-$(cat /etc/machine-id 2>/dev/null || uname -n)}}" | tr -c 'A-Za-z0-9._-' '_')
rbg_home="${RUNBOOK_GUARD_ROOT:-/var/lib/runbook/guard}/$rbg_instance"
rbg_dir="$rbg_home/$rbg_token"
rbg_boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo unknown)
rbg_umask=$(umask)
umask 077

rbg_refuse() {
    echo "runbook guard: $1; the script was not started" >&2
    exit 73
}

# A pid alone may belong to somebody else by now; its start time tells.
rbg_born() {
    rbg_stat=$(sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20)
    echo "${rbg_stat:--}"
}

rbg_alive() {
    read -r rbg_pid rbg_start rbg_at 2>/dev/null <"$1" || return 1
    [ "$rbg_at" = "$rbg_boot" ] && kill -0 "$rbg_pid" 2>/dev/null || return 1
    # A process that nobody has waited for yet is dead all the same.
    case $(sed 's/^.*) //' "/proc/$rbg_pid/stat" 2>/dev/null) in Z*) return 1 ;; esac
    [ "$rbg_start" = - ] || [ "$rbg_start" = "$(rbg_born "$rbg_pid")" ]
}

rbg_sync() {
    sync "$@" 2>/dev/null || sync
}

# Atomic and durable: a reader sees the whole value or no file.
rbg_store() {
    printf '%s\n' "$2" >"$1.part" && rbg_sync "$1.part" && mv -f "$1.part" "$1" && rbg_sync "$rbg_dir"
}

rbg_print() {
    cat "$rbg_dir/stdout.$rbg_pass" 2>/dev/null
    cat "$rbg_dir/stderr.$rbg_pass" >&2 2>/dev/null
}

mkdir -p "$rbg_dir" 2>/dev/null || rbg_refuse "cannot make the folder $rbg_dir"

# Exit code 194 asks the agent to reboot the machine and to run the step again: each pass is claimed anew.
rbg_pass=1
while [ -f "$rbg_dir/reboot.$rbg_pass" ] && [ "$(cat "$rbg_dir/reboot.$rbg_pass")" != "$rbg_boot" ]; do
    rbg_pass=$((rbg_pass + 1))
done

rbg_script="$rbg_dir/script"
rbg_claim="$rbg_dir/claim.$$"
rm -f "$rbg_claim"
printf '%s %s %s\n' "$$" "$(rbg_born "$$")" "$rbg_boot" 2>/dev/null >"$rbg_claim" || rbg_refuse "cannot write to $rbg_dir"
cat >"$rbg_claim.script" <<'@END@' || rbg_refuse "cannot write to $rbg_dir"
@SCRIPT@
@END@

# A hard link is the claim: one system call, with the owner's pid already in it.
if ln "$rbg_claim" "$rbg_dir/owner.$rbg_pass" 2>/dev/null; then
    mv -f "$rbg_claim.script" "$rbg_script"
    rm -f "$rbg_claim"
    rbg_sync "$rbg_dir/owner.$rbg_pass" "$rbg_dir"
    # Asked to end, the shell still waits for the script and keeps its result; the script gets the signal as usual.
    trap : HUP INT TERM
    set -f
    IFS= read -r rbg_first <"$rbg_script"
    case $rbg_first in
    '#!'*) set -- ${rbg_first#'#!'} ;;
    *) set -- sh ;;
    esac
    sh -c 'printf "%s - %s\n" "$$" "$1" >"$2"; umask "$3"; shift 3; exec "$@"' sh \
        "$rbg_boot" "$rbg_dir/child.$rbg_pass" "$rbg_umask" "$@" "$rbg_script" \
        >"$rbg_dir/stdout.$rbg_pass" 2>"$rbg_dir/stderr.$rbg_pass"
    rbg_code=$?
    set +f
    if [ "$rbg_code" -eq 194 ]; then
        rbg_store "$rbg_dir/reboot.$rbg_pass" "$rbg_boot"
    else
        rbg_store "$rbg_dir/code.$rbg_pass" "$rbg_code"
    fi
    rbg_print
    # Run Command keeps its history for 30 days; nothing older can be delivered again.
    find "$rbg_home" -type d -name '????????-????-*' -mtime +45 -prune -exec rm -rf {} + 2>/dev/null
    exit "$rbg_code"
fi

rm -f "$rbg_claim" "$rbg_claim.script"
[ -f "$rbg_dir/owner.$rbg_pass" ] || rbg_refuse "cannot claim $rbg_dir"
rbg_ended() {
    [ -f "$rbg_dir/code.$rbg_pass" ] || [ -f "$rbg_dir/reboot.$rbg_pass" ]
}
until rbg_ended; do
    if ! rbg_alive "$rbg_dir/owner.$rbg_pass" && ! rbg_alive "$rbg_dir/child.$rbg_pass" && ! rbg_ended; then
        echo "runbook guard: interrupted: the script was started and nobody saw its end" >&2
        rbg_print
        exit 75
    fi
    sleep 0.2 2>/dev/null || sleep 1
done
rbg_print
exit "$(cat "$rbg_dir/code.$rbg_pass" 2>/dev/null || echo 194)"
