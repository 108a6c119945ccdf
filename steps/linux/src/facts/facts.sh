
# ---- what it is
section os
cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null
section kernel
uname -r
section machine
uname -m
section boot
cat /proc/sys/kernel/random/boot_id 2>/dev/null

# ---- what installs packages: the family says which, where several are there
os_value() {
    { cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null; } |
        sed -n "s/^$1=//p" | tr -d "\"'" | head -n 1
}
dnf_kind() {
    if has dnf; then
        case $(within 20 dnf --version 2>/dev/null | head -n 1) in
        *dnf5*) echo dnf5 ;;
        *) echo dnf ;;
        esac
    elif has dnf5; then
        echo dnf5
    elif has yum; then
        echo yum
    fi
}
manager=
for id in $(os_value ID) $(os_value ID_LIKE); do
    case $id in
    debian | ubuntu) has apt-get && manager=apt ;;
    rhel | fedora | centos | rocky | almalinux | ol | amzn | openEuler | openmandriva) manager=$(dnf_kind) ;;
    suse | opensuse* | sles | sled | sle*) has zypper && manager=zypper ;;
    esac
    [ -z "$manager" ] || break
done
if [ -z "$manager" ]; then
    if has apt-get && has dpkg-query; then manager=apt
    elif has zypper; then manager=zypper
    else manager=$(dnf_kind)
    fi
fi
section manager
echo "$manager"

section arch
case $manager in
apt) dpkg --print-architecture 2>/dev/null ;;
*) uname -m ;;
esac

section transactional
root_options=$(while read -r _ point _ options _; do
    [ "$point" != / ] || last=$options
done </proc/mounts; echo "${last:-}")
case ,$root_options, in
*,ro,*) ! has transactional-update || echo yes ;;
esac
[ ! -e /run/ostree-booted ] || echo yes

systemd=
[ ! -d /run/systemd/system ] || systemd=yes
section systemd
echo "$systemd"

# ---- whether it must be rebooted
section reboot-file
if [ -e /var/run/reboot-required ]; then
    cat /var/run/reboot-required
    [ -s /var/run/reboot-required ] || echo "/var/run/reboot-required is there"
    section reboot-packages
    sort -u /var/run/reboot-required.pkgs 2>/dev/null
elif [ -e /var/run/reboot-needed ]; then
    echo "/var/run/reboot-needed is there"
fi
case $manager in
apt)
    if has needrestart; then
        section needrestart
        within 30 needrestart -b -k 2>/dev/null </dev/null
    fi
    if has linux-version; then
        section kernels
        linux-version list 2>/dev/null | linux-version sort 2>/dev/null
    fi
    ;;
dnf | yum | dnf5)
    section needs-restarting
    case $manager in
    dnf) within 60 dnf -q -C needs-restarting -r 2>/dev/null </dev/null ;;
    dnf5) within 60 dnf5 -q -C needs-restarting 2>/dev/null </dev/null ;;
    yum) ! has needs-restarting || within 60 needs-restarting -r 2>/dev/null </dev/null ;;
    esac
    section rpm-kernels
    rpm -q --qf '%{INSTALLTIME}\t%{VERSION}-%{RELEASE}.%{ARCH}\n' kernel-core kernel kernel-uek-core kernel-uek 2>/dev/null |
        grep '^[0-9]' | sort -n
    ;;
zypper)
    section needs-rebooting
    ZYPP_LOCK_TIMEOUT=20 within 60 zypper -n needs-rebooting 2>/dev/null </dev/null
    echo "exit $?"
    ;;
esac

case $manager in
dnf | dnf5 | yum | zypper)
    section running
    rpm -q --qf '%{NAME}\t%{ARCH}\t%{EPOCH}:%{VERSION}-%{RELEASE}\n' -f "/boot/vmlinuz-$(uname -r)" \
        "/lib/modules/$(uname -r)" "/lib/modules/$(uname -r)/vmlinuz" 2>/dev/null | grep '	.*	' | sort -u
    # What stands beside its former versions. What has no such package is told in a sentence.
    section several
    {
        rpm -q --qf '%{NAME}\n' --whatprovides 'installonlypkg(kernel)' 'installonlypkg(kernel-module)' 'multiversion(kernel)'
        rpm -q --qf '%{NAME}\n' kernel kernel-devel kernel-uek kernel-uek-devel
    } 2>/dev/null | grep -v ' ' | sort -u
    ;;
esac

section failed-units
if [ -n "$systemd" ]; then
    within 10 systemctl list-units --state=failed --no-legend --plain --no-pager 2>/dev/null
fi

section free
for point in / /var /boot; do
    within 10 df -P -k "$point" 2>/dev/null | tail -n 1
done

