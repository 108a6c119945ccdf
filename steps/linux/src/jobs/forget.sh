# Deletes what is kept of a job. Given: $rb_token.
umask 077
rb_look "$rb_token"
case $rb_is in
running) ;;
absent) rm -rf "$rb_dir" ;;
*)
    # A start of it that is still on its way finds this.
    mkdir -p "$rb_home/forgotten" && : >"$rb_home/forgotten/$rb_token"
    rm -rf "$rb_dir"
    ;;
esac
echo "$rb_is"
