
# Another rpm holds its database: every manager would wait for it without end. The lock is one of fcntl, which stands in
# /proc/locks by the number of its file.
rpm_locked() {
    folder=$(rpm --eval '%{_dbpath}' 2>/dev/null)
    inode=$(stat -L -c %i "$folder/.rpm.lock" 2>/dev/null) || return 1
    grep -q "POSIX.*:$inode " /proc/locks 2>/dev/null
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
