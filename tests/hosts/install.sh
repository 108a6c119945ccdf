#!/bin/sh
# Installs what the test hosts are made with, builds their packages and their root folders below the target folder, and
# prints that folder. What is there already and made by these very scripts stays. Several tests may call it at once.
#
# RUNBOOK_DEBIAN_MIRROR names another mirror than deb.debian.org.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
mkdir -p "$target/hosts"
hosts=$(cd "$target/hosts" && pwd)

fail() { echo "test hosts: $1" >&2; exit 1; }

[ "$(id -u)" = 0 ] || fail "they are made of name spaces and mounts, for which one must be root"

# What each made thing depends on.
sum() { find "$@" -type f | sort | xargs -d '\n' cat | sha256sum | cut -c1-64; }
packages=$(sum "$here/packages")
debian=$(sum "$here/roots/debian.sh")
layer=$(sum "$here/roots/layer.sh")
all=$(sum "$here/install.sh" "$here/packages" "$here/roots")
[ "$(cat "$hosts/made" 2>/dev/null)" != "$all" ] || { echo "$hosts"; exit 0; }

exec 9>"$hosts/lock"
flock 9
[ "$(cat "$hosts/made" 2>/dev/null)" != "$all" ] || { echo "$hosts"; exit 0; }

# Programs, each with its Debian package. The last line is for the faults on our own machine (tests/it/own_machine).
missing=
for pair in sshd:openssh-server ssh:openssh-client debootstrap:debootstrap ip:iproute2 apt-ftparchive:apt-utils \
    dpkg-deb:dpkg rpmbuild:rpm createrepo_c:createrepo-c unshare:util-linux setpriv:util-linux perl:perl-base \
    restic:restic btrfs:btrfs-progs snapper:snapper dnf:dnf zypper:zypper \
    strace:strace faketime:faketime mkfs.ext4:e2fsprogs; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || fail "please install$missing (there is no apt-get here)"
    apt-get update -q >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing >&2
fi
unshare --mount true 2>/dev/null || fail "this machine does not let us make mount name spaces (a container needs --privileged)"

# The packages of the demo service, as deb and as rpm.
if [ "$(cat "$hosts/packages/made" 2>/dev/null)" != "$packages" ]; then
    rm -rf "$hosts/packages"
    "$here/packages/build.sh" "$hosts/packages" >&2
    echo "$packages" >"$hosts/packages/made"
fi

# root NAME SUM: makes roots/NAME with roots/NAME.sh unless it is there.
root() {
    [ "$(cat "$hosts/roots/$1.made" 2>/dev/null)" != "$2" ] || return 0
    # Mirrors have bad moments: a second try, and then what it said last.
    for try in 1 2; do
        rm -rf "$hosts/roots/$1" "$hosts/roots/$1".*
        mkdir -p "$hosts/roots/$1.new"
        if "$here/roots/$1.sh" "$hosts" "$hosts/roots/$1.new" >"$hosts/$1.log" 2>&1; then break; fi
        [ "$try" = 1 ] || fail "roots/$1.sh failed, see $hosts/$1.log: $(tail -n 1 "$hosts/$1.log")"
    done
    mv "$hosts/roots/$1.new" "$hosts/roots/$1"
    echo "$2" >"$hosts/roots/$1.made"
}
root debian "$debian"
for family in database dnf zypper; do
    root $family "$(sum "$here/roots/$family.sh") $layer $debian"
done
for family in debian database dnf zypper; do
    root $family-ready "$(sum "$here/roots/$family.sh" "$here/roots/$family-ready.sh") $layer $debian $packages"
done

# A new file, not the old one's text: a target folder may have been copied by links.
echo "$all" >"$hosts/made.new"
mv "$hosts/made.new" "$hosts/made"
echo "$hosts"
