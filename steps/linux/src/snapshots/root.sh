# What a snapshot of the root brings back, and what it does not: the kernel in a /boot of its own.
file_system() { stat -L -c %d -- "$1" 2>/dev/null; }
# Whether the boot takes a subvolume by its name, not the default one.
by_name() { grep -Eqs '(^|[ ,=])subvol(id)?=' /proc/cmdline || awk -v at="$path" '$2 == at && $4 ~ /subvol(id)?=/ { found = 1 } END { exit !found }' /etc/fstab 2>/dev/null; }
is_root() { [ "$path" = / ]; }
boot_apart() { [ -d /boot ] && [ "$(file_system /boot)" != "$(file_system /)" ]; }
# A root without its programs or without the list of its packages is half a root.
whole() {
    is_root || return 0
    for each in /usr /var/lib/dpkg /var/lib/rpm /usr/lib/sysimage/rpm; do
        [ ! -d "$each" ] || [ "$(file_system "$each")" = "$(file_system /)" ] ||
            fail refused "$each is no part of the root's file system: a snapshot of the root would bring back one without the other"
    done
    boot_apart || return 0
    has grubby || has update-grub || has grub2-mkconfig ||
        fail refused '/boot is no part of the root, and nothing is there that could make the former kernel the default: grubby, update-grub, grub2-mkconfig'
}
# The kernel that the root had, and those that /boot had, where it stays as it is.
tell_kernel() {
    is_root && boot_apart || return 0
    tell kernel "$(uname -r)"
    for each in /boot/vmlinu[xz]-* /boot/[Ii]mage-*; do [ ! -f "$each" ] || tell boot "$each"; done
}
image_of() {
    for each in "/boot/vmlinuz-$1" "/boot/vmlinux-$1" "/boot/Image-$1" "/boot/image-$1"; do
        [ ! -f "$each" ] || { printf %s "$each"; return 0; }
    done
    return 1
}
# Before anything is done: what the root would be started with is there.
startable() {
    [ -n "$kernel" ] && boot_apart || return 0
    image_of "$kernel" >/dev/null || fail refused "/boot, which is no part of the snapshot, has the kernel $kernel no more, and the snapshot has the modules of no other"
}
# The next boots take the kernel whose modules the root has. Without grubby what came since goes out of the boot loader's
# sight, for it takes the newest.
start_former() {
    [ -n "$kernel" ] && boot_apart || return 0
    if has grubby; then
        run grubby --set-default "$(image_of "$kernel")" >&2 || because "the kernel $kernel could not be made the default"
        return 0
    fi
    for each in /boot/vmlinu[xz]-* /boot/[Ii]mage-*; do
        [ -f "$each" ] && ! printf '%s\n' "$boot" | grep -qxF -- "$each" || continue
        mkdir -p "/boot/runbook-$short" && mv -- "$each" "/boot/runbook-$short/" || fail failed "$each could not be put aside"
        tell former "/boot/runbook-$short/${each##*/}"
    done
    if has update-grub; then run update-grub >&2; else run grub2-mkconfig -o /boot/grub2/grub.cfg >&2; fi ||
        because 'the boot loader could not be told of the former kernel'
}
