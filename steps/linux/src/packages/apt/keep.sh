
# $packages: a line for each: name, architecture, version, and what its file is called. $folder is there and empty.
set -f
coming=$folder/.coming
mkdir -p "$coming" || exit 1
eval "$(apt-config shell archives Dir::Cache::archives/d)"
# It is what it is called, and it is whole.
sound() {
    [ -f "$1" ] || return 1
    [ "$(dpkg-deb -f "$1" Package 2>/dev/null) $(dpkg-deb -f "$1" Architecture 2>/dev/null) $(dpkg-deb -f "$1" Version 2>/dev/null)" = "$2 $3 $4" ] &&
        dpkg-deb --fsys-tarfile "$1" >/dev/null 2>&1
}
missing() {
    printf '%s\n' "$packages" | while read -r name arch version file; do
        [ -z "$name" ] || [ -f "$folder/$file" ] || echo "$name $arch $version $file"
    done
}
# What has come, under its own name.
take() {
    missing | while read -r name arch version file; do
        for come in "$coming/$file" "$coming/${name}_${version#*:}_$arch.deb"; do
            if sound "$come" "$name" "$arch" "$version"; then
                mv -f "$come" "$folder/$file" && break
            fi
        done
    done
}
fetch() { (cd "$coming" && apt-get -q -o APT::Color=0 -o APT::Sandbox::User=root download "$@" </dev/null >&2); }
asked() {
    missing | while read -r name arch version _; do
        case $arch in all) echo "$name=$version" ;; *) echo "$name:$arch=$version" ;; esac
    done
}

# The cache has it, or an earlier backup: after a way back there may be no other.
missing | while read -r name arch version file; do
    for lies in "${archives:-/var/cache/apt/archives/}$file" $(find "${folder%/*}" -mindepth 2 -maxdepth 2 -name "$file"); do
        if sound "$lies" "$name" "$arch" "$version"; then
            cp -p "$lies" "$coming/$file" && break
        fi
    done
done
take
if [ -n "$(missing)" ]; then
    # shellcheck disable=SC2046
    fetch $(asked) 2>"$coming/words"
    take
    # One that is not to be had any more keeps all of them from coming.
    for one in $(asked); do fetch "$one"; done
    take
fi
if has dpkg-repack; then
    for one in $(asked); do
        (cd "$coming" && dpkg-repack "${one%%=*}" </dev/null >&2)
    done
    take
fi
# apt says nothing where it could not copy for want of room.
[ -z "$(missing)" ] || head -c 16777216 /dev/zero >"$coming/room"
rm -rf "$coming"
sync
section kept
printf '%s\n' "$packages" | while read -r name arch version file; do
    [ -z "$name" ] || [ ! -f "$folder/$file" ] ||
        printf '%s\t%s\t%s\t%s\n' "$name" "$arch" "$version" "$(($(wc -c <"$folder/$file")))"
done
section missing
missing | while read -r name arch version _; do printf '%s\t%s\t%s\n' "$name" "$arch" "$version"; done
section end
[ -z "$(missing)" ]
