
# The table of a transaction as lines: heading, name, architecture, version. Long rows go over several lines.
table() {
    awk '
        function out() {
            if (row != "") { n = split(row, w, /[ \t]+/); if (n >= 4) print heading "\t" w[2] "\t" w[3] "\t" w[4] }
            row = ""
        }
        # dnf 5 tells first what it loads.
        /^[A-Z].*repositories:$/ { out(); heading = ""; next }
        /^[A-Z][A-Za-z ]*:$/ { out(); heading = substr($0, 1, length($0) - 1); next }
        /^=/ || /^$/ || /^Transaction Summary/ { out(); if ($0 !~ /^=/) heading = ""; next }
        heading == "" { next }
        $1 == "replacing" {
            out()
            name = $2; arch = $3; version = $4
            if (version == "" || name ~ /\.[a-z0-9_]+$/ && arch ~ /[0-9]-/) {
                version = $3; at = match(name, /\.[^.]*$/); arch = substr(name, at + 1); name = substr(name, 1, at - 1)
            }
            print "Replaced\t" name "\t" arch "\t" version
            next
        }
        /^ [^ ]/ { out(); row = $0; next }
        /^  / { row = row " " $0 }
        END { out() }
    '
}
