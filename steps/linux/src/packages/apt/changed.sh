
state() { dpkg-query -W -f='${db:Status-Abbrev} ${binary:Package} ${Version}\n' 2>/dev/null; }
# State letters of dpkg: half-configured, half-installed, unpacked, triggers awaited or pending; R: to be reinstalled.
half() {
    state | sed -n -e 's/^.[FHUWt]. \([^ ]*\) .*/\1/p' -e 's/^.[^FHUWt]R \([^ ]*\) .*/\1/p'
    [ -z "$(find /var/lib/dpkg/updates -name '[0-9]*' 2>/dev/null)" ] || echo dpkg
}
# How packages stand afterwards: an exit code alone does not say whether something was changed.
report() {
    section changed
    if [ "$(state)" = "$before" ]; then echo no; else echo yes; fi
    section half
    half
    section check
    apt-get check -q -o Debug::NoLocking=1 </dev/null 2>&1 | grep -v -e '^Reading' -e '^Building'
    section end
}
