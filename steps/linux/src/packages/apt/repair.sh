
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
patiently complete
code=$?
report
[ $code -ne 0 ] || [ $dpkg_code -eq 0 ] || [ -z "$(half)" ] || code=$dpkg_code
exit $code
