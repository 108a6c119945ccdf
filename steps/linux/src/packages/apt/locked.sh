
locked() {
    grep -q -e 'Could not get lock' -e 'Unable to lock' -e 'Unable to acquire the dpkg frontend lock' \
        -e 'was locked by another process' -e 'status database area is locked' "$2"
}
