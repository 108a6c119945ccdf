#!/bin/sh
# database-ready.sh HOSTS ROOT: the first version of every package, on top of Debian with a database.
set -eu
. "$(dirname "$0")/layer.sh"

fill() {
    # Services start when a host boots, not now.
    sed -i 's/0/101/' "$root/usr/sbin/policy-rc.d"
    mkdir "$root/first"
    cp "$hosts"/packages/deb/*_1.0-1_*.deb "$root/first"
    in_root sh -c 'dpkg --install /first/*.deb'
    rm -r "$root/first"
    sed -i 's/101/0/' "$root/usr/sbin/policy-rc.d"
    # Its administrator has changed it.
    echo 'changed = here' >>"$root/etc/runbook-conf.conf"
    : >"$root/var/log/dpkg.log"
    for suite in stable stable-security; do
        echo "deb [trusted=yes] file:///srv/repository/apt/$suite ./"
    done >"$root/etc/apt/sources.list"
}
layer "$1" "$2" database debian
