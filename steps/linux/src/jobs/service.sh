# Brings a service into a state. Given: $rb_name, $rb_verb in systemctl's words, $rb_systemd.
if [ -d "$rb_systemd" ]; then
    exec systemctl --no-ask-password "$rb_verb" "$rb_name"
fi
rb_name=${rb_name%.service}
if [ ! -x "/etc/init.d/$rb_name" ]; then
    echo "there is no service $rb_name" >&2
    exit 127
fi
case $rb_verb in
enable | disable)
    if command -v update-rc.d >/dev/null 2>&1; then exec update-rc.d "$rb_name" "$rb_verb"; fi
    case $rb_verb in enable) rb_verb=on ;; *) rb_verb=off ;; esac
    exec chkconfig "$rb_name" "$rb_verb"
    ;;
esac
if command -v service >/dev/null 2>&1; then exec service "$rb_name" "$rb_verb"; fi
exec "/etc/init.d/$rb_name" "$rb_verb"
