#!/bin/sh
# debian.sh HOSTS ROOT: a small Debian with sshd, sudo and what Ansible asks for. All families stand on it.
set -eu
root=$2
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot "$root" "$@"; }

# What was downloaded once is kept, for when this script changes.
mkdir -p "$1/debs"
debootstrap --variant=minbase --cache-dir="$1/debs" \
    --include=openssh-server,sudo,iproute2,procps,python3-minimal,python3-apt,needrestart \
    bookworm "$root" "${RUNBOOK_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/man/* \
    "$root"/usr/share/locale/* "$root"/etc/ssh/ssh_host_*
mkdir -p "$root/var/lib/apt/lists/partial" "$root/rig" "$root/srv/repository"
# Each host has its own network configuration: the hardware clock and the kernel settings are the machine's.
rm -f "$root"/etc/rc?.d/*hwclock* "$root"/etc/rc?.d/*procps* "$root"/etc/rc?.d/*ssh

# There is no init of a distribution: these ask the rig.
for program in reboot shutdown poweroff halt; do
    ln -s "/rig/bin/$program" "$root/usr/sbin/$program"
done
ln -s /rig/bin/runlevel "$root/usr/sbin/runlevel"
ln -s /rig/bin/systemctl "$root/usr/bin/systemctl"
# Without an init and without this file invoke-rc.d would start nothing at all.
printf '#!/bin/sh\nexit 0\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"

# ops may do anything without being asked, asker is asked for a password, guest may do nothing.
in_root useradd --create-home --shell /bin/bash --password '*' ops
in_root useradd --create-home --shell /bin/bash asker
in_root useradd --create-home --shell /bin/bash --password '*' guest
echo 'asker:open sesame' | in_root chpasswd
echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/ops"
echo 'asker ALL=(ALL:ALL) ALL' >"$root/etc/sudoers.d/asker"
chmod 440 "$root"/etc/sudoers.d/*

cat >"$root/etc/ssh/sshd_config" <<END
Include /rig/sshd_config
AuthorizedKeysFile /rig/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
UsePAM no
PrintMotd no
PrintLastLog no
PidFile /run/sshd.pid
Subsystem sftp /usr/lib/openssh/sftp-server
END
