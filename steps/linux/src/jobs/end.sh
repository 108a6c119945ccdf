# Ends a job: asked first, then killed, all of its processes but the first, which keeps its result. Given: $rb_token.
rb_signal() {
    for rb_one in $rb_members; do kill -s "$1" "$rb_one" 2>/dev/null; done
}
rb_waited=0
while rb_look "$rb_token"; [ "$rb_is" = running ] && [ $rb_waited -lt 20 ]; do
    rb_tree "$rb_token"
    if [ $rb_waited = 0 ]; then rb_signal TERM; fi
    if [ $rb_waited -ge 10 ]; then rb_signal KILL; fi
    rb_waited=$((rb_waited + 1))
    rb_look "$rb_token"
    [ "$rb_is" = running ] || break
    sleep 1
done
echo "$rb_is"
