#!/bin/sh
# zypper.sh HOSTS ROOT: what a host of the SLES family shows, made of Debian's zypper and rpm.
set -eu
. "$(dirname "$0")/layer.sh"

fill() {
    add_debian zypper rpm
    not_debian
    # As libzypp calls it, Debian's rpm would warn each time that this is not the way to install on Debian.
    echo 'rpm alias --percent --percent --force-debian' >"$root/etc/popt"
    cat >"$root/etc/os-release" <<END
NAME="SLES"
VERSION="15-SP6"
VERSION_ID="15.6"
PRETTY_NAME="SUSE Linux Enterprise Server 15 SP6"
ID="sles"
ID_LIKE="suse"
CPE_NAME="cpe:/o:suse:sles:15:sp6"
END
    mkdir -p "$root/etc/zypp/repos.d"
    cat >"$root/etc/zypp/repos.d/demo.repo" <<END
[demo]
name=Demo
enabled=1
autorefresh=1
baseurl=dir:///srv/repository/rpm
type=rpm-md
gpgcheck=0
END
    system sles-release 15.6
}
layer "$1" "$2" debian
