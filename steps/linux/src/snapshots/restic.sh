# restic: files and databases into a repository, whose password (and place, if that is secret) is in the environment.
# What is put back never mixes with what is there: it is restored beside, then takes its place, and what was there is kept.
: "${HOME:=/root}"; export HOME
[ -z "${repository:-}" ] || { RESTIC_REPOSITORY=$repository; export RESTIC_REPOSITORY; }
there() {
    needs restic
    [ -n "${RESTIC_REPOSITORY:-}${RESTIC_REPOSITORY_FILE:-}" ] || fail refused 'no repository is stated: `repository:`, or a secret RESTIC_REPOSITORY'
    run restic cat config >/dev/null || {
        case $words in
            *'wrong password'* | *'no key found'*) fail refused 'the repository does not open with this password' ;;
            *) fail missing "there is no repository that can be opened; create one with \`restic init\`${words:+: $words}" ;;
        esac
    }
}
# of_snapshot SED: of what restic says of the backup with our token, cut at braces and commas.
of_snapshot() { restic snapshots --json --tag "runbook=$token" 2>/dev/null | tr '{},' '\n\n\n' | sed -n "$1" | tail -n 1; }
snapshot() { of_snapshot 's/^"id":"\([0-9a-f]*\)"$/\1/p'; }
words_of() { printf '%s\n' "$paths" | grep -v '^$'; }
capture() {
    there
    printf '%s\n' "$paths" | while read -r one; do [ -z "$one" ] || [ -e "$one" ] || [ -n "$before" ] || { echo "$one"; break; }; done | grep . >&2 && fail missing 'a path that is to be backed up does not exist'
    id=$(snapshot)
    if [ -z "$id" ]; then
        hook before "$before"
        list=$(mktemp) || fail full 'no room for a temporary file'
        words_of >"$list"
        # Before anything is read: what is written while it is read may be in it, or not.
        at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
        run restic backup --tag "runbook=$token" --tag "run=$run" --tag "at=$at" --host "$(uname -n)" --files-from-verbatim "$list"
        code=$?
        rm -f "$list"
        hook after "$after"
        case $code in
            0) ;;
            # restic: 3 means that some source files could not be read.
            3)
                why=$words
                run restic forget "$(snapshot)"
                fail partly "restic could not read everything${why:+: $why}"
                ;;
            *) because 'restic made no backup' ;;
        esac
        id=$(snapshot)
        [ -n "$id" ] || fail failed 'restic made a backup, and does not list it'
    fi
    tell at "$(of_snapshot 's/^"*\(tags":\[\)*"at=\([^"]*\)".*/\2/p')"
    # A backup that cannot be read is none.
    run restic ls "$id" >/dev/null || because 'the backup cannot be read'
    tell snapshot "$id"
    words_of | while read -r one; do tell paths "$one"; done
}
# What was written since: files by their times, and what the runbook's own script says of a database.
lost() {
    words_of | while read -r one; do
        find "$one" -type f -newermt "$at" 2>/dev/null | head -n 100 | while read -r file; do tell lost_file "$file"; done
    done
    if [ -n "$losing" ]; then
        RUNBOOK_BACKUP_AT=$at; export RUNBOOK_BACKUP_AT
        rows=$(printf '%s\n' "$losing" | sh -eu -s) || fail refused "what would be lost cannot be told: the script \`losing\` exited with $?"
        printf '%s\n' "$rows" | grep -v '^$' | head -n 100 | while read -r row; do tell lost "$row"; done
    fi
}
revert() {
    there
    id=$(snapshot)
    [ -n "$id" ] || fail missing 'the repository has no such backup any more'
    if [ -n "$into" ]; then
        mkdir -p "$into" || fail failed "$into cannot be made"
        run restic restore "$id" --target "$into" --verify || because 'restic did not restore'
        tell into "$into"
        tell reboot no
        return 0
    fi
    lost
    hook before "$before"
    words_of | while read -r one; do
        former=$one.runbook-$token
        stage=${one%/*}/.runbook-$token
        # An earlier life got as far as this.
        if [ -e "$former" ] && [ -e "$one" ] && [ ! -e "$stage" ]; then tell former "$former"; continue; fi
        if mountpoint -q "$one" 2>/dev/null; then
            # A mount point cannot be put aside: what came newly stays in it.
            run restic restore "$id" --target / --include "$one" --verify || because 'restic did not restore'
            tell in_place "$one"
            continue
        fi
        if [ ! -e "$stage.whole" ]; then
            rm -rf "$stage"
            run restic restore "$id" --target "$stage" --include "$one" --verify || { rm -rf "$stage"; because 'restic did not restore'; }
            [ -e "$stage$one" ] || fail missing "$one is not in the backup"
            : >"$stage.whole"
        fi
        [ -e "$former" ] || [ ! -e "$one" ] || mv "$one" "$former" || fail failed "$one cannot be moved"
        [ -e "$one" ] || mv "$stage$one" "$one" || { mv "$former" "$one"; fail failed "$one cannot be put back"; }
        sync -f "$one" 2>/dev/null || sync
        rm -rf "$stage" "$stage.whole"
        [ ! -e "$former" ] || tell former "$former"
    done || exit 90
    hook after "$after"
    tell snapshot "$id"
    tell reboot no
}
discard() {
    there
    id=$(snapshot)
    [ -z "$id" ] || run restic forget "$id" || because 'restic did not forget the backup'
    words_of | while read -r one; do rm -rf "$one.runbook-$token"; done
    tell gone yes
}
