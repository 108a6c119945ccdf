
# What a shell of the manager reads. dnf takes files only all in one line; yum 3 wants to be told what goes down.
commands() {
    downs=
    ups=
    for word in $installs; do
        name=$(each | while read -r ask file name arch _; do
            case $word in "$ask" | */"$file") echo "$name.$arch" ;; esac
        done)
        if [ "$tool" = yum ] && [ -n "$back" ] && rpm -q "$name" >/dev/null 2>&1; then
            downs="$downs $word"
        else
            ups="$ups $word"
        fi
    done
    [ -z "$downs" ] || echo "downgrade$downs"
    [ -z "$ups" ] || echo "install$ups"
    for word in $removals; do echo "remove $word"; done
    echo run
}
# transact OPTION...: installs what is ordered and takes away what is not to be there, in one transaction.
transact() {
    installs=$(installs)
    removals=$(removals)
    case $tool:$back:${removals:+removals}:${installs:+installs} in
    dnf:*::installs | dnf5:*::installs | yum:::installs)
        # shellcheck disable=SC2086
        do_it "$@" $all_kernels $install $installs
        ;;
    *:*:removals:)
        # shellcheck disable=SC2086
        do_it "$@" $noautoremove remove $removals
        ;;
    dnf5:*)
        # It has no shell: what is not needed any more goes in a second transaction.
        # shellcheck disable=SC2086
        do_it "$@" $all_kernels $install $installs && do_it "$@" $noautoremove remove $removals
        ;;
    *)
        commands >"$words.sh"
        do_it "$@" $all_kernels $noautoremove shell "$words.sh"
        code=$?
        rm -f "$words.sh"
        return $code
        ;;
    esac
}
# Without the epoch, which not all of the three understand.
going_form='s/^\(.*\) \(.*\) \([0-9]*:\)\{0,1\}\(.*\)$/\1-\4.\2/'
if [ -n "$passed_over" ]; then
    case $tool in
    dnf5) over=--setopt=disable_excludes=* ;;
    *) over="--disableplugin=versionlock --disableexcludes=all" ;;
    esac
fi
# A new kernel takes the oldest one away where there are as many as the host keeps: nobody asked for that.
all_kernels=--setopt=installonly_limit=0
noautoremove=--setopt=clean_requirements_on_remove=False
case $tool in
dnf5) install="install --allow-downgrade" ;;
*) install=install ;;
esac
# simulate: prints what would be done, as a table; 0 where it can be done.
simulate() {
    keeps_kernel || return
    simulation=$(transact --assumeno 2>"$words")
    code=$?
    section simulation
    printf '%s\n' "$simulation"
    section rows
    rows=$(printf '%s\n' "$simulation" | table)
    printf '%s\n' "$rows"
    # In a shell every error is forgotten; where it was told not to do it, that looks like one.
    if printf '%s\n' "$simulation" | cat - "$words" | grep -v 'Operation aborted' | grep -q -e '^Error' -e '^ Problem' -e '^Skipping packages' -e '^Failed to resolve' -e '^No match for argument' -e '^No package .* available'; then
        cat "$words" >&2
        [ $code -ne 0 ] || code=1
        return $code
    fi
    if printf '%s\n' "$simulation" | cat - "$words" | grep -q -i -e 'Operation aborted' -e 'Exiting on user command' -e '^Nothing to do'; then
        code=0
    fi
    [ $code -eq 0 ] || cat "$words" >&2
    [ $code -eq 0 ] || return $code
    section unasked
    ordered=" $(removals | tr '\n' ' ') "
    tab=$(printf '\t')
    printf '%s\n' "$rows" | while IFS=$tab read -r heading name arch version; do
        case $heading in
        Removing*) case $ordered in *" $name-${version#*:}.$arch "*) ;; *) echo "remove $name" ;; esac ;;
        Downgrading*) [ -n "$back" ] || echo "downgrade $name" ;;
        esac
    done
}
