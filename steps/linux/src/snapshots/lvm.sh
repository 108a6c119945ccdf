# lvcreate(8), lvconvert(8): a snapshot of the logical volume that is mounted at $path. Classic ones have a size and become
# invalid when it is full; a merge consumes the snapshot, and where the volume is in use it happens at the next activation.
path=${path:-/}
name=runbook-$(printf %s "$token" | tr -d - | cut -c 1-16)
volume() {
    device=${device:-$(findmnt -rn -o SOURCE --target "$path" 2>/dev/null)}
    set -- $(lvs --noheadings --separator ' ' -o vg_name,lv_name "$device" 2>/dev/null)
    vg=${1:-}; lv=${2:-}
    [ -n "$lv" ] || fail missing "$path is on no logical volume"
}
field() { lvs --noheadings -o "$1" "$vg/$name" 2>/dev/null | tr -d ' '; }
capture() {
    needs lvcreate
    volume
    whole
    if [ -z "$(field lv_name)" ]; then
        around
        if [ "$thin" = yes ]; then
            run lvcreate --yes --snapshot --name "$name" --setactivationskip n "$vg/$lv"
        else
            run lvcreate --yes --snapshot --name "$name" --size "${size:-5G}" "$vg/$lv"
        fi
        code=$?
        [ "$code" = 0 ] || because 'lvcreate made no snapshot'
        over
        [ -n "$(field lv_name)" ] || fail failed 'lvcreate made a snapshot, and lvs does not list it'
    fi
    tell snapshot "$vg/$name"
    tell origin "$vg/$lv"
    tell_kernel
}
usable() {
    [ -n "$(field lv_name)" ] || fail missing "the snapshot $vg/$name is not there any more"
    # Fifth character of lv_attr: I is an invalid snapshot (lvs(8)).
    case $(field lv_attr) in ????I* | ????S*) fail missing "the snapshot $vg/$name is invalid: it was full" ;; esac
    case $(field snap_percent) in 100*) fail missing "the snapshot $vg/$name is full, so it is invalid" ;; esac
}
# While a merge runs, or waits for the next activation, the origin says so (first place of lv_attr, lvs(8)).
merging() { case $(lvs --noheadings -o lv_attr "$vg/$lv" 2>/dev/null | tr -d ' ') in O*) return 0 ;; *) return 1 ;; esac; }
ready() {
    needs lvconvert
    volume
    merging || usable
    startable
}
revert() {
    start_former
    if merging; then
        tell reboot yes
        return 0
    fi
    if [ "$thin" = yes ]; then
        out=$(lvconvert --yes --mergethin "$vg/$name" 2>&1)
    else
        out=$(lvconvert --yes --mergesnapshot "$vg/$name" 2>&1)
    fi
    code=$?
    printf '%s\n' "$out"
    [ "$code" = 0 ] || fail failed "lvconvert did not merge: $out"
    case $out in
        *'next activation'* | *"can't merge until"*) tell reboot yes ;;
        *) tell reboot no ;;
    esac
}
# By its name, wherever it is: what is mounted at the path may be another volume by now, or none.
discard() {
    needs lvremove
    volumes=$(lvs --noheadings --separator ' ' -o vg_name,lv_name 2>/dev/null) || fail failed 'lvs does not list the volumes'
    there=$(printf '%s\n' "$volumes" | awk -v name="$name" '$2 == name { print $1 "/" $2; exit }')
    if [ -z "$there" ] && [ -n "$origin" ]; then
        printf '%s\n' "$volumes" | awk -v origin="$origin" '$1 "/" $2 == origin { found = 1 } END { exit !found }' ||
            fail missing "the volume $origin is not there, so nobody can say whether its snapshot is"
    fi
    [ -n "$there" ] || tell found no
    [ -z "$there" ] || run lvremove --yes "$there" || because 'lvremove did not delete the snapshot'
    tell gone yes
}
