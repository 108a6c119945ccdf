
section installed
state
simulate || exit
section end
exit 0
