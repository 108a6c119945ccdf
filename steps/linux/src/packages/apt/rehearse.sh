
keeps_kernel || exit 100
simulation=$(apt -s -o Debug::NoLocking=1 install)
code=$?
section simulation
printf '%s\n' "$simulation"
section unasked
printf '%s\n' "$simulation" | unasked
section removed
printf '%s\n' "$simulation" | sed -n 's/^\(Remv\|Purg\) \([^ ]*\) .*/\2/p' | while read -r name; do
    dpkg-query -W -f='${Package}\t${Architecture}\t${Version}\n' "$name"
done
section end
exit $code
