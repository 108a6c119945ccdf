
locked() { [ "$1" -eq 7 ]; }
before=$(state)
wanted=
# Two versions of one package, where only kernels may have several: the lower goes, nothing else with it.
double() { rpm -qa --qf '%{NAME}.%{ARCH}\n' | sort | uniq -d | grep -v -e '^kernel' -e '^gpg-pubkey' -e '-kmp-'; }
wait_for_rpm || { report; exit 7; }
code=0
for name in $(double); do
    # The last line is what was installed first.
    rpm -q --last "$name" | tail -n +2 | while read -r old _; do
        rpm -e "$old" || exit
    done || code=1
done
try() { zypper -n verify </dev/null; }
[ $code -ne 0 ] || { patiently try; code=$?; }
report
section half
double
[ $code -ne 0 ] || [ -z "$(double)" ] || code=1
exit $code
