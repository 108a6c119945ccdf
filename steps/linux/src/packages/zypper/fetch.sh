
fetch() {
    ask download "$@"
    # It has its own place for them.
    for lies in $(caches); do
        case " $(missing | while read -r _ _ _ _ file; do printf '%s ' "$file"; done)" in
        *" ${lies##*/} "*) cp -p "$lies" "$coming/${lies##*/}" ;;
        esac
    done
}
caches() { find /var/cache/zypp/packages -name '*.rpm' 2>/dev/null; }
