
# What all would be upgraded, with the host's own holds passed over, and with removals where there is no other way.
# Phased updates only when they are out for everybody: hosts that are alike are offered the same, and what Ubuntu stopped
# never comes.
ask() {
    apt-get -s -q -o Debug::NoLocking=1 -o APT::Color=0 -o APT::Get::Never-Include-Phased-Updates=true "$@" </dev/null
}
section everything
ask --ignore-hold dist-upgrade
code=$?
if [ $code -ne 0 ]; then
    exit $code
fi
section free
# What comes without passing over a hold and without removing anything.
ask --with-new-pkgs upgrade
code=$?
[ $code -eq 0 ] || exit $code

section policy
set -- $(ask --ignore-hold dist-upgrade 2>/dev/null | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p')
[ $# -eq 0 ] || apt-cache policy "$@"
section end
