#!/bin/sh
# build.sh OUT: every package in every version, as OUT/deb/NAME_VERSION_ARCH.deb and OUT/rpm/NAME-VERSION.ARCH.rpm.
#
# A folder beside this file is a package: `about` (shell variables: SUMMARY, ARCH, NEEDS, CONF, VERSIONS; PROVIDES for rpm), `root/` (its
# files; @VERSION@ stands for the version), and scripts that run on the host for both families: `before` and `after` it is unpacked,
# `gone` before it is removed. UPGRADE is `yes` in them when another version was there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/deb" "$1/rpm"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=1700000000

# script FILE CONDITION: a maintainer script that knows whether it upgrades.
script() { printf '#!/bin/sh\nset -e\nUPGRADE=no\nif %s; then UPGRADE=yes; fi\n' "$2"; cat "$1"; }

deb() {
    tree=$work/deb
    rm -rf "$tree"
    cp -r "$files" "$tree"
    mkdir "$tree/DEBIAN"
    arch=$ARCH
    [ "$arch" = all ] || arch=$(dpkg --print-architecture)
    cat >"$tree/DEBIAN/control" <<END
Package: $name
Version: $version
Architecture: $arch
Maintainer: Runbook <nobody@example.com>
Section: misc
Priority: optional
Description: $SUMMARY
END
    [ -z "$NEEDS" ] || echo "Depends: $NEEDS (= $version)" >>"$tree/DEBIAN/control"
    [ -z "$CONF" ] || echo "$CONF" >"$tree/DEBIAN/conffiles"
    [ ! -e "$here/$name/before" ] || script "$here/$name/before" '[ "$1" = upgrade ]' >"$tree/DEBIAN/preinst"
    [ ! -e "$here/$name/after" ] || script "$here/$name/after" '[ "$1" = configure ] && [ -n "$2" ]' >"$tree/DEBIAN/postinst"
    [ ! -e "$here/$name/gone" ] || { echo '#!/bin/sh'; echo '[ "$1" = remove ] || exit 0'; cat "$here/$name/gone"; } >"$tree/DEBIAN/prerm"
    chmod -f 755 "$tree"/DEBIAN/preinst "$tree"/DEBIAN/postinst "$tree"/DEBIAN/prerm || true
    dpkg-deb --root-owner-group -Znone --build "$tree" "$out/deb/${name}_${version}_$arch.deb" >/dev/null
}

rpm() {
    spec=$work/$name.spec
    arch=$ARCH
    [ "$arch" = all ] && arch=noarch || arch=$(uname -m)
    {
        echo "Name: $name"
        echo "Version: ${version%-*}"
        echo "Release: ${version#*-}"
        echo "Summary: $SUMMARY"
        echo "License: MIT"
        echo "AutoReqProv: no"
        [ "$arch" != noarch ] || echo "BuildArch: noarch"
        [ -z "$NEEDS" ] || echo "Requires: $NEEDS = $version"
        [ -z "$PROVIDES" ] || echo "Provides: $PROVIDES"
        echo "%description"
        echo "$SUMMARY"
        echo "%install"
        echo "cp -r $files/. %{buildroot}"
        [ ! -e "$here/$name/before" ] || { echo "%pre"; script "$here/$name/before" '[ "$1" -gt 1 ]' | tail -n +2; }
        [ ! -e "$here/$name/after" ] || { echo "%post"; script "$here/$name/after" '[ "$1" -gt 1 ]' | tail -n +2; }
        [ ! -e "$here/$name/gone" ] || { echo "%preun"; echo '[ "$1" = 0 ] || exit 0'; cat "$here/$name/gone"; }
        echo "%files"
        (cd "$files" && find . -type f | cut -c2-) | while read -r file; do
            case $CONF in "$file") echo "%config(noreplace) $file" ;; *) echo "$file" ;; esac
        done
    } >"$spec"
    rpmbuild -bb --quiet --define "_topdir $work/top" --define "_rpmdir $out/rpm" --define '_build_name_fmt %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' \
        --define '_build_id_links none' --define 'debug_package %{nil}' --define '__os_install_post %{nil}' --define 'dist %{nil}' \
        --define '_buildhost localhost' --define '_source_payload w0.gzdio' --define '_binary_payload w0.gzdio' --dbpath "$work/db" "$spec"
}

for about in "$here"/*/about; do
    name=$(basename "$(dirname "$about")")
    NEEDS= CONF= PROVIDES= ARCH=all VERSIONS='1.0-1 1.1-1'
    . "$about"
    for version in $VERSIONS; do
        files=$work/files
        rm -rf "$files"
        cp -r "$here/$name/root" "$files"
        find "$files" -type f -exec sed -i "s/@VERSION@/$version/g" {} +
        deb
        rpm
    done
done
