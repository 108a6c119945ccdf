
# $packages: a line for each: what the manager is asked for, name, architecture, version, and what its file is called.
# $folder is there and empty. fetch() gets some into $coming; caches() prints files that lie about.
coming=$folder/.coming
mkdir -p "$coming" || exit 1
tab=$(printf '\t')
# It is what it is called, and it is whole.
sound() {
    [ -f "$1" ] || return 1
    is=$(rpm -qp --nosignature --qf '%{NAME} %{ARCH} %{EPOCH}:%{VERSION}-%{RELEASE}\n' "$1" 2>/dev/null | sed 's/ (none):/ /; s/ 0:/ /')
    [ "$is" = "$2 $3 $4" ] && rpm -K --nosignature "$1" >/dev/null 2>&1
}
missing() {
    printf '%s\n' "$packages" | while read -r ask name arch version file; do
        [ -z "$ask" ] || [ -f "$folder/$file" ] || echo "$ask $name $arch $version $file"
    done
}
# What has come, under its own name.
take() {
    missing | while read -r _ name arch version file; do
        if sound "$coming/$file" "$name" "$arch" "$version"; then
            mv -f "$coming/$file" "$folder/$file"
        fi
    done
}
asked() { missing | while read -r ask _; do echo "$ask"; done; }

# The cache has it, or an earlier backup: after a way back there may be no other.
cached=$(caches; find "${folder%/*}" -mindepth 2 -maxdepth 2 -name '*.rpm')
missing | while read -r _ name arch version file; do
    printf '%s\n' "$cached" | grep -F -e "/$file" | while read -r lies; do
        [ "${lies##*/}" != "$file" ] || ! sound "$lies" "$name" "$arch" "$version" || cp -p "$lies" "$coming/$file"
    done
done
take
set -f
if [ -n "$(missing)" ]; then
    # shellcheck disable=SC2046
    fetch $(asked) >/dev/null 2>&1 </dev/null
    take
    # One that is not to be had any more may keep all of them from coming.
    for one in $(asked); do
        fetch "$one" </dev/null >&2
    done
    take
fi
[ -z "$(missing)" ] || head -c 16777216 /dev/zero >"$coming/room"
rm -rf "$coming"
sync
section kept
printf '%s\n' "$packages" | while read -r ask name arch version file; do
    [ -z "$ask" ] || [ ! -f "$folder/$file" ] ||
        printf '%s\t%s\t%s\t%s\n' "$name" "$arch" "$version" "$(($(wc -c <"$folder/$file")))"
done
section missing
missing | while read -r _ name arch version _; do printf '%s\t%s\t%s\n' "$name" "$arch" "$version"; done
section end
[ -z "$(missing)" ]
