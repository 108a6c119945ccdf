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
        mount -t overlay layer -o "lowerdir=$lower,upperdir=$upper,workdir=$upper.work" "$upper.root" 2>/dev/null || {
            echo "no overlay can stand on the file system of $upper: choose another CARGO_TARGET_DIR" >&2
            exit 1
        }
        mount -t proc proc "$upper.root/proc"
        "$@"
    ' layer "$lower" "$upper" "$@"
    rm -rf "$upper.work" "$upper.root"
}

# add_debian PACKAGE…: installs Debian packages into $root; what was downloaded once is kept in $hosts/debs.
add_debian() {
    mkdir -p "$hosts/debs" "$root/debs"
    mount --bind "$hosts/debs" "$root/debs"
    for file in resolv.conf hosts; do
        [ ! -e "/etc/$file" ] || cp --remove-destination "/etc/$file" "$root/etc/"
    done
    [ ! -d /etc/apt/apt.conf.d ] || grep -h Proxy /etc/apt/apt.conf.d/* >"$root/etc/apt/apt.conf.d/proxy" 2>/dev/null || true
    echo "deb ${RUNBOOK_DEBIAN_MIRROR:-http://deb.debian.org/debian} bookworm main" >"$root/etc/apt/sources.list"
    sed -i 's/0/101/' "$root/usr/sbin/policy-rc.d"
    in_root apt-get update -q
    in_root apt-get install -qy --no-install-recommends -o Dir::Cache::archives=/debs -o APT::Sandbox::User=root "$@"
    sed -i 's/101/0/' "$root/usr/sbin/policy-rc.d"
    umount "$root/debs"
    rm -rf "$root/debs" "$root/etc/apt/apt.conf.d/proxy" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin \
        "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
}

# not_debian: takes away what would tell that this root is made of Debian, its package database too.
not_debian() {
    rm -rf "$root"/usr/bin/apt "$root"/usr/bin/apt-* "$root"/usr/bin/dpkg "$root"/usr/bin/dpkg-* "$root"/usr/sbin/needrestart \
        "$root"/var/lib/dpkg "$root"/var/lib/apt "$root"/var/cache/apt "$root"/var/log/apt "$root"/var/log/dpkg.log \
        "$root"/etc/apt "$root"/etc/debian_version "$root"/etc/needrestart "$root"/usr/lib/needrestart
    mkdir -p "$root/etc/rpm" "$root/var/lib/rpm"
    # Debian's rpm keeps its database in the home folder of whoever calls it.
    echo '%_dbpath /var/lib/rpm' >"$root/etc/rpm/macros"
    rm -f "$root/etc/os-release"
}

# system NAME VERSION: a package that stands for the whole system underneath, in the rpm database.
system() {
    cat >"$root/system.spec" <<END
Name: $1
Version: $2
Release: 1
Summary: what the vendor calls this system, and all that it brings
License: MIT
BuildArch: noarch
AutoReqProv: no
Provides: system-release = $2, system-release(releasever) = ${2%%.*}, distribution-release = $2
Provides: /bin/sh, /usr/bin/perl, /usr/bin/python3
%description
.
%files
END
    rpmbuild -bb --quiet --define "_topdir $root/system" --define '_rpmdir %{_topdir}' --define '_build_name_fmt system.rpm' \
        --define '_binary_payload w0.gzdio' --dbpath "$root/system/db" "$root/system.spec"
    in_root rpm --initdb
    in_root rpm --install --nodeps /system/system.rpm
    rm -r "$root/system" "$root/system.spec"
}

# first_packages: the first version of every rpm package, as its administrator found it and then changed it.
first_packages() {
    sed -i 's/0/101/' "$root/usr/sbin/policy-rc.d"
    mkdir "$root/first"
    cp "$hosts"/packages/rpm/*-1.0-1.*.rpm "$root/first"
    in_root sh -c 'rpm --install /first/*.rpm'
    rm -r "$root/first"
    sed -i 's/101/0/' "$root/usr/sbin/policy-rc.d"
    echo 'changed = here' >>"$root/etc/runbook-conf.conf"
}

# layer HOSTS ROOT LOWER…: calls `fill` with $hosts and with $root being ROOT on top of the roots LOWER, the upper one first.
layer() {
    hosts=$1 root=$2
    if [ "${FILL:-}" ]; then
        fill
        return
    fi
    shift 2
    lower=
    for name; do lower=$lower${lower:+:}$hosts/roots/$name; done
    FILL=1 on "$lower" "$root" "$0" "$hosts" "$root.root"
}
