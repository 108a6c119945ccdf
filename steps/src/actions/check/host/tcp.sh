# Connects to RB_HOST at RB_PORT within RB_WITHIN seconds, with what there is.
# Exits with 0 when it is connected, 1 when not (and says why), 3 where the host has nothing to connect with.
rb_refused() {
    echo "took no connection ($(printf '%s' "$1" | tr '\n' ' ' | cut -c 1-300))"
    exit 1
}
for rb_python in python3 python /usr/libexec/platform-python; do
    # A minimal one may lack what it takes.
    "$rb_python" -c 'import socket' 2>/dev/null || continue
    rb_out=$("$rb_python" -c '
import os, socket, sys
try:
    socket.create_connection((os.environ["RB_HOST"], int(os.environ["RB_PORT"])), float(os.environ["RB_WITHIN"])).close()
except Exception as why:
    print(why)
    sys.exit(1)
' 2>&1) || rb_refused "$rb_out"
    exit 0
done
if perl -MIO::Socket::INET -e 1 2>/dev/null; then
    rb_out=$(perl -e '
my $class = eval { require IO::Socket::IP; 1 } ? "IO::Socket::IP" : do { require IO::Socket::INET; "IO::Socket::INET" };
$class->new(PeerHost => $ENV{RB_HOST}, PeerPort => $ENV{RB_PORT}, Proto => "tcp", Timeout => $ENV{RB_WITHIN})
    or do { print $@ || $!; exit 1 };
' 2>&1) || rb_refused "$rb_out"
    exit 0
fi
if command -v nc >/dev/null 2>&1; then
    rb_out=$(nc -z -w "$RB_WITHIN" "$RB_HOST" "$RB_PORT" 2>&1) || rb_refused "${rb_out:-connection refused}"
    exit 0
fi
if command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
    rb_out=$(timeout "$RB_WITHIN" bash -c 'exec 3<>"/dev/tcp/$RB_HOST/$RB_PORT"' 2>&1) || rb_refused "${rb_out:-timed out}"
    exit 0
fi
echo "the host has none of python, perl, nc, and bash with timeout"
exit 3
