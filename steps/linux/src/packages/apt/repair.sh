
before=$(state)
set -f
configure() { dpkg --force-confdef --force-confold --configure -a </dev/null; }
patiently configure
dpkg_code=$?
complete() {
    # shellcheck disable=SC2086
    apt-get -q -y -f --no-remove -o APT::Color=0 -o Dpkg::Use-Pty=0 $options \
        -o "DPkg::Lock::Timeout=$(left)" -o "runbook::attempt=repair" install </dev/null
}
# What was interrupted while it was unpacked must be unpacked again, and apt does that only where it is named: the version
# that was coming, by dpkg's own log, else the one that was there.
torn() { state | sed -n -e 's/^.H. \([^ ]*\) \([^ ]*\)$/\1 \2/p' -e 's/^.[^H]R \([^ ]*\) \([^ ]*\)$/\1 \2/p'; }
coming() {
    cat /var/log/dpkg.log.1 /var/log/dpkg.log 2>/dev/null | grep -F -e " upgrade ${1%%:*}:" -e " install ${1%%:*}:" | tail -n 1 |
        while read -r _ _ _ _ _ version; do echo "$version"; done
}
# Its file, where the host has it, else what apt is asked for.
source_of() {
    arch=$(dpkg-query -W -f='${Architecture}' "$1")
    file=${1%%:*}_$(echo "$2" | sed 's/:/%3a/g')_$arch.deb
    lies=$(find /var/lib/runbook/kept /var/cache/apt/archives -maxdepth 2 -name "$file" 2>/dev/null | head -n 1)
    if [ -n "$lies" ] && dpkg-deb --fsys-tarfile "$lies" >/dev/null 2>&1; then echo "$lies"; else echo "$1=$2"; fi
}
unpack() {
    # shellcheck disable=SC2086
    apt-get -q -y -f --reinstall --no-remove --allow-downgrades --allow-change-held-packages -o APT::Color=0 -o Dpkg::Use-Pty=0 \
        -o APT::Sandbox::User=root $options -o "DPkg::Lock::Timeout=$(left)" -o "runbook::attempt=repair" install "$@" </dev/null
}
automatic=$(apt-mark showauto 2>/dev/null)
holds=$(apt-mark showhold 2>/dev/null)
was_torn=$(torn)
for which in coming there; do
    [ -n "$(torn)" ] || break
    set --
    while read -r name version; do
        [ -n "$name" ] || continue
        [ "$which" = there ] || version=$(coming "$name")
        [ -z "$version" ] || set -- "$@" "$(source_of "$name" "$version")"
    done <<END
$(torn)
END
    [ $# -eq 0 ] || patiently unpack "$@"
done
printf '%s\n' "$was_torn" | while read -r name _; do
    printf '%s\n' "$automatic" | grep -q -x -F -e "$name" && apt-mark auto "$name"
    printf '%s\n' "$holds" | grep -q -x -F -e "$name" && apt-mark hold "$name"
done >/dev/null 2>&1
patiently complete
code=$?
report
[ $code -ne 0 ] || [ $dpkg_code -eq 0 ] || [ -z "$(half)" ] || code=$dpkg_code
exit $code
