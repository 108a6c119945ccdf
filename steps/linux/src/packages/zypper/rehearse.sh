
section installed
state
keeps_kernel || exit 4
section summary
transact --dry-run
code=$?
section end
exit $code
