set -u
umask 022
LC_ALL=C; LANGUAGE=C; export LC_ALL LANGUAGE
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
unset GREP_OPTIONS POSIXLY_CORRECT CDPATH IFS 2>/dev/null
# A part of what a script prints, which is read by its name.
section() { printf '\n#runbook %s\n' "$1"; }
has() { command -v "$1" >/dev/null 2>&1; }
# within SECONDS COMMAND...: not longer than that.
within() {
    if has timeout; then timeout -k 5 "$@"; else shift; "$@"; fi
}
