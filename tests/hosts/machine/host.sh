#!/bin/sh
# host.sh FOLDER: one host, until standard input ends. Runs in mount, uts, ipc and (with LINK) network name spaces of its own, so
# that whatever it mounts and links ends with it. FOLDER holds `files/` (copied over the root), `guest/` (seen by the
# host as /rig) and `log`. Standard input and the host itself (through /rig/control) say `reboot`, `off` and `on`.
#
# Environment: NAME, ROOTS (root folders, the upper one first, with colons between), REPOSITORY, ADDRESS; with a network
# of its own LINK and GATEWAY; VAR (MiB) where /var is small.
set -eu

folder=$1
machine=$(cd "$(dirname "$0")" && pwd)
root=$folder/root
say() { echo "test host $NAME: $1" >&2; }

hostname "$NAME"
# The upper folder is in memory: packages are unpacked at once, and nothing is left on disk however we end.
mkdir "$folder/disk" "$root"
mount -t tmpfs -o mode=755 host "$folder/disk"
mkdir "$folder/disk/upper" "$folder/disk/work"
mount -t overlay host -o "lowerdir=$ROOTS,upperdir=$folder/disk/upper,workdir=$folder/disk/work" "$root" \
    || { say "cannot mount an overlay on $ROOTS"; exit 1; }
cp -a "$folder/files/." "$root"
if [ -n "${VAR:-}" ]; then
    mkdir "$folder/var"
    mount -t tmpfs -o "mode=755,size=${VAR}m" var "$folder/var"
    mkdir "$folder/var/upper" "$folder/var/work"
    lower=$(echo "$ROOTS" | sed 's,:,/var:,g')/var
    mount -t overlay var -o "lowerdir=$lower,upperdir=$folder/var/upper,workdir=$folder/var/work" "$root/var"
fi

# A pair of links, one end here and one where the test runs. The neighbour is written down: a host that is cut off
# answers nothing at all, not even that it is not there.
if [ -n "${LINK:-}" ]; then
    ip link set lo up
    ip link add eth0 address "$MAC" type veth peer name "$LINK" netns "$PPID" || { say "cannot make a link"; exit 1; }
    ip address add "$ADDRESS/31" dev eth0
    ip link set eth0 up
    nsenter --target "$PPID" --net sh -euc '
        ip address add "$GATEWAY/31" dev "$LINK"
        ip link set "$LINK" up
        ip neighbour replace "$ADDRESS" lladdr "$MAC" dev "$LINK" nud permanent
        # Hosts reach each other, through here: one may be the jump host of another.
        [ ! -w "/proc/sys/net/ipv4/conf/$LINK/forwarding" ] || echo 1 >"/proc/sys/net/ipv4/conf/$LINK/forwarding"
    '
    ip route add 198.18.0.0/15 via "$GATEWAY"
fi

mkfifo -m 600 "$folder/guest/control"
exec 3<>"$folder/guest/control" 4<&0 </dev/null
{ cat <&4 3<&- || true; echo gone; } >"$folder/guest/control" &
exec 4<&-

child=
init=
boot() {
    rm -f "$folder/init" "$folder/guest/booted"
    cat /proc/sys/kernel/random/uuid >"$folder/guest/boot_id"
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child "$machine/boot.sh" "$folder" 3<&- &
    child=$!
    while [ ! -e "$folder/init" ]; do
        kill -0 "$child" 2>/dev/null || { say "it does not boot"; child=; return; }
        sleep 0.01
    done
    init=$(cat "$folder/init")
}
# The end of the first process is the end of all of them, and `wait` comes back when they are gone.
down() {
    [ -n "$child" ] || return 0
    rm -f "$folder/init" "$folder/guest/booted"
    kill -9 "$init" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
    child=
}

boot
while read -r word <&3; do
    case $word in
    reboot)
        down
        sleep "${DOWN_FOR:-0.2}"
        [ -e "$folder/guest/stays-down" ] || boot
        ;;
    off) down ;;
    on) [ -n "$child" ] || boot ;;
    gone)
        down
        exit 0
        ;;
    esac
done
