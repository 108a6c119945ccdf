# The lines of a log. Given: $rb_patterns and $rb_except, extended regular expressions, one a line; $rb_most; and for
# journald $rb_unit and $rb_since (seconds), for a file $rb_path and $rb_mark (bytes, or nothing). Prints the host's offset
# from UTC, then the lines. Exit code 4: there is no such log; 5: a pattern is none; 6: it cannot be read.
printf '' | grep -E -e "$rb_patterns" >/dev/null
[ $? -le 1 ] || exit 5
if [ -n "$rb_except" ]; then
    printf '' | grep -E -e "$rb_except" >/dev/null
    [ $? -le 1 ] || exit 5
fi
rb_text=
if printf 'x' | grep -a x >/dev/null 2>&1; then rb_text=-a; fi
rb_left() {
    if [ -n "$rb_except" ]; then grep $rb_text -v -E -e "$rb_except"; else cat; fi
}
date +%z
if [ -z "$rb_path" ]; then
    command -v journalctl >/dev/null 2>&1 || { echo "there is no journalctl" >&2; exit 4; }
    if [ -n "$rb_unit" ] && [ "$(systemctl show -p LoadState "$rb_unit" 2>/dev/null)" = LoadState=not-found ]; then
        echo "there is no unit $rb_unit" >&2
        exit 4
    fi
    journalctl --no-pager -q -o short-iso --since "@$rb_since" ${rb_unit:+-u "$rb_unit"} |
        grep $rb_text -E -e "$rb_patterns" | rb_left | head -n "$rb_most"
    exit 0
fi
[ -f "$rb_path" ] || { echo "there is no file $rb_path" >&2; exit 4; }
[ -r "$rb_path" ] || { echo "$rb_path cannot be read" >&2; exit 6; }
# A file that is shorter than it was has been replaced by a new one: all of it is new.
if [ -n "$rb_mark" ] && [ "$(wc -c <"$rb_path")" -lt "$rb_mark" ]; then rb_mark=0; fi
tail -c "+$((${rb_mark:-0} + 1))" "$rb_path" | grep $rb_text -E -e "$rb_patterns" | rb_left | head -n "$rb_most"
