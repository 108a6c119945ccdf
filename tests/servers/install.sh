#!/bin/sh
# Installs the servers that the tests run against into a virtual environment under the target folder, and prints its
# path. Does nothing when it is there already. Several tests may call it at once.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
mkdir -p "$target/servers"
venv=$(cd "$target/servers" && pwd)/venv
stamp=$venv/installed

if ! cmp -s "$here/requirements.txt" "$stamp"; then
    exec 9>"$target/servers/lock"
    flock 9
fi
if ! cmp -s "$here/requirements.txt" "$stamp"; then
    rm -rf "$venv"
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -q >&2
        $sudo apt-get install -qy --no-install-recommends python3 python3-venv >&2
    fi
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$stamp"
fi
echo "$venv"
