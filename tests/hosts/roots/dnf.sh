#!/bin/sh
# dnf.sh HOSTS ROOT: what a host of the RHEL family shows, made of Debian's dnf 4 and rpm.
set -eu
. "$(dirname "$0")/layer.sh"

fill() {
    add_debian dnf dnf-plugins-core rpm
    not_debian
    # Its vendor ships this plugin in a package of its own.
    rm -f "$root/usr/lib/python3/dist-packages/dnf-plugins/local.py" "$root/etc/dnf/plugins/local.conf"
    # A package that stands for the kernel.
    sed -i "s/^NEED_REBOOT = \['kernel'/&, 'runbook-secure'/" "$root/usr/lib/python3/dist-packages/dnf-plugins/needs_restarting.py"
    grep -q "'runbook-secure'" "$root/usr/lib/python3/dist-packages/dnf-plugins/needs_restarting.py"
    cat >"$root/etc/os-release" <<END
NAME="Rocky Linux"
VERSION="9.4 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
PRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"
END
    echo 'Rocky Linux release 9.4 (Blue Onyx)' >"$root/etc/redhat-release"
    mkdir -p "$root/etc/dnf" "$root/etc/yum.repos.d"
    cat >"$root/etc/dnf/dnf.conf" <<END
[main]
gpgcheck=0
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
END
    cat >"$root/etc/yum.repos.d/demo.repo" <<END
[demo]
name=Demo
baseurl=file:///srv/repository/rpm
enabled=1
gpgcheck=0
END
    ln -sf dnf "$root/usr/bin/yum"
    system rocky-release 9.4
}
layer "$1" "$2" debian
