# Asks RB_URL by GET with what there is, follows no redirect, and expects the status RB_EXPECT within RB_WITHIN seconds.
# RB_CURL is the request as curl's own configuration, RB_HEADERS a header a line: neither is seen in the process table.
# RB_REQUEST is the request as it is sent to RB_HOST at RB_PORT; empty where it cannot be sent as it is (TLS).
# Exits with 0 as expected, 1 otherwise (and says what it saw), 3 where the host has nothing to ask with.
rb_said() {
    if [ "$1" = "$RB_EXPECT" ]; then exit 0; fi
    echo "answered $1"
    exit 1
}
rb_silent() {
    echo "gave no answer ($(printf '%s' "$1" | tr '\n' ' ' | cut -c 1-300))"
    exit 1
}
if command -v curl >/dev/null 2>&1; then
    rb_out=$(printf '%s\n' "$RB_CURL" | curl -q -K - 2>&1) || rb_silent "${rb_out%000}"
    rb_said "${rb_out#"${rb_out%???}"}"
fi
for rb_python in python3 python /usr/libexec/platform-python; do
    # A minimal one may lack what it takes.
    "$rb_python" -c 'import urllib.request' 2>/dev/null || "$rb_python" -c 'import urllib2' 2>/dev/null || continue
    rb_out=$("$rb_python" -c '
import os, sys
try:
    from urllib import request, error
except ImportError:
    import urllib2 as request
    error = request
class Stay(request.HTTPRedirectHandler):
    def redirect_request(self, *rest):
        return None
headers = dict(line.split(": ", 1) for line in os.environ["RB_HEADERS"].split("\n") if line)
try:
    asked = request.Request(os.environ["RB_URL"], headers=headers)
    print(request.build_opener(Stay).open(asked, timeout=float(os.environ["RB_WITHIN"])).getcode())
except error.HTTPError as answer:
    print(answer.code)
except Exception as why:
    print(why)
    sys.exit(1)
' 2>&1) || rb_silent "$rb_out"
    rb_said "$rb_out"
done
case $RB_URL in
https:*) rb_can='exit !HTTP::Tiny->can_ssl' ;;
*) rb_can=1 ;;
esac
if perl -MHTTP::Tiny -e "$rb_can" 2>/dev/null; then
    rb_out=$(perl -MHTTP::Tiny -e '
my %h = map { split /: /, $_, 2 } grep { length } split /\n/, $ENV{RB_HEADERS};
my $r = HTTP::Tiny->new(max_redirect => 0, timeout => $ENV{RB_WITHIN})->get($ENV{RB_URL}, { headers => \%h });
if ($r->{status} == 599) { print $r->{content}; exit 1 }
print $r->{status};
' 2>&1) || rb_silent "$rb_out"
    rb_said "$rb_out"
fi
if command -v wget >/dev/null 2>&1 && [ -z "$RB_HEADERS" ]; then
    rb_out=$(printf '%s\n' "$RB_URL" | wget -S -O /dev/null --max-redirect=0 -T "$RB_WITHIN" -t 1 -i - 2>&1)
    rb_status=$(printf '%s\n' "$rb_out" | sed -n 's|^ *HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p' | sed -n '$p')
    if [ -n "$rb_status" ]; then rb_said "$rb_status"; fi
    rb_silent "$(printf '%s\n' "$rb_out" | sed -n '$p')"
fi
if [ -n "$RB_REQUEST" ] && perl -MIO::Socket::INET -e 1 2>/dev/null; then
    rb_out=$(perl -e '
$SIG{ALRM} = sub { print "timed out"; exit 1 };
alarm $ENV{RB_WITHIN};
my $class = eval { require IO::Socket::IP; 1 } ? "IO::Socket::IP" : do { require IO::Socket::INET; "IO::Socket::INET" };
my $to = $class->new(PeerHost => $ENV{RB_HOST}, PeerPort => $ENV{RB_PORT}, Proto => "tcp") or do { print $@ || $!; exit 1 };
print $to $ENV{RB_REQUEST};
my $line = <$to>;
if (defined $line && $line =~ m{^HTTP/\S+ (\d{3})}) { print $1 } else { print "no status line"; exit 1 }
' 2>&1) || rb_silent "$rb_out"
    rb_said "$rb_out"
fi
if [ -n "$RB_REQUEST" ] && command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then
    rb_out=$(timeout "$RB_WITHIN" bash -c '
exec 3<>"/dev/tcp/$RB_HOST/$RB_PORT" || exit 1
printf %s "$RB_REQUEST" >&3
IFS= read -r rb_line <&3 || exit 1
printf %s "$rb_line"
' 2>&1) || rb_silent "${rb_out:-timed out}"
    rb_status=$(printf '%s\n' "$rb_out" | sed -n 's|^HTTP/[0-9.]* \([0-9][0-9][0-9]\).*|\1|p')
    if [ -n "$rb_status" ]; then rb_said "$rb_status"; fi
    rb_silent "no status line"
fi
echo "the host has none of curl, python, perl, wget, and bash with timeout that could ask this"
exit 3
