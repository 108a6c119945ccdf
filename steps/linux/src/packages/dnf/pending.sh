
section installed
state
case $tool in
dnf)
    list() { ask "$@" repoquery --upgrades --latest-limit=1 --qf '%{name}\t%{arch}\t%{epoch}:%{version}-%{release}\t%{repoid}'; }
    section everything
    list --disableplugin=versionlock --disableexcludes=all || exit
    section free
    list || exit
    section advisories
    ask --disableplugin=versionlock --disableexcludes=all updateinfo list --updates || exit
    section details
    ask --disableplugin=versionlock --disableexcludes=all updateinfo info --updates || exit
    ;;
dnf5)
    # Excludes and versionlock are not passed over for the listing of everything: the options have other names in each
    # version. What is locked is told by the facts.
    section everything
    ask repoquery --upgrades --latest-limit=1 --qf '%{name}\t%{arch}\t%{epoch}:%{version}-%{release}\t%{repoid}\n' || exit
    section advisories-json
    ask advisory list --updates --json || exit
    ;;
yum)
    section check-update
    ask check-update
    code=$?
    [ $code -eq 0 ] || [ $code -eq 100 ] || exit $code
    section advisories
    ask updateinfo list updates 2>/dev/null
    section details
    ask updateinfo info updates 2>/dev/null
    ;;
esac
section end
