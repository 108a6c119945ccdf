#!/bin/sh
# Installs valgrind, which counts instructions, where it is not there yet. Several tests may call it at once.
set -eu

command -v valgrind >/dev/null && exit 0
command -v apt-get >/dev/null || { echo "bench: please install valgrind (there is no apt-get here)" >&2; exit 1; }
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -q >&2
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -qy --no-install-recommends valgrind >&2
