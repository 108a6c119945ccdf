# How a service stands: yes or no, whether it is started at boot (empty: not known), and the words for it, a line each; exit
# code 4 where there is none. Given: $rb_name, $rb_systemd.
if [ -d "$rb_systemd" ]; then
    rb_shown=$(systemctl show --no-pager -p LoadState -p ActiveState -p SubState -p UnitFileState -p Result -- "$rb_name") || exit 1
    rb_of() { printf '%s\n' "$rb_shown" | sed -n "s/^$1=//p"; }
    [ "$(rb_of LoadState)" != not-found ] || exit 4
    rb_active=$(rb_of ActiveState) rb_sub=$(rb_of SubState)
    case $rb_active in active | reloading | refreshing) echo yes ;; *) echo no ;; esac
    rb_of UnitFileState | head -n 1
    [ -n "$(rb_of UnitFileState)" ] || echo
    [ "$rb_active" != failed ] || rb_sub="Result: $(rb_of Result)"
    echo "$rb_active ($rb_sub)"
    exit 0
fi
rb_name=${rb_name%.service}
[ -x "/etc/init.d/$rb_name" ] || exit 4
rb_words=$("/etc/init.d/$rb_name" status 2>&1 </dev/null)
case $? in 0) echo yes ;; *) echo no ;; esac
rb_level=$(runlevel 2>/dev/null | cut -d ' ' -f 2)
rb_links=0
for rb_link in /etc/rc${rb_level:-2}.d/S??"$rb_name" /etc/rc.d/rc${rb_level:-3}.d/S??"$rb_name"; do
    if [ -e "$rb_link" ]; then rb_links=1; fi
done
if [ $rb_links = 1 ]; then
    echo enabled
elif [ -d "/etc/rc${rb_level:-2}.d" ] || [ -d "/etc/rc.d/rc${rb_level:-3}.d" ]; then
    echo disabled
else
    echo
fi
printf '%s\n' "$rb_words" | head -n 1
