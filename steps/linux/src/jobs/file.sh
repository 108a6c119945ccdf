# Puts a file in its place, whole or not at all. Given: $rb_path, $rb_there (yes or no), $rb_content, $rb_mode, $rb_owner,
# $RUNBOOK_JOB. Prints what it did as JSON. The former file stays with the job.
rb_refuse() { echo "$1" >&2; exit 2; }
# A link stays; what it leads to is changed.
if [ -L "$rb_path" ]; then rb_path=$(readlink -f -- "$rb_path") || rb_refuse "the link leads nowhere"; fi
[ ! -d "$rb_path" ] || rb_refuse "$rb_path is a folder"
rb_folder=$(dirname -- "$rb_path")
[ -d "$rb_folder" ] || rb_refuse "there is no folder $rb_folder"
rb_former=null
if [ -e "$rb_path" ]; then
    cp -p -- "$rb_path" "$RUNBOOK_JOB/former" || exit 1
    rb_former="\"$RUNBOOK_JOB/former\""
fi
rb_tell() { printf '{"changed":%s,"former":%s}\n' "$1" "$rb_former"; }
if [ "$rb_there" = no ]; then
    [ "$rb_former" != null ] || { rb_tell false; exit 0; }
    rm -f -- "$rb_path" || exit 1
    sync "$rb_folder" 2>/dev/null || sync
    rb_tell true
    exit 0
fi
rb_part=$rb_folder/.$(basename -- "$rb_path").runbook.$$
trap 'rm -f -- "$rb_part"' EXIT
if [ "$rb_former" != null ]; then
    # With its mode and owner, and what else cp -p keeps.
    cp -p -- "$rb_path" "$rb_part" || exit 1
    if command -v chcon >/dev/null 2>&1; then chcon --reference="$rb_path" -- "$rb_part" 2>/dev/null; fi
else
    (umask 077; : >"$rb_part") && chmod 0644 "$rb_part" || exit 1
fi
printf '%s' "$rb_content" >"$rb_part" || exit 1
[ -z "$rb_owner" ] || chown -- "$rb_owner" "$rb_part" || exit 1
# After the owner: chown takes set-user-id bits away.
[ -z "$rb_mode" ] || chmod -- "$rb_mode" "$rb_part" || exit 1
if [ "$rb_former" != null ] && cmp -s -- "$rb_part" "$rb_path" &&
    [ "$(ls -ldn -- "$rb_part" | cut -d ' ' -f 1-4)" = "$(ls -ldn -- "$rb_path" | cut -d ' ' -f 1-4)" ]; then
    rb_tell false
    exit 0
fi
sync "$rb_part" 2>/dev/null || sync
mv -f -- "$rb_part" "$rb_path" || exit 1
sync "$rb_folder" 2>/dev/null || sync
if [ "$rb_former" = null ] && command -v restorecon >/dev/null 2>&1; then restorecon -- "$rb_path" 2>/dev/null; fi
rb_tell true
