# Puts a file in its place, whole or not at all. Given: $rb_path, $rb_there (yes or no), $rb_content, $rb_mode, $rb_owner.
# Prints what it did as JSON.
rb_refuse() { echo "$1" >&2; exit 2; }
rb_of() { stat -c "$1" -- "$2" 2>/dev/null; }
# A link stays, and what it leads to is changed; but not by a link that somebody else than root may have put there.
# Links are followed one by one, so that this holds for each that one leads to.
rb_at= rb_hops=0
rb_rest=${rb_path#/}
while [ -n "$rb_rest" ]; do
    rb_part=${rb_rest%%/*}
    case $rb_rest in */*) rb_rest=${rb_rest#*/} ;; *) rb_rest= ;; esac
    case $rb_part in
    '' | .) continue ;;
    ..) rb_at=${rb_at%/*}; continue ;;
    esac
    if [ -L "$rb_at/$rb_part" ]; then
        case "$(rb_of '%u %A' "${rb_at:-/}")" in
        "$(id -u) d"????-??-?) ;;
        *) rb_refuse "$rb_at/$rb_part is a link in a folder that others than root may write to" ;;
        esac
        rb_hops=$((rb_hops + 1))
        rb_to=$(readlink -- "$rb_at/$rb_part") && [ -n "$rb_to" ] && [ "$rb_hops" -le 40 ] || rb_refuse "the link leads nowhere"
        case $rb_to in /*) rb_at= ;; esac
        rb_rest=${rb_to#/}${rb_rest:+/$rb_rest}
        continue
    fi
    rb_at=$rb_at/$rb_part
done
rb_path=${rb_at:-/}
[ ! -d "$rb_path" ] || rb_refuse "$rb_path is a folder"
rb_folder=$(dirname -- "$rb_path")
[ -d "$rb_folder" ] || rb_refuse "there is no folder $rb_folder"
# From here on by where we are, not by names: whoever owns the folder may give them to something else.
cd -- "$rb_folder" && [ "$(pwd -P)" = "$rb_folder" ] || rb_refuse "$rb_folder has changed just now"
rb_name=$(basename -- "$rb_path")
rb_tell() { printf '{"changed":%s}\n' "$1"; }
if [ "$rb_there" = no ]; then
    [ -e "./$rb_name" ] || { rb_tell false; exit 0; }
    rm -f -- "./$rb_name" || exit 1
    sync . 2>/dev/null || sync
    rb_tell true
    exit 0
fi
rb_room=$(mktemp -d ./.runbook.XXXXXXXX) && cd -- "$rb_room" || exit 1
trap 'rm -f ./part; cd .. && rmdir -- "$rb_room" 2>/dev/null' EXIT
[ "$(rb_of '%u %a' .)" = "$(id -u) 700" ] || rb_refuse "$rb_folder has changed just now"
rb_new=yes
: >./part || exit 1
if [ -f "../$rb_name" ] && [ ! -L "../$rb_name" ]; then
    rb_new=no
    # Its mode, its owner, and what else cp -p keeps.
    cp -p --attributes-only -- "../$rb_name" ./part || exit 1
    if command -v chcon >/dev/null 2>&1; then chcon --reference="../$rb_name" -- ./part 2>/dev/null; fi
else
    chmod 0644 ./part || exit 1
fi
printf '%s' "$rb_content" >./part || exit 1
[ -z "$rb_owner" ] || chown -h -- "$rb_owner" ./part || exit 1
# After the owner: chown takes set-user-id bits away.
[ -z "$rb_mode" ] || chmod -- "$rb_mode" ./part || exit 1
if [ "$rb_new" = no ] && cmp -s -- ./part "../$rb_name" &&
    [ "$(ls -ldn -- ./part | cut -d ' ' -f 1-4)" = "$(ls -ldn -- "../$rb_name" | cut -d ' ' -f 1-4)" ]; then
    rb_tell false
    exit 0
fi
sync ./part 2>/dev/null || sync
mv -f -T -- ./part "../$rb_name" || exit 1
sync .. 2>/dev/null || sync
if [ "$rb_new" = yes ] && command -v restorecon >/dev/null 2>&1; then restorecon -- "$rb_folder/$rb_name" 2>/dev/null; fi
rb_tell true
