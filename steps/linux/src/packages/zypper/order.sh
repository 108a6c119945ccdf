
if [ -n "$passed_over" ]; then
    conf=$(mktemp /run/runbook.XXXXXX 2>/dev/null || mktemp) || exit 1
    litter=$conf
    trap 'rm -f "$litter"' EXIT
    { grep -v '^ *locksfile.apply' /etc/zypp/zypp.conf 2>/dev/null || echo '[main]'; echo 'locksfile.apply = no'; } >"$conf"
    ZYPP_CONF=$conf; export ZYPP_CONF
fi
going_form='s/^\(.*\) \(.*\) \(.*\)$/!\1.\2=\3/'
# transact OPTION...: installs what is ordered and takes away what is not to be there, in one transaction.
transact() {
    installs=$(installs)
    # Kept files: zypper before 1.14.4 (SLES 12) neither knows nor needs it.
    unsigned=
    case $installs in
    */*) ! zypper help install </dev/null 2>/dev/null | grep -q -e --allow-unsigned-rpm || unsigned=--allow-unsigned-rpm ;;
    esac
    # shellcheck disable=SC2046,SC2086
    ask --xmlout ${marker:+--userdata "$marker"} install --auto-agree-with-licenses $unsigned ${back:+--oldpackage} "$@" \
        $installs $(removals)
}
