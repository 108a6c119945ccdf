# deb FOLDER NAME VERSION [FIELD...]: a package with a version file, and a configuration file that says the version. What
# $POSTINST holds is its script, $SIZE the size of a file in it.
deb() {
    tree=$(mktemp -d)
    folder=$1 name=$2 version=$3
    shift 3
    mkdir -p "$tree/DEBIAN" "$tree/usr/share/$name" "$tree/etc"
    echo "$version" >"$tree/usr/share/$name/version"
    echo "version=$version" >"$tree/etc/$name.conf"
    echo "/etc/$name.conf" >"$tree/DEBIAN/conffiles"
    {
        printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Test <t@example.com>\nDescription: test\n' "$name" "$version"
        [ $# -eq 0 ] || printf '%s\n' "$@"
    } >"$tree/DEBIAN/control"
    if [ -n "${POSTINST:-}" ]; then
        printf '#!/bin/sh\n%s\n' "$POSTINST" >"$tree/DEBIAN/postinst"
        chmod 755 "$tree/DEBIAN/postinst"
    fi
    [ -z "${SIZE:-}" ] || head -c "$SIZE" /dev/urandom >"$tree/usr/share/$name/data"
    dpkg-deb --root-owner-group -Znone -b "$tree" "$folder" >/dev/null
    rm -r "$tree"
    # apt compares whole seconds.
    stamp=$((${stamp:-$(date +%s)} + 10))
}
# publish: both apt repositories, as they are now.
publish() {
    for suite in stable stable-security; do
        case $suite in
        *-security) folder=/srv/apt-security label=Debian-Security ;;
        *) folder=/srv/apt label=Debian ;;
        esac
        (
            cd "$folder"
            apt-ftparchive packages . >Packages
            rm -f Release
            apt-ftparchive -o APT::FTPArchive::Release::Origin=Debian -o "APT::FTPArchive::Release::Label=$label" \
                -o "APT::FTPArchive::Release::Suite=$suite" -o APT::FTPArchive::Release::Version=12 release . >/tmp/Release
            mv /tmp/Release Release
            round=$(($(cat /tmp/round 2>/dev/null || echo 0) + 1))
            echo "$round" >/tmp/round
            touch -d "@$((1700000000 + round * 10))" Packages Release
        )
    done
}
