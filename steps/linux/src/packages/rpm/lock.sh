
# Another rpm holds its database: every manager would wait for it without end. The lock is one of fcntl, which stands in
# /proc/locks by the number of its file; other file systems have a file of that number, too, so its holder must have it open.
rpm_locked() {
    rpm_lock=$(rpm --eval '%{_dbpath}' 2>/dev/null)/.rpm.lock
    inode=$(stat -L -c %i "$rpm_lock" 2>/dev/null) || return 1
    for holder in $(sed -n "s/.* POSIX .* \([0-9]*\) [0-9a-f]*:[0-9a-f]*:$inode .*/\1/p" /proc/locks 2>/dev/null); do
        for open in $(ls "/proc/$holder/fd" 2>/dev/null); do
            if [ "/proc/$holder/fd/$open" -ef "$rpm_lock" ]; then return 0; fi
        done
    done
    return 1
}
wait_for_rpm() {
    while rpm_locked; do
        if [ "$(left)" -eq 0 ]; then
            echo "another process holds the lock of the rpm database" >&2
            return 1
        fi
        sleep 1
    done
}
