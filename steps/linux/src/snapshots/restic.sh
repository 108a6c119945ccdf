# restic: files and databases into a repository, whose password (and place, if that is secret) is in the environment.
# What is put back never mixes with what is there: it is restored beside, then takes its place, and what was there is kept.
: "${HOME:=/root}"; export HOME
[ -z "${repository:-}" ] || { RESTIC_REPOSITORY=$repository; export RESTIC_REPOSITORY; }
there() {
    needs restic
    [ -n "${RESTIC_REPOSITORY:-}${RESTIC_REPOSITORY_FILE:-}" ] || fail refused 'no repository is stated: `repository:`, or a secret RESTIC_REPOSITORY'
    # Only what writes, or reads what another one could take away, needs a lock.
    run restic cat config --no-lock >/dev/null || {
        case $words in
            *'wrong password'* | *'no key found'*) fail refused 'the repository does not open with this password' ;;
            *) fail missing "there is no repository that can be opened; create one with \`restic init\`${words:+: $words}" ;;
        esac
    }
}
# What restic says of the backup with our token, cut at braces and commas: its id, empty where there is none.
find_backup() {
    json=$(mktemp) || fail full 'no room for a temporary file'
    run restic snapshots --no-lock --json --tag "runbook=$token" >"$json" || { rm -f "$json"; because 'restic does not say which backups it has'; }
    said=$(tr '{},' '\n\n\n' <"$json")
    rm -f "$json"
    id=$(printf '%s\n' "$said" | sed -n 's/^"id":"\([0-9a-f]*\)"$/\1/p' | tail -n 1)
}
# unlocked TIMES COMMAND...: others use the repository as well, come and go. What is left of processes that are gone is
# taken away, which restic does only where it can be seen.
unlocked() {
    left=$1
    shift
    until run restic "$@"; do
        code=$?
        case $words in *'already locked'*) ;; *) return "$code" ;; esac
        [ "$left" -gt 0 ] || return "$code"
        left=$((left - 1))
        restic unlock >/dev/null 2>&1
        sleep 9
    done
}
# The paths, each written in one way only.
words_of() { printf '%s\n' "$paths" | sed -e 's,//*,/,g' -e ':again' -e 's,/\./,/,' -e 't again' -e 's,/\.$,,' -e 's,\(.\)/$,\1,' | grep -v '^$'; }
# What cannot be put aside while the host runs, or would not be what it seems, is no way back.
usable() {
    words_of | sort | while read -r one; do
        case $one in
            /*) ;;
            *) fail refused "$one is no absolute path" ;;
        esac
        case $one in
            / | /bin | /bin/* | /boot | /boot/* | /dev | /dev/* | /etc | /home | /lib | /lib/* | /lib32 | /lib64 | /media | /mnt | \
            /proc | /proc/* | /root | /run | /run/* | /sbin | /sbin/* | /sys | /sys/* | /tmp | /usr | /usr/bin | /usr/lib | /usr/lib/* | \
            /usr/sbin | /usr/share | /var | /var/cache | /var/lib | /var/lib/apt | /var/lib/dpkg | /var/lib/rpm | /var/lib/runbook | \
            /var/log | /var/run | /var/tmp)
                fail refused "$one is the system's, which cannot be put aside while it runs: state what is yours in it" ;;
        esac
        case $one in
            "${last:-//}"/*) fail refused "$one lies in $last: state one of them" ;;
        esac
        last=$one
        [ -e "$one" ] || [ -L "$one" ] || continue
        real=$(readlink -f -- "$one") || fail refused "$one is a link that leads nowhere"
        [ "$real" = "$one" ] || fail refused "$one is a link, which is all that would be kept of it: state $real"
        mounted=$(below "$one")
        [ -z "$mounted" ] || fail refused "$mounted is a file system of its own below $one: state the folders beside it, and it, as paths of their own"
    done || exit 90
}
all_there() {
    words_of | while read -r one; do
        [ -e "$one" ] || fail missing "$one, which is to be backed up, does not exist"
    done || exit 90
}
# pattern PATH: as restic's patterns write it.
pattern() { printf %s "$1" | sed 's/[][*?\\]/\\&/g'; }
capture() {
    there
    [ -n "$(words_of)" ] || fail refused 'no path is stated that is to be backed up'
    usable
    [ -n "$before" ] || all_there
    find_backup
    if [ -z "$id" ]; then
        # Who has the repository to himself is waited for while everything still runs: this takes the lock of a backup.
        unlocked 66 cat config >/dev/null || because 'the repository takes no lock'
        list=$(mktemp) || fail full 'no room for a temporary file'
        words_of >"$list"
        # Before anything is dumped or read: what is written meanwhile may be in it, or not.
        at=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
        case $at in *N*) at=$(date -u +%Y-%m-%dT%H:%M:%SZ) ;; esac
        around
        usable
        all_there
        # What earlier ways back have put aside is none of it.
        unlocked 2 backup --tag "runbook=$token" --tag "run=$run" --tag "at=$at" --host "$(uname -n)" --files-from-verbatim "$list" \
            --exclude .runbook --exclude '.runbook-????????-*' --exclude '*.runbook-????????-????????'
        code=$?
        rm -f "$list"
        case $code in
            0) ;;
            # restic: 3 means that some source files could not be read.
            3)
                why=$words
                find_backup
                [ -z "$id" ] || unlocked 5 forget "$id"
                fail partly "restic could not read everything${why:+: $why}"
                ;;
            *) because 'restic made no backup' ;;
        esac
        over
        find_backup
        [ -n "$id" ] || fail failed 'restic made a backup, and does not list it'
    fi
    # A backup that cannot be read, or lacks a path, is none.
    listed=$(mktemp) || fail full 'no room for a temporary file'
    words_of | while read -r one; do
        run restic ls --no-lock "$id" "$one" >"$listed" || because 'the backup cannot be read'
        grep -qxF -- "$one" "$listed" || fail missing "$one is not in the backup"
    done || { rm -f "$listed"; exit 90; }
    rm -f "$listed"
    tell at "$(printf '%s\n' "$said" | sed -n 's/^"*\(tags":\[\)*"at=\([^"]*\)".*/\2/p' | tail -n 1)"
    tell snapshot "$id"
    words_of | while read -r one; do tell paths "$one"; done
}
parent() { dirname -- "$1"; }
# Where a path is restored before it takes its place: on the same file system. What hides in a mount point stays there.
stage_of() {
    if mountpoint -q "$1" 2>/dev/null; then
        printf %s "$1/.runbook-$short-stage"
    else
        printf %s "$(parent "$1" | sed 's,^/$,,')/.runbook-$short-${1##*/}"
    fi
}
former_of() {
    if mountpoint -q "$1" 2>/dev/null; then printf %s "$1/.runbook-$short-$turn"; else printf %s "$1.runbook-$short-$turn"; fi
}
# What earlier ways back to this backup, and this one, have put aside.
formers() {
    for each in "$1.runbook-$short-"* "$1/.runbook-$short-"????????; do
        [ ! -e "$each" ] || tell former "$each"
    done
}
ready() {
    there
    find_backup
    [ -n "$id" ] || fail missing 'the repository has no such backup any more'
    RUNBOOK_BACKUP_AT=$at; export RUNBOOK_BACKUP_AT
    if [ -n "$into" ]; then
        mkdir -p "$into" || fail failed "$into cannot be made"
        unlocked 66 restore "$id" --target "$into" --verify || because 'restic did not restore'
        return 0
    fi
    # Everything is fetched before anything is stopped or moved.
    words_of | while read -r one; do
        [ ! -e "$(former_of "$one")" ] || continue
        mounted=$(below "$one")
        [ -z "$mounted" ] || fail refused "$mounted is a file system of its own below $one by now, and cannot be put aside with it: unmount it"
        stage=$(stage_of "$one")
        mkdir -p "$(parent "$one")" && rm -rf "$stage" || fail failed "there is no room beside $one"
        unlocked 66 restore "$id" --target "$stage" --include "$(pattern "$one")" --verify || { rm -rf "$stage"; because 'restic did not restore'; }
        [ -e "$stage$one" ] || { rm -rf "$stage"; fail missing "$one is not in the backup"; }
    done || exit 90
    # A database answers as long as it is not stopped. What cannot be told holds nothing up: all of it is put aside.
    [ -n "$losing" ] || return 0
    rows=$(script "$losing") || rows="what else was written since could not be told: the script \`losing\` exited with $?${rows:+ after: $rows}"
    printf '%s\n' "$rows" | some lost 100
}
# Everything in a folder, with size and time.
listing() { (cd "$1" && find . -name '.runbook-????????-*' -prune -o -type f -printf '%P\t%s\t%T@\n') | sort; }
# Files that are not in the backup, or not as they are in it.
lost_files() {
    if [ -f "$1" ]; then
        cmp -s "$1" "$2" || tell lost_file "$1"
    elif [ -d "$1" ]; then
        then=$(mktemp) && now=$(mktemp) || return 0
        listing "$2" >"$then" && listing "$1" >"$now"
        comm -13 "$then" "$now" | cut -f 1 | at="$1/" awk '{ print ENVIRON["at"] $0 }' | some lost_file 20
        rm -f "$then" "$now"
    fi
}
# entries FOLDER ACTION...: what is in it, but for what the file system needs there, and what is ours.
entries() {
    from=$1
    shift
    find "$from" -mindepth 1 -maxdepth 1 ! -name lost+found ! -name '.runbook-????????-*' ! -name .runbook "$@"
}
# move_all FOLDER TO: all of it, over nothing that is there; otherwise $words say what stays, or why.
move_all() {
    stays=
    run entries "$1" -exec mv -n -t "$2" -- {} + && stays=$(entries "$1" -print -quit) && [ -z "$stays" ] && return 0
    [ -n "$words" ] || words="$stays stays where it is"
    return 1
}
# A mount point cannot be moved: what is in it is. What fails is undone, and nothing is deleted. What was put aside is told
# from what was put back by a mark, for a call that was killed and comes again.
swap_inside() {
    aside=$stage/.aside
    if [ ! -e "$aside" ]; then
        mkdir -p "$former" && chmod 0700 "$former" || fail failed "$former cannot be made"
        move_all "$one" "$former" && run touch "$aside" || {
            why=$words
            move_all "$former" "$one" && rmdir "$former"
            words=$why
            because "what is in $one cannot be moved"
        }
    fi
    move_all "$stage$one" "$one" || {
        why=$words
        move_all "$one" "$stage$one" && move_all "$former" "$one" && rmdir "$former" && rm -f "$aside"
        words=$why
        because "$one cannot be put back"
    }
}
swap() {
    [ ! -e "$one" ] || mv -- "$one" "$former" || fail failed "$one cannot be moved"
    mv -- "$stage$one" "$one" || { [ ! -e "$former" ] || mv -- "$former" "$one"; fail failed "$one cannot be put back"; }
}
revert() {
    if [ -n "$into" ]; then
        tell into "$into"
        tell reboot no
        return 0
    fi
    words_of | while read -r one; do
        former=$(former_of "$one") stage=$(stage_of "$one")
        # A repeated call finds its own work done.
        if [ -e "$stage$one" ]; then
            lost_files "$one" "$stage$one"
            if mountpoint -q "$one" 2>/dev/null; then swap_inside; else swap; fi
            sync -f "$one" 2>/dev/null || sync
            rm -rf "$stage"
        fi
        formers "$one"
    done || exit 90
    tell snapshot "$id"
    tell reboot no
}
discard() {
    there
    find_backup
    [ -n "$id" ] || tell found no
    [ -z "$id" ] || unlocked 5 forget "$id" || because 'restic did not forget the backup'
    words_of | while read -r one; do rm -rf "$one.runbook-$short-"* "$one/.runbook-$short-"* "$(parent "$one")/.runbook-$short-"*; done
    tell gone yes
}
