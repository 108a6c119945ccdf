
locked() { [ "$1" -eq 7 ] || grep -q -e 'System management is locked' -e 'lock of the rpm database' "$2"; }
before=$(state)
keeps_kernel || { report; exit 4; }
wait_for_rpm || { report; exit 7; }
# Naming a package makes it one that a person chose: it would stay for ever. The list of the others is put right after.
marks=/var/lib/zypp/AutoInstalled
automatic=$(grep -v '^#' "$marks" 2>/dev/null)
new=$(each | while read -r _ _ name arch version; do
    [ "$version" = - ] || rpm -q "$name.$arch" >/dev/null 2>&1 || echo "$name"
done)
mark() {
    [ -e "$marks" ] || [ -n "$new" ] || return 0
    {
        printf '%s\n' "$automatic" | while read -r name; do
            [ -z "$name" ] || ! rpm -q "$name" || echo "$name" >&3
        done
        # New, and something else needs it.
        for name in $new; do
            ! rpm -q "$name" || rpm -e --test "$name" || echo "$name" >&3
        done
        [ ! -e "$marks" ] || grep -v '^#' "$marks" >&3
    } 3>"$words.marks" >/dev/null 2>&1
    { echo "# AutoInstalled"; sort -u "$words.marks"; } >"$marks.runbook" && mv "$marks.runbook" "$marks"
    rm -f "$words.marks"
}
try() {
    rounds=0
    while :; do
        transact
        code=$?
        rounds=$((rounds + 1))
        # 103: zypper itself was renewed, the rest is still to be done.
        [ $code -eq 103 ] && [ $rounds -lt 5 ] || break
    done
    # 0 also where a lower version was not taken.
    [ $code -ne 0 ] || [ -z "$(unfulfilled)" ] || code=1
    return $code
}
patiently try
code=$?
mark
report
exit $code
