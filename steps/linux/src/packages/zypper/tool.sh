
# $lock_wait: how long zypper waits for its own lock. What it is asked never refreshes lists by itself.
ZYPP_LOCK_TIMEOUT=$lock_wait; export ZYPP_LOCK_TIMEOUT
ask() { zypper -n --no-refresh "$@" </dev/null; }
