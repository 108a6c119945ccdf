# btrfs-subvolume(8): a read-only snapshot of the subvolume at $path, beside it in .runbook, and back by putting a writable
# copy in its place. A root is changed for the next boot, which is only possible where the boot takes the default subvolume.
path=${path:-/}
place=${path%/}/.runbook
kept=$place/$token
there() {
    needs btrfs
    run btrfs subvolume show "$path" >/dev/null || fail missing "$path is no btrfs subvolume"
}
id_of() { btrfs subvolume show "$1" 2>/dev/null | sed -n 's/^[[:space:]]*Subvolume ID:[[:space:]]*//p'; }
# Whoever is mounted has a place that is not ours to give to another one.
movable() {
    is_root || ! mountpoint -q "$path" 2>/dev/null ||
        fail refused "$path is where a file system is mounted, which cannot be put aside: state a subvolume in it, or go by \`restic\`"
}
# What lies in a subvolume and is not part of its snapshot would be put aside with it, and not come back.
alone() {
    is_root && return 0
    inside=$(below "$path")
    [ -z "$inside" ] || fail refused "$inside is a file system of its own below $path, which a snapshot does not bring back: state subvolumes that have none"
    inside=$(btrfs subvolume list -o "$path" 2>/dev/null | sed 's/^.* path //' | grep -v '\(^\|/\)\.runbook/' | head -n 1)
    [ -z "$inside" ] || fail refused "$inside is a subvolume of its own below $path, which a snapshot does not bring back: state subvolumes that have none"
}
# Subvolumes below are not part of a snapshot.
left_out() {
    btrfs subvolume list -o "$path" 2>/dev/null | sed 's/^.* path //' | while read -r below; do
        case $below in *.runbook*) ;; *) tell left_out "$below" ;; esac
    done
}
capture() {
    there
    movable
    alone
    whole
    if is_root && by_name; then
        fail refused 'the root is mounted by the name of its subvolume (fstab or kernel command line): a new default subvolume would not be booted'
    fi
    if [ ! -d "$kept" ]; then
        mkdir -p "$place" && chmod 0700 "$place" || fail failed "$place cannot be made"
        around
        run btrfs subvolume snapshot -r "$path" "$kept" >/dev/null
        code=$?
        [ "$code" = 0 ] || because 'btrfs made no snapshot'
        over
        sync -f "$kept" 2>/dev/null || sync
    fi
    tell snapshot "$kept"
    tell path "$path"
    tell_kernel
    left_out
}
# Where the snapshot is: what was put aside took it along, for another backup too. The root that was left by a reboot is not
# mounted any more.
top=
find_kept() {
    if is_root && [ -z "$(id_of "$kept")" ]; then
        below=$(btrfs subvolume list / 2>/dev/null | sed 's/^.* path //' | grep "\(^\|/\)\.runbook/$token\$" | head -n 1)
        [ -n "$below" ] && top=$(mktemp -d) || return 1
        run mount -o subvolid=5 "$(findmnt -n -o SOURCE / | sed 's/\[.*//')" "$top" || because 'the file system of the root cannot be mounted'
        kept=$top/$below
    fi
    for each in "$kept" "${path%/}.runbook-"*/.runbook/"$token"; do
        [ ! -d "$each" ] || [ -z "$(id_of "$each")" ] || { kept=$each; return 0; }
    done
    return 1
}
# others FORMER: snapshots of other backups were put aside with it. Their place is with what is there now; where they cannot
# get there they are found where they are.
others() {
    [ -d "$path" ] || return 0
    for each in "$1"/.runbook/*; do
        now=$place/${each##*/}
        [ "${each##*/}" != "$token" ] && [ -n "$(id_of "$each")" ] || continue
        if [ -z "$(id_of "$now")" ]; then
            # What a copy of a subvolume has of a snapshot in it is an empty folder.
            [ ! -d "$now" ] || rmdir "$now"
            mkdir -p "$place" && chmod 0700 "$place" && btrfs subvolume snapshot -r "$each" "$now" || continue
        fi
        btrfs subvolume delete "$each"
    done >&2
}
ready() {
    needs btrfs
    former=${path%/}.runbook-$short-$turn
    # An earlier life may have put what was there aside, and no more.
    [ ! -e "$path" ] || there
    movable
    find_kept || fail missing "$kept is not there any more"
    startable
}
close() { [ -z "$top" ] || { umount "$top" && rmdir "$top"; top=; }; }
trap 'close; over' EXIT
revert() {
    if is_root; then
        back=$kept-$turn
        if [ ! -d "$back" ]; then run btrfs subvolume snapshot "$kept" "$back" >/dev/null || because 'btrfs made no writable copy'; fi
        id=$(id_of "$back")
        [ -n "$id" ] || fail failed "btrfs does not tell the id of $back"
        start_former
        run btrfs subvolume set-default "$id" / || because 'btrfs did not change the default subvolume'
        tell reboot yes
        return 0
    fi
    # What is there now is not deleted: it lies beside its place. A repeated call finds its own work done.
    if [ ! -d "$former" ]; then
        [ ! -d "$path" ] || run mv "$path" "$former" || because "$path cannot be moved"
        find_kept || fail missing "$kept is not there any more"
        run btrfs subvolume snapshot "$kept" "$path" >/dev/null || { [ ! -d "$former" ] || mv "$former" "$path"; because 'btrfs made no writable copy'; }
    fi
    others "$former"
    for each in "${path%/}.runbook-$short-"*; do [ ! -d "$each" ] || tell former "$each"; done
    tell reboot no
}
discard() {
    needs btrfs
    # Only the file system that it was made on can say so.
    find_kept || { there; tell found no; }
    # What is booted, or will be, stays.
    stays=" $(id_of /) $(btrfs subvolume get-default / 2>/dev/null | awk '{ print $2 }') "
    is_root || for one in "${path%/}.runbook-$short-"*; do others "$one"; done
    for one in "$kept"-* "$kept" "${path%/}.runbook-"*/.runbook/"$token" "${path%/}.runbook-$short-"*; do
        [ -d "$one" ] && [ -n "$(id_of "$one")" ] || continue
        case $stays in *" $(id_of "$one") "*) continue ;; esac
        run btrfs subvolume delete "$one" >/dev/null || because "$one cannot be deleted"
    done
    tell gone yes
}
