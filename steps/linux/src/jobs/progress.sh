# How a job stands. Given: $rb_token; $rb_most_out and $rb_most_err, how much of what it said is wanted.
# What was said: all of it, or its beginning and its end, where tools say how it went.
rb_print() {
    if [ "$(wc -c <"$1")" -le "$2" ]; then
        cat "$1"
    else
        head -c $(($2 / 2)) "$1"
        printf '\n[...]\n'
        tail -c $(($2 / 2)) "$1"
    fi
}
rb_look "$rb_token"
# With the time of now, by which the time of its end is read: the clock may be wrong.
printf '%s\n%s\n%s %s %s\n' "$rb_is" "$rb_kind" "$rb_code" "$rb_at" "$(date -u +%s)"
case $rb_is in
running) tail -c 2000 "$rb_dir/out" | tail -n 1 ;;
ended)
    rb_print "$rb_dir/out" "$rb_most_out"
    rb_print "$rb_dir/err" "$rb_most_err" >&2
    ;;
esac
