
# A list that cannot be fetched is an error: what is not known would look as if it were not there.
try() {
    case $tool in
    dnf) do_it makecache --refresh '--setopt=*.skip_if_unavailable=0' ;;
    dnf5) dnf5 --refresh '--setopt=*.skip_if_unavailable=0' makecache </dev/null ;;
    yum) do_it -q clean expire-cache && do_it '--setopt=*.skip_if_unavailable=0' makecache fast ;;
    esac
}
patiently try
