
section installed
state
section summary
transact --dry-run
code=$?
section end
exit $code
