
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
    # shellcheck disable=SC2046
    ask --xmlout ${marker:+--userdata "$marker"} install --auto-agree-with-licenses --allow-unsigned-rpm ${back:+--oldpackage} "$@" \
        $(installs) $(removals)
}
