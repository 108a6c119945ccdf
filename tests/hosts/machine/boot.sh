#!/bin/sh
# boot.sh FOLDER: the first process of a host's own process name space, before it has its own root folder.
set -eu

folder=$1
root=$folder/root
machine=$(cd "$(dirname "$0")" && pwd)
# /proc is still the one outside: this is how others find us.
read -r init rest </proc/self/stat

mount -t proc proc "$root/proc"
mount --bind "$folder/guest/boot_id" "$root/proc/sys/kernel/random/boot_id"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root/run/sshd" "$root/run/user"
mkdir -p -m 1777 "$root/run/lock"
mount -t tmpfs -o mode=755 dev "$root/dev"
cd "$root/dev"
mkdir pts shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts pts
mount -t tmpfs -o mode=1777 shm shm
mknod -m 666 null c 1 3
mknod -m 666 zero c 1 5
mknod -m 666 full c 1 7
mknod -m 666 random c 1 8
mknod -m 666 urandom c 1 9
mknod -m 666 tty c 5 0
ln -s pts/ptmx ptmx
ln -s /proc/self/fd fd
ln -s fd/0 stdin
ln -s fd/1 stdout
ln -s fd/2 stderr
mount --bind "$folder/guest" "$root/rig"
mount -o bind,ro "$machine/guest" "$root/rig/bin"
mount -o bind,ro "$REPOSITORY" "$root/srv/repository"

echo "$init" >"$folder/init.new"
cd "$root"
pivot_root . mnt
mv "/mnt$folder/init.new" "/mnt$folder/init"
exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /rig/bin/init </dev/null
