
before=$(state)
keeps_kernel || { report; exit 100; }
# apt refuses every removal by itself, unless one is asked for: then this looks that there is no other.
if [ -n "$removed" ] && simulation=$(apt -s -o Debug::NoLocking=1 install 2>/dev/null); then
    others=$(printf '%s\n' "$simulation" | unasked | tr '\n' ' ')
    if [ -n "$others" ]; then
        echo "E: It would remove ${others% }, which nobody asked for" >&2
        report
        exit 100
    fi
    never=
else
    never=--no-remove
fi

# Naming a package makes it one that a person chose: it would stay for ever. So the marks are put back.
names() {
    printf '%s\n' "$wanted" | while read -r ask _; do
        case $ask in
        *=*) name=${ask%%=*}; echo "${name%":$native"}" ;;
        esac
    done
}
automatic=$(apt-mark showauto 2>/dev/null)
# apt drops the hold of a held package that it is let change.
holds=$(apt-mark showhold 2>/dev/null)
new=$(for name in $(names); do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
done)
mark() {
    again=$(for name in $(names); do
        printf '%s\n' "$automatic" | grep -x -F -e "$name"
    done)
    # shellcheck disable=SC2086
    {
        [ -z "$holds" ] || apt-mark hold $holds
        [ -z "$again" ] || apt-mark auto $again
        [ -n "$new" ] || return 0
        # New, and nothing needs it: somebody wants it for itself.
        apt-mark auto $new
        wanted_for_itself=$(apt-get -s autoremove -o Debug::NoLocking=1 </dev/null | sed -n 's/^\(Remv\|Purg\) \([^ ]*\) .*/\2/p' |
            while read -r name; do printf '%s\n' "$new" | grep -x -F -e "${name%":$native"}"; done)
        [ -z "$wanted_for_itself" ] || apt-mark manual $wanted_for_itself
    } >/dev/null 2>&1
}

try() { apt -o "DPkg::Lock::Timeout=$(left)" -o "runbook::attempt=$marker" $never install; }
patiently try
code=$?
mark
report
exit $code
