
# Codes from 100 on say what there is; 106 that a repository was left out.
asked() {
    section "$1"
    shift
    ask "$@"
    code=$?
    [ $code -eq 0 ] || { [ $code -ge 100 ] && [ $code -ne 106 ]; } || exit $code
}
section installed
state
asked everything --xmlout list-updates --all
asked free --xmlout list-updates
section patches
patches=$(ask --xmlout list-patches)
code=$?
printf '%s\n' "$patches"
[ $code -eq 0 ] || { [ $code -ge 100 ] && [ $code -ne 106 ]; } || exit $code
set -f
set -- $(printf '%s\n' "$patches" | tr '<' '\n' | sed -n 's/^update .*kind="patch".* name="\([^"]*\)".*/\1/p; s/^update .*name="\([^"]*\)".*kind="patch".*/\1/p')
section conflicts
[ $# -eq 0 ] || ask info -t patch "$@"
section end
exit 0
