# The lines of a log. Given: $rb_patterns and $rb_except, extended regular expressions, one a line; $rb_most, so many of the
# newest that match; $rb_since and $rb_now, our times in seconds; and for journald $rb_unit, for a file $rb_path.
# Prints `HOST'S-OFFSET HOST'S-TIME TIME-OF-THE-LAST-WRITE`, then two lines for each that matches: `T` and the time that it
# begins with, or the nearest line before it that begins with one, and `L` and the line; last `Z` and the last time of all, and
# `N` and how many of these lines stand behind the last one that begins with a time.
# Exit code 4: there is no such log; 5: a pattern is none; 6: it cannot be read.
printf '' | grep -E -e "$rb_patterns" >/dev/null
[ $? -le 1 ] || exit 5
if [ -n "$rb_except" ]; then
    printf '' | grep -E -e "$rb_except" >/dev/null
    [ $? -le 1 ] || exit 5
fi
command -v awk >/dev/null 2>&1 || { echo "there is no awk" >&2; exit 6; }
rb_text=
if printf 'x' | grep -a x >/dev/null 2>&1; then rb_text=-a; fi
rb_clock=$(date +%s)
# By this host's clock, and some time too early: how long the question was on its way is not known here.
rb_floor=$((rb_since + rb_clock - rb_now - 120))

if [ -z "$rb_path" ]; then
    command -v journalctl >/dev/null 2>&1 || { echo "there is no journalctl" >&2; exit 4; }
    if [ -n "$rb_unit" ] && [ "$(systemctl show -p LoadState "$rb_unit" 2>/dev/null)" = LoadState=not-found ]; then
        echo "there is no unit $rb_unit" >&2
        exit 4
    fi
    # A journal that nobody may read, or that nothing is written to, is as silent as a healthy one.
    rb_last=$(journalctl --no-pager -q -n 1) || exit 6
    [ -n "$rb_last" ] || { echo "the journal is empty" >&2; exit 6; }
    rb_written=-
    rb_all() {
        journalctl --no-pager -q -o short-iso --since "@$rb_floor" ${rb_unit:+-u "$rb_unit"}
    }
else
    [ -f "$rb_path" ] || { echo "there is no file $rb_path" >&2; exit 4; }
    [ -r "$rb_path" ] || { echo "$rb_path cannot be read" >&2; exit 6; }
    # Opened once: what is renamed meanwhile is still the same file, and what is written meanwhile comes with the next look.
    command exec 3<"$rb_path" || exit 4
    rb_written=$(stat -L -c %Y /proc/self/fd/3) && rb_size=$(wc -c </proc/self/fd/3) || exit 6
    # What the file was called before it was rotated away.
    rb_before=
    if [ -r "$rb_path.1" ] && command exec 4<"$rb_path.1" && [ "$(stat -L -c %Y /proc/self/fd/4)" -ge "$rb_floor" ]; then
        rb_before=yes
    fi
    rb_all() {
        if [ -n "$rb_before" ]; then
            cat /proc/self/fd/4 || return
            echo
        fi
        head -c "$rb_size" /proc/self/fd/3
    }
fi

# Which lines match: their numbers.
rb_found() {
    rb_all | grep $rb_text -n -E -e "$rb_patterns" | cut -d : -f 1
}
# Which of these are fine: the how manieth of them.
rb_fine() {
    rb_all | grep $rb_text -E -e "$rb_patterns" | grep $rb_text -n -E -e "$rb_except" | cut -d : -f 1
}
echo "$(date +%z) $rb_clock $rb_written"
# Most looks end here: all could be read, and nothing matches.
rb_read=$({ { rb_all; echo "all $?" >&5; } | grep $rb_text -c -E -e "$rb_patterns"; } 5>&1)
case $(echo $rb_read) in
'all 0 0') exit 0 ;;
'all 0 '[1-9]*) ;;
*) exit 6 ;;
esac
{
    rb_found
    echo -
    if [ -n "$rb_except" ]; then rb_fine; fi
    echo -
    rb_all
} | LC_ALL=C awk -v most="$rb_most" '
    function time(line) {
        if (line ~ /^[\[" ]*[0-9][0-9][0-9][0-9][-\/][0-9][0-9][-\/][0-9][0-9][T ][0-9][0-9]:[0-9][0-9]:[0-9][0-9]/ ||
            line ~ /^[\[" ]*[A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9] / ||
            line ~ /^\[[A-Z][a-z][a-z] [A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9][. ]/)
            return substr(line, 1, 60)
        if (match(line, /[0-9][0-9]\/[A-Z][a-z][a-z]\/[0-9][0-9][0-9][0-9]:[0-9][0-9]:[0-9][0-9]:[0-9][0-9] [-+][0-9][0-9][0-9][0-9]/) &&
            RSTART < 300)
            return substr(line, RSTART, RLENGTH)
        return ""
    }
    part == 0 && $0 == "-" { part = 1; next }
    part == 0 { found[++matches] = $1; next }
    part == 1 && $0 == "-" {
        for (at = matches; at > 0 && kept < most; at--)
            if (!(at in fine)) { wanted[found[at]] = 1; kept++ }
        part = 2
        next
    }
    part == 1 { fine[$1] = 1; next }
    {
        began = time($0)
        if (began != "") { last = began; behind = 0 }
        if (++line in wanted) { print "T" last; print "L" substr($0, 1, 3000); if (began == "") behind++ }
    }
    END { print "Z" last; print "N" behind + 0 }'
