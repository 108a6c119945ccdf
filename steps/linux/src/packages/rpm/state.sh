
state() { rpm -qa --qf '%{NAME}\t%{ARCH}\t%{EPOCH}:%{VERSION}-%{RELEASE}\n' 2>/dev/null | sed 's/	(none):/	/; s/	0:/	/' | sort; }
# $wanted: a line for each package: what the manager is asked for, the name of the file that may be kept of it, name,
# architecture, version; `-` for both and for the version where it is not to be there.
set -f
each() { printf '%s\n' "$wanted" | sed '/^$/d'; }
# Packages that are not as they were ordered.
unfulfilled() {
    now=$(state)
    tab=$(printf '\t')
    each | while read -r _ _ name arch version; do
        case $version in
        -) case "
$now" in *"
$name$tab$arch$tab"*) echo "$name" ;; esac ;;
        *) case "
$now
" in *"
$name$tab$arch$tab$version
"*) ;; *) echo "$name" ;; esac ;;
        esac
    done
}
installs() {
    each | while read -r ask file _ _ version; do
        [ "$version" != - ] || continue
        if [ -n "$kept" ] && [ -f "$kept/$file" ]; then echo "$kept/$file"; else echo "$ask"; fi
    done
}
removals() { each | while read -r _ _ name arch version; do [ "$version" != - ] || echo "$name.$arch"; done; }
report() {
    section changed
    if [ "$(state)" = "$before" ]; then echo no; else echo yes; fi
    section unfulfilled
    unfulfilled
    section end
}
