
state() { rpm -qa --qf '%{NAME}\t%{ARCH}\t%{EPOCH}:%{VERSION}-%{RELEASE}\n' 2>/dev/null | sed 's/	(none):/	/; s/	0:/	/' | sort; }
# $wanted: a line for each package: what the manager is asked for, the name of the file that may be kept of it, name,
# architecture, version; `-` for both and for the version where it is not to be there.
set -f
each() { printf '%s\n' "$wanted" | sed '/^$/d'; }
# What is to go, each as `name arch version`. Of several versions of one package (kernels) the one that came last.
to_go() {
    each | while read -r _ _ name arch version; do
        [ "$version" != - ] || echo "$name $arch"
    done | sort | uniq -c | while read -r count name arch; do
        rpm -q --qf '%{INSTALLTIME} %{EPOCH}:%{VERSION}-%{RELEASE}\n' "$name.$arch" 2>/dev/null | grep '^[0-9]' | sort -rn |
            sed 's/ (none):/ /; s/ 0:/ /' | head -n "$count" | while read -r _ version; do echo "$name $arch $version"; done
    done
}
going=$(to_go)
# The kernel that runs stays.
keeps_kernel() {
    rpm -q --qf '%{NAME} %{ARCH} %{EPOCH}:%{VERSION}-%{RELEASE}\n' -f "/boot/vmlinuz-$(uname -r)" "/lib/modules/$(uname -r)/vmlinuz" 2>/dev/null |
        sed 's/ (none):/ /; s/ 0:/ /' | while read -r running; do
        case "
$going
" in *"
$running
"*) echo "Error: It would remove $(echo "$running" | sed 's/^\(.*\) \(.*\) \(.*\)$/\1-\3.\2/'), the kernel that runs" >&2; exit 1 ;; esac
    done
}
# Packages that are not as they were ordered.
unfulfilled() {
    now=$(state)
    tab=$(printf '\t')
    {
        each | while read -r _ _ name arch version; do
            [ "$version" = - ] || echo "there $name $arch $version"
        done
        printf '%s\n' "$going" | sed '/^$/d; s/^/gone /'
    } | while read -r how name arch version; do
        case "
$now
" in
        *"
$name$tab$arch$tab$version
"*) [ $how = there ] || echo "$name" ;;
        *) [ $how = gone ] || echo "$name" ;;
        esac
    done
}
installs() {
    each | while read -r ask file _ _ version; do
        [ "$version" != - ] || continue
        if [ -n "$kept" ] && [ -f "$kept/$file" ]; then echo "$kept/$file"; else echo "$ask"; fi
    done
}
# $going as the manager is told it; $going_form is a sed script over `name arch version`.
removals() { printf '%s\n' "$going" | sed "/^\$/d; $going_form"; }
report() {
    section changed
    if [ "$(state)" = "$before" ]; then echo no; else echo yes; fi
    section unfulfilled
    unfulfilled
    section end
}
