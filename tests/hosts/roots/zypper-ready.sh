#!/bin/sh
# zypper-ready.sh HOSTS ROOT: the first version of every package, on top of zypper.
set -eu
. "$(dirname "$0")/layer.sh"

fill() { first_packages; }
layer "$1" "$2" zypper debian
