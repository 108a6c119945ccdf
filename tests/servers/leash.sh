#!/bin/sh
# leash.sh PROGRAM ARGUMENTS…: runs the program until it ends or standard input does. A test that is killed closes its
# end of the pipe, so that no server outlives it.
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(
    cat <&3 >/dev/null
    kill -9 "$server"
) 2>/dev/null &
exec 3<&-
wait "$server"
