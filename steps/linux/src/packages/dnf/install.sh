
before=$(state)
wait_for_rpm || { report; exit 200; }
said=$(simulate 2>"$words.err")
code=$?
if [ $code -ne 0 ]; then
    printf '%s\n' "$said"
    cat "$words.err" >&2
    rm -f "$words.err"
    report
    exit $code
fi
rm -f "$words.err"
others=$(printf '%s\n' "$said" | sed '1,/^#runbook unasked/d; /^$/d' | tr '\n' ',' | sed 's/,$//; s/,/, /g')
if [ -n "$others" ]; then
    echo "Error: It would $others, which nobody asked for" >&2
    report
    exit 1
fi
# Naming a package makes it one that a person chose: it would stay for ever. So what comes newly is marked again.
new=$(each | while read -r _ _ name arch version; do
    [ "$version" = - ] || rpm -q "$name.$arch" >/dev/null 2>&1 || echo "$name.$arch"
done)
mark() {
    [ -n "$new" ] || return 0
    # shellcheck disable=SC2086
    case $tool in
    dnf)
        do_it -q -y mark remove $new
        for name in $(ask repoquery --unneeded --qf '%{name}.%{arch}'); do
            printf '%s\n' "$new" | grep -x -F -e "$name"
        done | while read -r name; do do_it -q -y mark install "$name"; done
        ;;
    dnf5)
        do_it -q -y mark dependency $new
        for name in $(ask repoquery --unneeded --qf '%{name}.%{arch}\n'); do
            printf '%s\n' "$new" | grep -x -F -e "$name"
        done | while read -r name; do do_it -q -y mark user "$name"; done
        ;;
    esac
} >/dev/null 2>&1
case $tool in
yum) comment= ;;
*) comment=--comment=$marker ;;
esac
try() {
    # shellcheck disable=SC2086
    transact -y $comment
    code=$?
    [ $code -ne 0 ] || [ -z "$(unfulfilled)" ] || code=1
    return $code
}
patiently try
code=$?
mark
report
exit $code
