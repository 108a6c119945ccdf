# Sourced by the scripts beside it: how a root folder is entered, and stacked on others.

# in_root COMMAND…: inside $root, without its services being started and with nothing of the caller's environment.
in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

# on LOWER UPPER COMMAND…: runs the command with $root being UPPER on top of LOWER (folders with colons between). The
# mount ends with the command.
on() {
    lower=$1 upper=$2
    shift 2
    mkdir -p "$upper" "$upper.work" "$upper.root"
    unshare --mount --propagation private sh -euc '
        lower=$1 upper=$2
        shift 2
        mount -t overlay layer -o "lowerdir=$lower,upperdir=$upper,workdir=$upper.work" "$upper.root"
        mount -t proc proc "$upper.root/proc"
        "$@"
    ' layer "$lower" "$upper" "$@"
    rm -rf "$upper.work" "$upper.root"
}
