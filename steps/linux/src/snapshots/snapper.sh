# snapper(8): btrfs and thin LVM. Without a D-Bus (chroots, rescue systems) it is asked directly.
config=${config:-root}
sn() {
    if [ -S /run/dbus/system_bus_socket ]; then snapper -c "$config" "$@"; else snapper --no-dbus -c "$config" "$@"; fi
}
# The number of the snapshot with our token; empty: there is none.
number() {
    sn --machine-readable csv --separator '|' list --columns number,userdata 2>/dev/null |
        awk -F'|' -v token="runbook=$token" '{ n = split($2, pairs, ","); for (i = 1; i <= n; i++) { gsub(/^[" ]+|[" ]+$/, "", pairs[i]); if (pairs[i] == token) { gsub(/[^0-9]/, "", $1); print $1; exit } } }'
}
there() {
    needs snapper
    run sn get-config >/dev/null || fail missing "snapper has no configuration \`$config\`: create one with \`snapper -c $config create-config /\`"
    path=$(sn get-config 2>/dev/null | sed -n 's/^SUBVOLUME *[|│] *//p' | sed 's/ *$//')
    # A live root is not changed under those who run on it: the next boot takes another one.
    if is_root; then mode=${mode:-rollback}; else mode=${mode:-files}; fi
    case $mode in
        files) ;;
        rollback) is_root || fail refused "snapper rolls back roots only, and \`$config\` is about $path: state \`mode: files\`" ;;
        *) fail refused "the mode \`$mode\` is neither \`files\` nor \`rollback\`" ;;
    esac
}
# What lies below the root and is not in its snapshot.
left_out() {
    findmnt -rn -o TARGET 2>/dev/null | while read -r at; do
        case $at in
            "$path" | /proc* | /sys* | /dev* | /run* | /tmp) ;;
            "${path%/}"/*) tell left_out "$at" ;;
        esac
    done
}
capture() {
    there
    if [ "$mode" = rollback ]; then
        whole
        [ "$(stat -f -c %T /)" = btrfs ] || fail refused 'snapper rolls back roots on btrfs only: state `mode: files`, or another method'
        by_name && fail refused 'the root is mounted by the name of its subvolume (fstab or kernel command line): a rollback would not be booted'
    fi
    n=$(number)
    if [ -z "$n" ]; then
        around
        run sn create --type single --print-number --description "$description" --userdata "runbook=$token,run=$run" >/dev/null
        code=$?
        [ "$code" = 0 ] || because 'snapper made no snapshot'
        over
        n=$(number)
        [ -n "$n" ] || fail failed 'snapper made a snapshot, and does not list it'
    fi
    tell number "$n"
    tell config "$config"
    tell mode "$mode"
    [ "$mode" != rollback ] || tell_kernel
    left_out
}
ready() {
    there
    n=$(number)
    [ -n "$n" ] || fail missing "snapper has no snapshot of ours in \`$config\`: it was deleted"
    [ "$mode" != rollback ] || startable
}
revert() {
    if [ "$mode" = rollback ]; then
        start_former
        run sn --ambit classic rollback "$n" >&2 || because 'snapper could not roll back'
        tell reboot yes
    else
        # From what is now (0) back to the snapshot, file by file, in the live system. What we keep on it is ours.
        list=$(mktemp) || fail full 'no room for a temporary file'
        run sn status --output "$list" "$n..0" >&2 || { rm -f "$list"; because 'snapper does not tell what has changed'; }
        sed -i '\,^[^ ]* /var/lib/runbook\(/\|$\),d' "$list"
        [ ! -s "$list" ] || run sn undochange --input "$list" "$n..0" >&2 || { rm -f "$list"; because 'snapper could not undo the changes'; }
        rm -f "$list"
        tell reboot no
    fi
    tell number "$n"
}
discard() {
    there
    n=$(number)
    [ -n "$n" ] || tell found no
    [ -z "$n" ] || run sn delete "$n" || because 'snapper could not delete the snapshot'
    tell gone yes
}
