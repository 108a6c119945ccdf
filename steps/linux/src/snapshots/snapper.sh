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
}
# What lies below the root and is not in its snapshot.
left_out() {
    root=$(sn get-config 2>/dev/null | sed -n 's/^SUBVOLUME *[|│] *//p' | sed 's/ *$//')
    findmnt -rn -o TARGET 2>/dev/null | while read -r at; do
        case $at in
            "$root" | /proc* | /sys* | /dev* | /run* | /tmp) ;;
            "${root%/}"/*) tell left_out "$at" ;;
        esac
    done
}
capture() {
    there
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
    left_out
}
ready() {
    there
    n=$(number)
    [ -n "$n" ] || fail missing "snapper has no snapshot of ours in \`$config\`: it was deleted"
}
revert() {
    case ${mode:-files} in
        # From what is now (0) back to the snapshot, file by file, in the live system.
        files)
            run sn undochange "$n..0" || because 'snapper could not undo the changes'
            tell reboot no
            ;;
        rollback)
            run sn --ambit classic rollback "$n" || because 'snapper could not roll back'
            tell reboot yes
            ;;
        *) fail refused "the mode \`$mode\` is neither \`files\` nor \`rollback\`" ;;
    esac
    tell number "$n"
}
discard() {
    there
    n=$(number)
    [ -z "$n" ] || run sn delete "$n" || because 'snapper could not delete the snapshot'
    tell gone yes
}