# ---- what is not to be changed
section holds
case $manager in
apt) within 30 apt-mark showhold 2>/dev/null ;;
dnf) grep -h -v -e '^#' -e '^!' /etc/dnf/plugins/versionlock.list 2>/dev/null ;;
yum) grep -h -v -e '^#' -e '^!' /etc/yum/pluginconf.d/versionlock.list 2>/dev/null ;;
dnf5) sed -n 's/^ *name *= *"\(.*\)".*/\1/p' /etc/dnf/versionlock.toml 2>/dev/null ;;
zypper) sed -n 's/^solvable_name: *//p' /etc/zypp/locks 2>/dev/null ;;
esac
case $manager in
dnf | dnf5) sed -n 's/^ *exclude\(pkgs\)\{0,1\} *= *//p' /etc/dnf/dnf.conf 2>/dev/null | tr ', ' '\n\n' ;;
yum) sed -n 's/^ *exclude *= *//p' /etc/yum.conf 2>/dev/null | tr ', ' '\n\n' ;;
esac

# ---- what installs packages by itself
active() { [ -n "$systemd" ] && within 5 systemctl is-active --quiet "$1" 2>/dev/null; }
# Names of processes, the first 15 letters, with their number.
processes() {
    for stat in /proc/[0-9]*/comm; do
        read -r comm 2>/dev/null <"$stat" || continue
        pid=${stat#/proc/}
        echo "$comm ${pid%/comm}"
    done
}
all_processes=$(processes)
runs() {
    case "
$all_processes" in
    *"
$1 "*) return 0 ;;
    esac
    return 1
}
section automatic
case $manager in
apt)
    eval "$(within 10 apt-config shell unattended APT::Periodic::Unattended-Upgrade enabled APT::Periodic::Enable 2>/dev/null)"
    if has unattended-upgrade && [ "${unattended:-0}" != 0 ] && [ "${enabled:-1}" != 0 ]; then
        if [ -n "$systemd" ]; then
            ! active apt-daily-upgrade.timer || echo unattended-upgrades
        else
            [ ! -x /etc/cron.daily/apt-compat ] || echo unattended-upgrades
        fi
    fi
    # The one that only waits for the shutdown installs nothing.
    echo "$all_processes" | while read -r comm pid; do
        [ "$comm" = unattended-upgr ] || continue
        case $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") in
        *unattended-upgrade-shutdown*) ;;
        *) echo unattended-upgrades ;;
        esac
    done
    ;;
dnf | dnf5)
    for timer in dnf-automatic dnf-automatic-install dnf5-automatic; do
        ! active "$timer.timer" || echo dnf-automatic
    done
    ! runs dnf-automatic || echo dnf-automatic
    ;;
yum)
    ! active yum-cron.service || echo yum-cron
    ! runs yum-cron || echo yum-cron
    ;;
zypper)
    for timer in transactional-update os-update; do
        ! active "$timer.timer" || echo "$timer"
    done
    [ ! -e /etc/cron.daily/opensuse.org-online_update ] || echo online-update
    ;;
esac
if active packagekit.service || runs packagekitd; then echo packagekit; fi

# ---- what an earlier transaction left half done
section broken
case $manager in
apt)
    # State letters of dpkg: half-configured, half-installed, unpacked, triggers awaited or pending; R: to be reinstalled.
    dpkg-query -W -f='${db:Status-Abbrev}\t${binary:Package}\n' 2>/dev/null | sed -n \
        -e 's/^.[FHUWt].*	//p' -e 's/^..R.*	//p'
    for file in /var/lib/dpkg/updates/[0-9]*; do
        [ ! -e "$file" ] || { echo dpkg; break; }
    done
    ;;
yum)
    for file in /var/lib/yum/transaction-all.*; do
        case $file in
        *.disabled | *'*') ;;
        *) sed -n 's/^[a-z]* [0-9]*:*//p' "$file" ;;
        esac
    done
    ;;
esac
case $manager in
dnf | dnf5 | yum | zypper)
    # Two versions of one package, where only kernels may have several: the old one was not taken away.
    rpm -qa --qf '%{NAME}.%{ARCH}\n' 2>/dev/null | sort | uniq -d | grep -v -e '^kernel' -e '^gpg-pubkey' -e '^kmod-' -e '-kmp-'
    ;;
esac

section last-patched
case $manager in
apt) find /var/lib/dpkg/info -name '*.list' -printf '%T@\n' 2>/dev/null | sort -n | tail -n 1 ;;
dnf | dnf5 | yum | zypper) rpm -qa --qf '%{INSTALLTIME}\n' 2>/dev/null | sort -n | tail -n 1 ;;
esac

# ---- ways back
section snapshots
[ ! -e /etc/snapper/configs/root ] || ! has snapper || echo snapper
root_type=$(df -P -T / 2>/dev/null | tail -n 1 | { read -r _ kind _; echo "${kind:-}"; })
[ "$root_type" != btrfs ] || ! has btrfs || echo btrfs
if has lvs && has findmnt; then
    device=$(findmnt -n -o SOURCE / 2>/dev/null)
    case $device in
    /dev/mapper/* | /dev/dm-* | /dev/*/*)
        if pool=$(within 10 lvs --noheadings -o pool_lv "$device" 2>/dev/null </dev/null); then
            if [ -n "$(echo "$pool" | tr -d ' ')" ]; then
                echo lvm-thin
            else
                free=$(within 10 lvs --noheadings --units b --nosuffix -o vg_free "$device" 2>/dev/null </dev/null | tr -d ' ')
                [ "${free:-0}" = 0 ] || echo lvm
            fi
        fi
        ;;
    esac
fi
! has restic || echo restic
section end
exit 0
