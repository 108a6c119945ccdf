
# $wanted: a line for each package: what apt is asked for, and the name of the file that may be kept of it.
# $removed: the names that are not to be there. $options: those of the order. Names are words without spaces.
set -f
native=$(dpkg --print-architecture)
asked() {
    printf '%s\n' "$wanted" | while read -r ask file; do
        [ -n "$ask" ] || continue
        if [ -n "$kept" ] && [ -n "$file" ] && [ -f "$kept/$file" ]; then
            echo "$kept/$file"
        else
            echo "$ask"
        fi
    done
}
apt() {
    # shellcheck disable=SC2046,SC2086
    apt-get -q -y -o APT::Color=0 -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root $options "$@" $(asked) </dev/null
}
# What would be removed though nobody asked for it, out of a simulation.
unasked() {
    sed -n 's/^\(Remv\|Purg\) \([^ ]*\) .*/\2/p' | while read -r name; do
        case " $removed " in
        *" $name "* | *" $name:$native "*) ;;
        *) echo "$name" ;;
        esac
    done
}
# The kernel that runs stays.
keeps_kernel() {
    dpkg-query -S "/boot/vmlinuz-$(uname -r)" 2>/dev/null | sed 's/: .*//' | while read -r running; do
        case " $removed " in
        *" ${running%%:*} "* | *" ${running%%:*}:$native "*)
            echo "E: It would remove ${running%%:*}, the kernel that runs" >&2
            exit 100
            ;;
        esac
    done
}
