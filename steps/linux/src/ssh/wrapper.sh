PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
LC_ALL=C; export PATH LC_ALL;
printf "\n%s begins\n" "$1"; printf "\n%s begins\n" "$1" >&2;
rb=$(cat);
case "$rb" in *"# $1 over") ;; *) exit 0 ;; esac;
command -v setsid >/dev/null 2>&1 || setsid() { "$@"; };
printf "%s\n" "$rb" | setsid /bin/sh -c "rb=\$(cat); exec </dev/null; eval \"\$rb\"" & p=$!;
( s=; trap "kill \$s; exit 0" TERM; sleep "$2" & s=$!; wait $s; trap "" TERM;
kill -s TERM -- -$p; i=0;
while kill -s 0 -- -$p && [ $i -lt 5 ]; do sleep 1; i=$((i+1)); done;
kill -s KILL -- -$p; exit 9 ) >/dev/null 2>&1 </dev/null & w=$!;
wait $p; c=$?;
kill -s TERM $w 2>/dev/null; wait $w 2>/dev/null; [ $? = 9 ] && c=late;
printf "\n%s ends %s\n" "$1" "$c" >&2; printf "\n%s ends %s\n" "$1" "$c"
