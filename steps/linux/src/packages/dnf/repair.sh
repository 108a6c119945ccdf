
before=$(state)
wanted=
# Two versions of one package, where only kernels may have several.
double() { rpm -qa --qf '%{NAME}.%{ARCH}\n' | sort | uniq -d | grep -v -e '^kernel' -e '^gpg-pubkey' -e '^kmod-'; }
wait_for_rpm || { report; exit 200; }
try() {
    case $tool in
    yum)
        ! has yum-complete-transaction || yum-complete-transaction -y </dev/null || return
        [ -z "$(double)" ] || package-cleanup -y --cleandupes </dev/null
        ;;
    dnf) [ -z "$(double)" ] || do_it -y remove --duplicates ;;
    dnf5)
        # shellcheck disable=SC2046
        [ -z "$(double)" ] || do_it -y remove $(ask repoquery --duplicates --latest-limit=-1 --qf '%{full_nevra}\n')
        ;;
    esac
}
patiently try
code=$?
report
section half
double
[ $code -ne 0 ] || [ -z "$(double)" ] || code=1
exit $code
