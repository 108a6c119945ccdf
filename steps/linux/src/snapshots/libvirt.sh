# virsh(1), on the hypervisor: an internal snapshot of a domain, with its memory where it runs.
v() { virsh --quiet --connect "${uri:-qemu:///system}" "$@"; }
name=runbook-$token
there() {
    needs virsh
    [ -n "$domain" ] || fail refused 'no domain is stated'
    run v domstate "$domain" >/dev/null || fail missing "libvirt has no domain \`$domain\`${words:+: $words}"
}
listed() { v snapshot-list "$domain" --name 2>/dev/null | grep -qx "$name"; }
capture() {
    there
    if ! listed; then
        around
        run v snapshot-create-as "$domain" --name "$name" --description "$description" --atomic
        code=$?
        [ "$code" = 0 ] || because 'libvirt made no snapshot'
        over
        listed || fail failed 'libvirt made a snapshot, and does not list it'
    fi
    tell snapshot "$name"
    tell domain "$domain"
}
ready() {
    there
    listed || fail missing "the domain \`$domain\` has no snapshot $name any more"
}
revert() {
    run v snapshot-revert "$domain" --snapshotname "$name" --running || because 'libvirt did not revert'
    tell reboot no
}
discard() {
    there
    listed || tell found no
    ! listed || run v snapshot-delete "$domain" --snapshotname "$name" || because 'libvirt did not delete the snapshot'
    tell gone yes
}
