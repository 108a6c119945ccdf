# deb FOLDER NAME VERSION [FIELD...]: a package with a version file, and a configuration file that says the version. What
# $POSTINST and $PREINST hold are its scripts, $SIZE the size of a file in it; with $BOOT it has the kernel that runs.
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
    if [ -n "${PREINST:-}" ]; then
        printf '#!/bin/sh\n%s\n' "$PREINST" >"$tree/DEBIAN/preinst"
        chmod 755 "$tree/DEBIAN/preinst"
    fi
    [ -z "${SIZE:-}" ] || head -c "$SIZE" /dev/urandom >"$tree/usr/share/$name/data"
    [ -z "${BOOT:-}" ] || { mkdir "$tree/boot"; : >"$tree/boot/vmlinuz-$(uname -r)"; }
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
# rpm_ NAME VERSION-RELEASE [SPEC LINE...]: an rpm in the repository; $SPEC is appended to its spec file. A version with an
# epoch is `1:1.0-1`. With $BOOT it has the kernel that runs, with $FILES its
# files have this name instead of the package's.
rpm_() {
    top=$(mktemp -d)
    name=$1 evr=$2
    shift 2
    case $evr in *:*) epoch=${evr%%:*} evr=${evr#*:} ;; *) epoch=0 ;; esac
    version=${evr%-*} files=${FILES:-$name}
    {
        printf 'Name: %s\nEpoch: %s\nVersion: %s\nRelease: %s\n' "$name" "$epoch" "$version" "${evr#*-}"
        printf 'Summary: test\nLicense: MIT\nAutoReqProv: no\n'
        [ $# -eq 0 ] || printf '%s\n' "$@"
        printf '%%description\ntest\n%%install\nmkdir -p %%{buildroot}/usr/share/%s %%{buildroot}/etc\n' "$files"
        printf 'echo %s >%%{buildroot}/usr/share/%s/version\necho version=%s >%%{buildroot}/etc/%s.conf\n' "$version" "$files" "$version" "$files"
        [ -z "${SIZE:-}" ] || printf 'head -c %s /dev/urandom >%%{buildroot}/usr/share/%s/data\n' "$SIZE" "$files"
        [ -z "${BOOT:-}" ] || printf 'mkdir %%{buildroot}/boot; touch %%{buildroot}/boot/vmlinuz-%s\n' "$(uname -r)"
        [ -z "${SPEC:-}" ] || printf '%s\n' "$SPEC"
        printf '%%files\n/usr/share/%s\n%%config(noreplace) /etc/%s.conf\n' "$files" "$files"
        [ -z "${BOOT:-}" ] || echo '/boot/vmlinuz-*'
    } >"$top/one.spec"
    rpmbuild -bb --quiet --define "_topdir $top" --define "_rpmdir /srv/rpm" \
        --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' --define '_build_id_links none' \
        --define 'debug_package %{nil}' --define '__os_install_post %{nil}' --define '_binary_payload w0.gzdio' \
        --dbpath "$top/db" "$top/one.spec"
    rm -r "$top"
}
# advisory ID TYPE SEVERITY NAME VERSION-RELEASE: goes into the next publish_rpm.
advisory() {
    epoch=0 evr=$5
    case $evr in *:*) epoch=${evr%%:*} evr=${evr#*:} ;; esac
    cat >>/tmp/advisories <<END
<update from="sec@example.com" status="stable" type="$2" version="1"><id>$1</id><title>$1</title>
<issued date="2026-01-02 03:04:05"/><severity>$3</severity><description>Says: much
Update ID: nothing</description><pkglist><collection short="base"><name>base</name>
<package name="$4" version="${evr%-*}" release="${evr#*-}" epoch="$epoch" arch="x86_64" src="$4.src.rpm">
<filename>$4-$evr.x86_64.rpm</filename></package></collection></pkglist></update>
END
}
publish_rpm() {
    round=$(($(cat /tmp/round 2>/dev/null || echo 0) + 1))
    echo "$round" >/tmp/round
    createrepo_c -q --revision "$round" --set-timestamp-to-revision /srv/rpm
    if [ -e /tmp/advisories ]; then
        { echo '<?xml version="1.0" encoding="UTF-8"?><updates>'; cat /tmp/advisories; echo '</updates>'; } >/tmp/updateinfo.xml
        modifyrepo_c --mdtype=updateinfo /tmp/updateinfo.xml /srv/rpm/repodata >/dev/null
    fi
}
