
# $tool is dnf, dnf5 or yum. What it is asked never refreshes lists by itself: they are as the last refresh left them.
ask() {
    case $tool in
    yum) yum -q -C "$@" </dev/null ;;
    dnf) dnf -q -C '--setopt=*.skip_if_unavailable=0' "$@" </dev/null ;;
    dnf5) dnf5 -q -C '--setopt=*.skip_if_unavailable=0' "$@" </dev/null ;;
    esac
}
# do_it OPTION... COMMAND: packages that are not here are fetched. $over: options that pass over locked versions.
over=
do_it() {
    # shellcheck disable=SC2086
    case $tool in
    yum) yum --setopt=exit_on_lock=1 $over "$@" </dev/null ;;
    dnf) dnf --setopt=exit_on_lock=True '--setopt=*.metadata_expire=-1' $over "$@" </dev/null ;;
    dnf5) dnf5 '--setopt=*.metadata_expire=-1' $over "$@" </dev/null ;;
    esac
}
locked() {
    [ "$1" -eq 200 ] || grep -q -i -e 'already locked by' -e 'Existing lock ' -e 'Another app is currently holding' \
        -e 'Failed to obtain .* lock' -e 'lock of the rpm database' -e 'transaction lock on' "$2"
}
