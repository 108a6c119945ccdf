
fetch() {
    case $tool in
    dnf)
        # What is locked or excluded is listed as pending, too.
        over="--disableplugin=versionlock --disableexcludes=all"
        do_it -y reinstall --downloadonly --destdir="$coming" "$@"
        ;;
    dnf5) do_it -y download --destdir="$coming" "$@" ;;
    yum)
        if has yumdownloader; then yumdownloader --destdir="$coming" "$@"
        else do_it -y reinstall --downloadonly --downloaddir="$coming" "$@"
        fi
        ;;
    esac
}
caches() { find /var/cache/dnf /var/cache/libdnf5 /var/cache/yum /var/cache/PackageKit -name '*.rpm' 2>/dev/null; }
