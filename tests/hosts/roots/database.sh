#!/bin/sh
# database.sh HOSTS ROOT: Debian with PostgreSQL and restic.
set -eu
. "$(dirname "$0")/layer.sh"

fill() {
    add_debian postgresql restic
    # Whoever needs it starts it: other tests boot faster.
    rm -f "$root"/etc/rc?.d/*postgresql
}
layer "$1" "$2" debian
