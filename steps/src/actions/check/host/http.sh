# Asks RB_URL by GET with what there is, follows no redirect, and expects the status RB_EXPECT within RB_WITHIN seconds.
# RB_CURL is the request as curl's own configuration, RB_HEADERS a header a line: neither is seen in the process table.
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
    command -v "$rb_python" >/dev/null 2>&1 || continue
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
if perl -MHTTP::Tiny -e 1 2>/dev/null; then
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
echo "the host has none of curl, python, perl with HTTP::Tiny, and wget"
exit 3
